"""One worker and one task at a time, moved on by a timer: the viewer never waits.

Slicer's Python threads stand still while nothing else runs, so nothing here is a
thread: `step` asks the worker once, takes milliseconds, and is called again and again.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from MedCNNLib.client import Client, Job, Worker, WorkerError
from MedCNNLib.errors import ViewerError

__all__ = ["Session", "Task"]

_GONE = {"connection", "start"}


class Task:
    """Something that is asked of the worker.

    Args:
        words: What it is, for the panel.
        submit: Hands it to the worker; gives its job, or None if it is done at once.
        done: Takes the job, finished without an error; None if there was none.
    """

    def __init__(
        self,
        words: str,
        submit: Callable[[Client], Job | None],
        done: Callable[[Job | None], None],
    ) -> None:
        self.words, self.submit, self.done = words, submit, done


class Session:
    """Start the worker when it is first needed, and do one task after the other.

    Args:
        failed: Told the sentences of what went wrong.
        start: Starts a worker without waiting for it; tests give another.
    """

    def __init__(
        self,
        failed: Callable[[str], None],
        start: Callable[..., Worker] = Worker,
    ) -> None:
        self._failed, self._start = failed, start
        self._options: dict[str, Any] = {}
        self._worker: Worker | None = None
        self._task: Task | None = None
        self._job: Job | None = None

    @property
    def is_busy(self) -> bool:
        """Whether `step` is to be called again."""
        return self._task is not None

    @property
    def words(self) -> str:
        """What is going on; empty if nothing is."""
        if self._task is None:
            return ""
        if self._job is None:
            return "Starting the worker ..."
        return self._job.progress[2] or self._task.words

    @property
    def share(self) -> float | None:
        """How much is done, 0 to 1; None while that is not known."""
        if self._job is None:
            return None
        done, total, _ = self._job.progress
        return done / total if total else None

    def configure(self, python: str, folders: Sequence[str]) -> None:
        """Say which Python has medcnn, and below which folders it may read.

        A worker that runs with others is ended; the next task starts another.
        """
        options = {"python": python or None, "folders": tuple(f for f in folders if f)}
        if options != self._options:
            self._options = options
            self.close()

    def run(self, task: Task) -> bool:
        """Begin a task; say whether it was taken: one at a time.

        A busy session takes none.
        """
        if self._task is not None:
            return False
        self._task = task
        return True

    def step(self) -> None:
        """Move on what is going on; never wait."""
        if self._task is None:
            return
        try:
            self._move_on(self._task)
        except WorkerError as error:
            if error.kind in _GONE:
                self.close()
            self._forget()
            if error.kind == "stopped":
                self._failed("Stopped.")
            else:
                self._failed(str(error))
        except ViewerError as error:
            self._forget()
            self._failed(error.words)

    def cancel(self) -> None:
        """Stop what is going on; the worker is told, and `failed` says when it is."""
        if self._job is None:
            was_busy = self.is_busy
            self._forget()
            if was_busy:
                self._failed("Stopped.")
            return
        try:
            self._job.cancel()
        except WorkerError as error:
            self._forget()
            self.close()
            self._failed(str(error))

    def drop(self) -> None:
        """Stop what is going on, and forget it: nobody is told how it ended."""
        if self._job is not None:
            with contextlib.suppress(WorkerError):
                self._job.cancel()
        self._forget()

    def close(self) -> None:
        """End the worker and whatever it does."""
        self._forget()
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def _move_on(self, task: Task) -> None:
        if self._worker is None:
            self._worker = self._start(wait=False, **self._options)
        if not self._worker.ready():
            return
        if self._job is None:
            self._job = task.submit(self._worker)
            if self._job is None:
                self._forget()
                task.done(None)
            return
        self._job.poll()
        if self._job.finished:
            job = self._job
            job.result()  # raises what it failed of
            self._forget()
            task.done(job)

    def _forget(self) -> None:
        self._task = self._job = None
