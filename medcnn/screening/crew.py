"""Reader processes that may crash, hang or burst without harm to the run.

Each process is looked after by one thread, which hands it a file at a time, knows
therefore which file it died of, and starts another one in its place.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from medcnn.bundle import BundleSpec
from medcnn.errors import MedcnnError
from medcnn.screening.options import Limits
from medcnn.screening.wire import Failure, Reading, receive, receive_bytes, send_bytes

if sys.platform == "linux":
    import fcntl

__all__ = ["Crew"]

READER_COMMAND = (
    *(sys.executable, "-P", "-c"),
    "from medcnn.screening.reader import main; main()",
)
"""What starts a reader process."""

_START_S = 120.0
_AHEAD = 2
_PIPE_BYTES = 1 << 20
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Crew:
    """Several reader processes and the files they are at.

    Args:
        size: Number of processes, at least 1; they start with the first file.
        spec: Of the model that the files are prepared for.
        limits: Of each file.
    """

    def __init__(
        self,
        size: int,
        spec: BundleSpec,
        limits: Limits,
    ) -> None:
        setup = {
            "spec": spec.model_dump(mode="json"),
            "memory_bytes": limits.memory_bytes,
            "timeout_s": limits.timeout_s,
        }
        self._desk = _Desk(json.dumps(setup).encode(), limits)
        self._size = size
        self._members: list[_Member] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def started(self) -> bool:
        """Whether a file was submitted yet."""
        return bool(self._members)

    def submit(self, number: int, path: Path) -> None:
        """Have a file read; its answer will carry this number."""
        if not self._members:
            self._members = [_Member(self._desk) for _ in range(self._size)]
        self._desk.tasks.put(_Task(number, path))

    def poll(self, timeout_s: float) -> list[tuple[int, Reading]]:
        """Return what was finished, after waiting so long for it at most.

        Processes that are over their time are ended here.

        Raises:
            MedcnnError: If reader processes cannot be started.
        """
        for member in self._members:
            member.end_if_overdue()
        found: list[tuple[int, Reading]] = []
        try:
            result = self._desk.results.get(timeout=timeout_s)
            while True:
                if isinstance(result, MedcnnError):
                    raise result
                found.append(result)
                result = self._desk.results.get_nowait()
        except queue.Empty:
            return found

    def close(self) -> None:
        """End all processes."""
        for member in self._members:
            member.dismiss()
        for _ in self._members:
            self._desk.tasks.put(None)
        for member in self._members:
            member.join()
        self._members = []


_Result = tuple[int, Reading] | MedcnnError


@dataclass(frozen=True)
class _Task:
    number: int
    path: Path


@dataclass(frozen=True)
class _Desk:
    """What all members of a crew share."""

    setup: bytes
    limits: Limits
    tasks: "queue.SimpleQueue[_Task | None]" = field(default_factory=queue.SimpleQueue)
    results: "queue.SimpleQueue[_Result]" = field(default_factory=queue.SimpleQueue)


class _Member:
    """One reader process after the other, and the thread that looks after them."""

    def __init__(self, desk: _Desk) -> None:
        self._desk = desk
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None
        self._held: deque[_Task] = deque()  # the first is being read
        self._lock = threading.Lock()
        self._deadline: float | None = None
        self._overdue: _Task | None = None
        self._dismissed = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def end_if_overdue(self) -> None:
        """Kill the process if its present file takes too long."""
        with self._lock:
            if self._deadline is None or time.monotonic() < self._deadline:
                return
            self._deadline = None
            self._overdue = self._held[0] if self._held else None
            if self._process is not None:
                self._process.kill()

    def dismiss(self) -> None:
        """Kill the process; the thread ends once it is told so too."""
        with self._lock:
            self._dismissed = True
            if self._process is not None:
                self._process.kill()

    def join(self) -> None:
        """Wait for the thread to end."""
        self._thread.join()

    def _is_dismissed(self) -> bool:
        return self._dismissed

    # ------------------------------------------------------- inside the thread

    def _work(self) -> None:
        try:
            while not self._dismissed and self._take():
                self._answer()
        except MedcnnError as error:
            self._desk.results.put(error)
        finally:
            self._bury()

    def _take(self) -> bool:
        """Hold a few files, waiting for one if there is none; False at the end."""
        tasks = self._desk.tasks
        while len(self._held) < _AHEAD:
            try:
                task = tasks.get(block=not self._held)
            except queue.Empty:
                return True
            if task is None:
                return False
            self._hold(task)
        return True

    def _hold(self, task: _Task) -> None:
        with self._lock:
            self._held.append(task)
            if len(self._held) == 1:
                self._start_clock()
        if self._process is not None:
            self._request(task)

    def _answer(self) -> None:
        """Wait for the answer to the first file held, or find out what it died of."""
        if self._process is None:
            self._start()
        process = self._process
        if process is None or process.stdout is None:
            return
        try:
            reading: Reading | None = receive(process.stdout)
        except (EOFError, OSError, ValueError):
            reading = self._post_mortem()
        if reading is None:
            return
        with self._lock:
            task = self._held.popleft()
            self._start_clock()
        self._desk.results.put((task.number, reading))

    def _start_clock(self) -> None:
        """Give the first file held its time; the lock is held."""
        allowed = self._desk.limits.timeout_s
        self._deadline = time.monotonic() + allowed if self._held else None

    def _request(self, task: _Task) -> None:
        """Ask for a file; if the process is gone, reading the answer will tell."""
        if self._process is None or self._process.stdin is None:
            return
        try:
            send_bytes(self._process.stdin, os.fsencode(task.path))
        except OSError:
            return

    def _start(self) -> None:
        """Start a process and hand it all files held.

        Raises:
            MedcnnError: If it does not come up.
        """
        with self._lock:
            if self._dismissed:
                return
            self._deadline = time.monotonic() + _START_S
            self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by _bury
            self._process = _spawn(self._stderr)
        process = self._process
        if process.stdin is None or process.stdout is None:
            return
        try:
            send_bytes(process.stdin, self._desk.setup)
            receive_bytes(process.stdout)
        except (EOFError, OSError) as error:
            if self._is_dismissed():
                return
            msg = f"A reader process cannot be started: {self._last_words()}"
            raise MedcnnError(msg, hint="Check the installation.") from error
        with self._lock:
            self._start_clock()
        for task in self._held:
            self._request(task)

    def _post_mortem(self) -> Reading | None:
        """Bury the process; return what it means for the first file held.

        Returns:
            None if that file is not to blame and is to be read again.
        """
        code = self._bury()
        with self._lock:
            overdue, self._overdue = self._overdue, None
        if self._dismissed:
            return None
        limits = self._desk.limits
        if overdue is self._held[0] or code == -getattr(signal, "SIGALRM", 0):
            error = f"reading it took longer than {limits.timeout_s:g} s."
            hint = "It may be broken on purpose; look at it: medcnn inspect PATH."
            return Reading(failure=Failure("timeout", error, hint))
        if overdue is not None:  # it was ended for a file it had just finished
            return None
        error = f"the process that read it died ({_cause(code)})."
        hint = "It may be broken on purpose, or memory ran out; run it again alone."
        return Reading(failure=Failure("crash", error, hint))

    def _bury(self) -> int:
        """End the process, if there is one, and return its exit status."""
        with self._lock:
            process, self._process = self._process, None
            self._deadline = None
        if process is None:
            return 0
        process.kill()
        code = process.wait()
        for channel in (process.stdin, process.stdout, self._stderr):
            if channel is not None:
                _close(channel)
        return code

    def _last_words(self) -> str:
        """Return the last line that the process wrote before it died."""
        if self._stderr is None:
            return "it said nothing"
        self._stderr.seek(0)
        lines = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def _spawn(stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a process that sees the same packages, uses one thread, and no terminal.

    Raises:
        MedcnnError: If the system starts no more processes.
    """
    packages = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    surroundings = {**os.environ, "PYTHONPATH": packages}
    surroundings |= dict.fromkeys(_ONE_THREAD, "1")
    try:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            READER_COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=surroundings,
            start_new_session=True,  # Ctrl-C is for the process that started it
        )
    except OSError as error:
        msg = f"A reader process cannot be started: {error.strerror}."
        raise MedcnnError(msg, hint="Use fewer workers: --workers 1.") from error
    _widen(process.stdout)
    return process


def _widen(channel: IO[bytes] | None) -> None:
    """Let a pipe hold a whole answer, where the system knows how and allows it."""
    if sys.platform == "linux" and channel is not None:
        with contextlib.suppress(OSError):
            fcntl.fcntl(channel.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _close(channel: IO[bytes]) -> None:
    try:
        channel.close()
    except OSError:  # what was still to be written has nobody to read it
        return


def _cause(code: int) -> str:
    """Say in words how a process ended."""
    if code >= 0:
        return f"exit status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
