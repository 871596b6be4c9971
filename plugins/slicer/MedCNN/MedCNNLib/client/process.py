"""A worker's process on this machine: its start, what it says, its end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from MedCNNLib.client.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from MedCNNLib.client.steps import Steps

__all__ = ["ENDING_SECONDS", "Process"]

ENDING_SECONDS = 8.0
"""How long a worker may take to end before it is killed."""

_LAST_WORDS = 2000
_NO_WINDOW = 0x08000000  # CREATE_NO_WINDOW
_INSTALL = "In a Python 3.11 or newer: pip install 'medcnn-imaging[serve]'."


class Process:
    """A worker's process; it ends with `close`, or once nobody holds it.

    Args:
        command: Python, and what it is told.
        token: What the worker wants to hear; on no command line.

    Attributes:
        folder: Where it writes what it says; gone once it is closed.
        address: Parts of the worker's address; None until it told that.

    Raises:
        WorkerError: If it cannot be started.
    """

    def __init__(self, command: Sequence[str], token: str) -> None:
        self._popen: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        self.address: SplitResult | None = None
        self.folder = Path(tempfile.mkdtemp(prefix=f"medcnn-client-{os.getpid()}-"))
        try:
            self._popen = _start(command, token, self.folder)
        except OSError as error:
            self.close()
            message = f"{command[0]} cannot be started: {error.strerror}."
            hint = f"Name another Python. {_INSTALL}"
            raise WorkerError(message, hint, "start") from error

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()

    @property
    def pid(self) -> int | None:
        """Its id; None once it is closed."""
        if self._popen is None or self._is_closed:
            return None
        return self._popen.pid

    @property
    def exit_status(self) -> int | None:
        """How it ended; None while it runs."""
        return None if self._popen is None else self._popen.poll()

    @property
    def alive(self) -> bool:
        """Whether it runs, and is not told to end."""
        return self.pid is not None and self.exit_status is None

    def said(self, name: str) -> str:
        """Return what it said to "stdout" or "stderr"."""
        try:
            return (self.folder / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def listen(self) -> SplitResult | None:
        """Return the worker's address as soon as it told that.

        Raises:
            WorkerError: If it is closed or ended.
        """
        if self._is_closed:
            message = "The worker is closed."
            raise WorkerError(message, "Start another.", "start")
        if self.exit_status is not None:
            raise WorkerError(*self._last_words(), "start")
        if self.address is None:
            self._hear(self.said("stdout"))
        return self.address

    def reason(self) -> WorkerError | None:
        """Return why the worker does not answer; None if its process runs."""
        if self._popen is None or self._is_closed:
            return WorkerError("The worker is closed.", "Start another.", "connection")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(0.5)
        if self._popen.poll() is None:
            return None
        return WorkerError(*self._last_words(), "connection")

    def close(self) -> None:
        """End it, and wait until it is gone."""
        for _ in self.ending():
            time.sleep(0.01)

    def ending(self) -> Steps:
        """As `close`, in steps; the first one tells it to end."""
        if self._is_closed:
            return
        self._is_closed, popen = True, self._popen
        if popen is not None:
            if popen.stdin is not None:
                with contextlib.suppress(OSError):
                    popen.stdin.close()
            if sys.platform != "win32":  # where it would end at once, and tidy nothing
                popen.terminate()
            until = time.monotonic() + ENDING_SECONDS
            while popen.poll() is None:
                yield None
                if time.monotonic() > until:
                    popen.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _hear(self, words: str) -> None:
        """Take the worker's address from its first line, once that is whole.

        Raises:
            WorkerError: If another program speaks.
        """
        line, is_whole, _ = words.partition("\n")
        if not is_whole:
            return
        try:
            self.address = urlsplit(json.loads(line)["url"])
        except (ValueError, KeyError, TypeError) as error:
            self.close()
            message = f"No worker started, but something that says {line[:200]!r}."
            raise WorkerError(message, _INSTALL, "start") from error

    def _last_words(self) -> tuple[str, str]:
        """Return what to tell of a worker that ended by itself, and what to do."""
        said = self.said("stderr").strip()[-_LAST_WORDS:]
        last = said.splitlines()[-1] if said else "it said nothing"
        if "No module named medcnn" in said:
            return "That Python has no medcnn.", _INSTALL
        if "nknown option: -P" in said:
            return "That Python is older than 3.11.", _INSTALL
        if self.address is not None:
            message = f"The worker ended (exit status {self.exit_status}): {last}"
            return message, "Start it again. If it was killed, memory may have run out."
        is_medcnn = last.startswith("medcnn: ")  # it says itself what to do
        hint = "" if is_medcnn else f"Is that a Python with medcnn? {_INSTALL}"
        return f"The worker did not start: {last}", hint


def _start(command: Sequence[str], token: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start it; what it says goes to files, so that nobody need listen."""
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        return subprocess.Popen(  # noqa: S603 - the Python that was chosen
            command,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
            env={**_clean_environment(), "MEDCNN_WORKER_TOKEN": token},
            creationflags=_NO_WINDOW if sys.platform == "win32" else 0,
        )


def _clean_environment() -> dict[str, str]:
    """Return the environment without what would bend another Python to this one's."""
    bent = {"PYTHONHOME", "PYTHONSTARTUP", "PYTHONNOUSERSITE"}
    if os.environ.get("SLICER_HOME"):  # its libraries are not that Python's
        bent |= {"PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SSL_CERT_FILE"}
    return {key: value for key, value in os.environ.items() if key not in bent}
