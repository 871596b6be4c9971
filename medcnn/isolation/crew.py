"""Worker processes that may crash, hang or burst without harm to who asked them.

Each process is looked after by one thread, which hands it a request at a time, knows
therefore which one it died of, and starts another process in its place.
"""

import contextlib
import json
import os
import queue
import signal
import threading
import time
import weakref
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Self

from medcnn.errors import MedcnnError
from medcnn.isolation.limits import Limits
from medcnn.isolation.process import Process, cause_of_death
from medcnn.isolation.wire import Failure, Kind, Message

__all__ = ["Answer", "Crew"]

Answer = tuple[Message, ...] | Failure
"""The messages that a job sent for a request, or why there are none."""

_START_S = 120.0
_AHEAD = 2
_ASK_S = 0.25


class Crew:
    """Several worker processes that run one job, and the requests they are at.

    Args:
        size: Number of processes, at least 1; they start with the first request.
        job: "module:function"; see `medcnn.isolation.worker.Job`.
        setup: JSON values for the job.
        limits: Of each request.
    """

    def __init__(self, size: int, job: str, setup: Any, limits: Limits) -> None:
        told = {
            "job": job,
            "setup": setup,
            "memory_bytes": limits.memory_bytes,
            "timeout_s": limits.timeout_s,
            "bounds": {"samples": limits.samples, "frames": limits.frames},
        }
        self._desk = _Desk(json.dumps(told).encode(), limits)
        self._results: _Results = queue.SimpleQueue()
        self._size = size
        self._members: list[_Member] = []
        self._lock = threading.Lock()
        _CREWS.add(self)

    def start_afresh(self) -> None:
        """Forget the processes of the process this one was forked from.

        They answer it, and the threads that looked after them did not come along.
        """
        for member in self._members:
            member.abandon()
        self._desk = _Desk(self._desk.setup, self._desk.limits)
        self._results = queue.SimpleQueue()
        self._members = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def started(self) -> bool:
        """Whether there are processes."""
        return bool(self._members)

    def start(self) -> None:
        """Start the processes now, not with the first request."""
        self._need_members(is_early=True)

    def submit(self, number: int, request: Any) -> None:
        """Hand in a request of JSON values; its answer will carry this number."""
        self._submit(_Task(number, json.dumps(request).encode(), self._results))

    def poll(self, timeout_s: float) -> list[tuple[int, Answer]]:
        """Return what was finished, after waiting so long for it at most.

        Processes that are over their time are ended here.

        Raises:
            MedcnnError: If worker processes cannot be started.
        """
        return self._collect(self._results, timeout_s)

    def ask(self, request: Any) -> Answer:
        """Hand in a request and wait for its answer; several threads may.

        Raises:
            MedcnnError: If worker processes cannot be started.
        """
        mine: _Results = queue.SimpleQueue()
        self._submit(_Task(0, json.dumps(request).encode(), mine))
        while True:
            for _, answer in self._collect(mine, _ASK_S):
                return answer

    def close(self) -> None:
        """End all processes."""
        for member in self._members:
            member.dismiss()
        for _ in self._members:
            self._desk.tasks.put(None)
        for member in self._members:
            member.join()
        self._members = []
        self._desk.refuse_what_waits()

    def _need_members(self, *, is_early: bool) -> None:
        with self._lock:
            if not self._members:
                desk, count = self._desk, self._size
                self._members = [_Member(desk, is_early=is_early) for _ in range(count)]

    def _submit(self, task: "_Task") -> None:
        self._need_members(is_early=False)
        self._desk.tasks.put(task)

    def _collect(
        self, results: "_Results", timeout_s: float
    ) -> list[tuple[int, Answer]]:
        for member in self._members:
            member.end_if_overdue()
        found: list[tuple[int, Answer]] = []
        try:
            result = results.get(timeout=timeout_s)
            while True:
                if isinstance(result, MedcnnError):
                    raise result
                found.append(result)
                result = results.get_nowait()
        except queue.Empty:
            return found


_CREWS: "weakref.WeakSet[Crew]" = weakref.WeakSet()


def _after_fork() -> None:
    for crew in tuple(_CREWS):
        crew.start_afresh()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

_Results = queue.SimpleQueue[tuple[int, Answer] | MedcnnError]


@dataclass(frozen=True)
class _Task:
    number: int
    request: bytes
    results: _Results


@dataclass(frozen=True)
class _Desk:
    """What all members of a crew share."""

    setup: bytes
    limits: Limits
    tasks: "queue.SimpleQueue[_Task | None]" = field(default_factory=queue.SimpleQueue)

    def refuse_what_waits(self) -> None:
        """Tell those who wait for requests that nobody took."""
        with contextlib.suppress(queue.Empty):
            while True:
                task = self.tasks.get_nowait()
                if task is not None:
                    task.results.put(_closed())


def _closed() -> MedcnnError:
    return MedcnnError("It was closed before the file was read.")


class _Member:
    """One worker process after the other, and the thread that looks after them."""

    def __init__(self, desk: _Desk, *, is_early: bool) -> None:
        self._desk = desk
        self._is_early = is_early
        self._process: Process | None = None
        self._held: deque[_Task] = deque()  # the first is being worked on
        self._pieces: list[Message] = []
        self._at: Message | None = None
        self._lock = threading.Lock()
        self._deadline: float | None = None
        self._overdue: _Task | None = None
        self._dismissed = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def end_if_overdue(self) -> None:
        """Kill the process if its present request takes too long."""
        with self._lock:
            if self._deadline is None or time.monotonic() < self._deadline:
                return
            self._deadline = None
            self._overdue = self._held[0] if self._held else None
            if self._process is not None:
                self._process.kill()

    def abandon(self) -> None:
        """Leave the process to the one this process was forked from."""
        if self._process is not None:
            self._process.abandon()

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
        if self._is_early:
            try:
                self._start()
            except MedcnnError:  # the first request will try again, and tell
                self._bury()
        while not self._dismissed and self._take():
            try:
                self._answer()
            except MedcnnError as error:
                self._give_up(error)
        self._give_up(_closed())

    def _give_up(self, error: MedcnnError) -> None:
        self._bury()
        while self._held:
            self._held.popleft().results.put(error)

    def _take(self) -> bool:
        """Hold a few requests, waiting for one if there is none; False at the end."""
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
        if not self._held and self._process is not None and self._process.has_ended:
            self._bury()  # while it had nothing to do: no request is to blame
        with self._lock:
            self._held.append(task)
            if len(self._held) == 1:
                self._start_clock()
        if self._process is not None:
            self._process.request(task.request)

    def _answer(self) -> None:
        """Wait for the next message on the first request, or find out what it died of.

        Raises:
            MedcnnError: If no process can be started.
        """
        if self._process is None:
            self._start()
        if self._process is None:  # dismissed meanwhile
            return
        try:
            kind, message = self._process.receive(self._desk.limits.memory_bytes)
            answer = self._sort(kind, message)
        except Exception:  # noqa: BLE001 - it may be in a hostile file's hands
            answer = self._post_mortem()
        if answer is None:
            return
        with self._lock:
            task = self._held.popleft()
            self._begin()
        task.results.put((task.number, answer))

    def _sort(self, kind: Kind, message: Message) -> Answer | None:
        """Keep what belongs to an answer; return it when it is complete."""
        if kind is Kind.FAILURE:
            return Failure(**message.facts)
        if kind is Kind.ANSWER:
            return (*self._pieces, message)
        with self._lock:
            self._start_clock()
        if kind is Kind.BEAT:
            self._at = message
        else:
            self._pieces.append(message)
        return None

    def _begin(self) -> None:
        """Turn to the first request held; the lock is held."""
        self._pieces, self._at = [], None
        self._start_clock()

    def _start_clock(self) -> None:
        """Give the first request held its time; the lock is held."""
        allowed = self._desk.limits.timeout_s
        self._deadline = time.monotonic() + allowed if self._held else None

    def _start(self) -> None:
        """Start a process and hand it all requests held.

        Raises:
            MedcnnError: If it does not come up.
        """
        with self._lock:
            if self._dismissed:
                return
            self._deadline = time.monotonic() + _START_S
            self._process = process = Process()
        try:
            process.set_up(self._desk.setup)
        except (EOFError, OSError) as error:
            if self._is_dismissed():
                return
            msg = f"A worker process cannot be started: {process.last_words()}"
            raise MedcnnError(msg, hint="Check the installation.") from error
        with self._lock:
            self._begin()
        for task in self._held:
            process.request(task.request)

    def _post_mortem(self) -> Failure | None:
        """Bury the process; return what it means for the first request held.

        Returns:
            None if that request is not to blame and is to be done again.
        """
        code = self._bury()
        with self._lock:
            overdue, self._overdue = self._overdue, None
        if self._dismissed or not self._held:
            return None
        seconds = self._desk.limits.timeout_s
        at = {} if self._at is None else dict(self._at.facts)
        if overdue is self._held[0] or code == -getattr(signal, "SIGALRM", 0):
            error = f"reading it took longer than {seconds:g} s."
            hint = "It may be broken on purpose; look at it: medcnn inspect PATH."
            return Failure("timeout", error, hint, **at)
        if overdue is not None:  # it was ended for a request it had just finished
            return None
        error = f"the process that read it died ({cause_of_death(code)})."
        hint = "It may be broken on purpose, or memory ran out; run it again alone."
        return Failure("crash", error, hint, **at)

    def _bury(self) -> int:
        """End the process, if there is one, and return its exit status."""
        with self._lock:
            process, self._process = self._process, None
            self._deadline = None
        return 0 if process is None else process.bury()
