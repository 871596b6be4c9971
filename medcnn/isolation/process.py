"""One worker process, seen from outside: started, asked, ended."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from medcnn.errors import MedcnnError
from medcnn.isolation.wire import (
    FOLDER_PREFIX,
    Kind,
    Message,
    receive,
    receive_bytes,
    send_bytes,
)

if sys.platform == "linux":
    import fcntl

__all__ = ["Process", "cause_of_death"]

WORKER_COMMAND = (
    *(sys.executable, "-P", "-c"),
    "from medcnn.isolation.worker import main; main()",
)
"""What starts a worker process."""

_PIPE_BYTES = 1 << 20
_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)


class Process:
    """A worker process that was just started; it is not ready yet.

    Raises:
        MedcnnError: If the system starts no more processes, or there is no place for
            what they unpack.
    """

    def __init__(self) -> None:
        self._stderr, self._folder = _surroundings()
        try:
            self._popen = _spawn(self._stderr, self._folder)
        except OSError as error:
            self._stderr.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            msg = f"A worker process cannot be started: {error.strerror}."
            raise MedcnnError(msg, hint="Use fewer workers: --workers 1.") from error
        if self._popen.stdin is None or self._popen.stdout is None:
            raise AssertionError
        self._requests, self._replies = self._popen.stdin, self._popen.stdout
        _widen(self._replies)

    def set_up(self, setup: bytes) -> None:
        """Tell it what it is for, and wait until it is ready.

        Raises:
            EOFError: If it ended instead.
            OSError: If it ended before it listened.
        """
        send_bytes(self._requests, setup)
        receive_bytes(self._replies)

    def request(self, content: bytes) -> None:
        """Ask for something; if it is gone, reading the answer will tell."""
        with contextlib.suppress(OSError):
            send_bytes(self._requests, content)

    def receive(self, most_bytes: int) -> tuple[Kind, Message]:
        """Wait for the next message.

        Raises:
            EOFError: If it is gone.
            OSError: If it cannot be heard.
            ValueError: If it sends nonsense.
        """
        return receive(self._replies, most_bytes)

    @property
    def has_ended(self) -> bool:
        """Whether it ended by itself or was ended."""
        return self._popen.poll() is not None

    def kill(self) -> None:
        """End it at once."""
        self._popen.kill()

    def abandon(self) -> None:
        """Let go of it without ending it: it belongs to the process forked from.

        Nothing is closed here, for what is buffered would be written to it.
        """
        nowhere = os.open(os.devnull, os.O_RDWR)
        for channel in (self._requests, self._replies):
            with contextlib.suppress(OSError, ValueError):  # it was closed before
                os.dup2(nowhere, channel.fileno(), inheritable=False)
        os.close(nowhere)

    def bury(self) -> int:
        """End it, close everything that belongs to it, and return its exit status."""
        self._popen.kill()
        code = self._popen.wait()
        for channel in (self._requests, self._replies, self._stderr):
            with contextlib.suppress(OSError):  # nobody is left to read the rest
                channel.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        return code

    def last_words(self) -> str:
        """Return the last line that it wrote before it died."""
        self._stderr.seek(0)
        lines = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def cause_of_death(code: int) -> str:
    """Say in words how a process ended.

    Examples:
        >>> cause_of_death(7)
        'exit status 7'
    """
    if code >= 0:
        return f"exit status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _surroundings() -> tuple[IO[bytes], str]:
    """Make a file for what a process says, and a folder for what it unpacks.

    What a killed process leaves in its folder is removed with it.

    Raises:
        MedcnnError: If there is no place for them.
    """
    try:
        words = tempfile.TemporaryFile()  # noqa: SIM115 - see Process.bury
    except OSError as error:
        told = _no_place(error)
        raise told from error
    try:
        return words, tempfile.mkdtemp(prefix=FOLDER_PREFIX)
    except OSError as error:
        words.close()
        told = _no_place(error)
        raise told from error


def _no_place(error: OSError) -> MedcnnError:
    """Say that nothing can be written into the temporary folder, and what to do."""
    msg = "A worker process cannot be started: nothing can be written into the "
    msg += f"system's temporary folder ({error.strerror or error})."
    hint = "Free some space there, or name another folder in the variable TMPDIR."
    return MedcnnError(msg, hint=hint)


def _spawn(stderr: IO[bytes], folder: str) -> subprocess.Popen[bytes]:
    """Start a process that sees the same packages, uses one thread, and no terminal."""
    packages = os.pathsep.join(entry or _current_folder() for entry in sys.path)
    surroundings = {**os.environ, "PYTHONPATH": packages}
    surroundings |= dict.fromkeys(_ONE_THREAD, "1")
    surroundings |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), folder)
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        WORKER_COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=surroundings,
        start_new_session=True,  # Ctrl-C is for the process that started it
    )


def _current_folder() -> str:
    """Return the folder that a process is in; some folder without modules if none."""
    try:
        return str(Path.cwd())
    except OSError:  # it was deleted
        return os.devnull


def _widen(channel: IO[bytes]) -> None:
    """Let a pipe hold a whole answer, where the system knows how and allows it."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            fcntl.fcntl(channel.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
