"""One worker and one task at a time, moved on by a timer: the viewer never waits.

Slicer's Python threads stand still while nothing else runs, so nothing here is a
thread: `step` moves what can be moved in a twentieth of a second, and is called again
and again. Images and heatmaps travel in pieces, so that large ones hold nobody up.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from inspect import isgenerator
from typing import Any

from MedCNNLib.client import Client, Job, Worker, WorkerError
from MedCNNLib.errors import ViewerError
from MedCNNLib.steps import Steps

__all__ = ["Session", "Task"]

_GONE = {"connection", "start", "version"}
_STEP_SECONDS = 0.05
_HINTS = {
    "folder": "Name that folder, or one above it, as Your data (section Python with "
    "medcnn).",
}
"""What to do about it here, where the worker's own advice is for its command line."""

_STOP_SECONDS = 10.0
"""For a worker to say that it has stopped a job; then it is ended."""

_FETCHING = {
    "load": "Fetching the image ...",
    "classify": "Fetching the heatmap ...",
    "evaluate": "Fetching the report ...",
    "plan": "Fetching the plan ...",
    "train": "Asking which models there are ...",
}


class Task:
    """Something that is asked of the worker.

    Args:
        words: What it is, for the panel.
        submit: Hands it to the worker; gives its job, or None if it is done at once, or
            steps at whose end there is one of these.
        done: Takes the job, finished without an error; None if there was none. What is
            long may be returned as steps, too.
    """

    def __init__(
        self,
        words: str,
        submit: Callable[[Client], Job | Steps | None],
        done: Callable[[Job | None], Steps | None],
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
        self._course: Steps | None = None
        self._share: float | None = None
        self._leaving: list[Steps] = []

    @property
    def is_busy(self) -> bool:
        """Whether there is a task; no other is taken meanwhile."""
        return self._task is not None

    @property
    def is_idle(self) -> bool:
        """Whether `step` need not be called again: no task, and no worker that ends."""
        return self._task is None and not self._leaving

    @property
    def is_moving(self) -> bool:
        """Whether an image or heatmap is on its way: `step` had better come at once."""
        return self._share is not None

    @property
    def words(self) -> str:
        """What is going on; empty if nothing is."""
        if self._task is None:
            return ""
        if self._share is not None:
            return "Sending ..." if self._job is None else _FETCHING[self._job.kind]
        if self._job is None:
            return "Starting the worker ..."
        return self._job.progress[2] or self._task.words

    @property
    def share(self) -> float | None:
        """How much is done, 0 to 1; None while that is not known."""
        if self._job is None or self._share is not None:
            return self._share
        done, total, _ = self._job.progress
        return done / total if total else None

    def configure(self, python: str, folders: Sequence[str]) -> None:
        """Say which Python has medcnn, and below which folders it may read.

        A worker that runs with others is ended; the next task starts another.
        """
        options = {"python": python or None, "folders": tuple(f for f in folders if f)}
        if options != self._options:
            self._options = options
            self._let_go()

    def run(self, task: Task) -> bool:
        """Begin a task; say whether it was taken: one at a time.

        A busy session takes none.
        """
        if self._task is not None:
            return False
        self._task, self._course = task, self._course_of(task)
        return True

    def step(self) -> None:
        """Move on what is going on; never wait."""
        self._leaving = [each for each in self._leaving if _goes_on(each)]
        if self._task is None:
            return
        try:
            self._move_on()
        except WorkerError as error:
            if error.kind in _GONE:
                self._let_go()
            self._forget()
            if error.kind == "stopped":
                self._failed("Stopped.")
            else:
                hint = _HINTS.get(error.kind, error.hint)
                self._failed(f"{error.message} {hint}".strip())
        except ViewerError as error:
            self._forget()
            self._failed(error.words)
        except OSError as error:
            self._forget()
            why = error.strerror or type(error).__name__
            self._failed(f"The system refused: {why}. Check disk and permissions.")
        except Exception as error:
            self._forget()
            told = f"An error that was not foreseen: {type(error).__name__}. "
            self._failed(told + "Please report it, with what the Python console says.")
            raise

    def cancel(self) -> None:
        """Stop what is going on; the worker is told, and `failed` says when it is."""
        if self._job is None or self._job.finished:
            was_busy = self.is_busy
            self._forget()
            if was_busy:
                self._failed("Stopped.")
            return
        if self._course is not None:
            self._course.close()
        self._course = self._stopping(self._job)

    def drop(self) -> None:
        """Stop what is going on, and forget it: nobody is told how it ended."""
        if self._job is not None:
            with contextlib.suppress(WorkerError):
                _tell(self._job.cancelling())
        self._forget()

    def close(self) -> None:
        """End the worker and whatever it does; wait until it is gone."""
        self._let_go()
        while self._leaving:
            time.sleep(0.01)
            self._leaving = [each for each in self._leaving if _goes_on(each)]

    def _let_go(self) -> None:
        """Tell the worker to end; `step` sees to it that it does."""
        self._forget()
        worker, self._worker = self._worker, None
        if worker is not None:
            ending = worker.ending()
            if _goes_on(ending):
                self._leaving.append(ending)

    def _move_on(self) -> None:
        """Take pieces of the course until its time is up or the worker's turn comes."""
        until = time.monotonic() + _STEP_SECONDS
        try:
            while self._course is not None and time.monotonic() < until:
                share = next(self._course)
                if share is None:
                    return
                self._share = share
        except StopIteration:
            self._forget()

    def _course_of(self, task: Task) -> Steps:
        """Start the worker, hand the task over, wait for its job, show what it found.

        Yields:
            How much of an image or heatmap was moved, or None to be asked again later.
        """
        if self._worker is None:
            self._worker = self._start(wait=False, **self._options)
        while not self._worker.ready():
            yield None
        made = task.submit(self._worker)
        job = (yield from made) if isgenerator(made) else made
        if job is not None:
            yield from self._waiting(job)
        shown = task.done(job)
        if isgenerator(shown):
            yield from shown

    def _waiting(self, job: Job) -> Steps:
        """Wait for a job, and fetch what it found; raises what it failed of."""
        self._job, self._share = job, None
        while not job.finished:
            yield None
            yield from job.polling()
            self._share = None
        yield from job.fetching()
        job.result()

    def _stopping(self, job: Job) -> Steps:
        """Have the worker stop a job; one that does not say so in time is ended.

        Raises:
            WorkerError: In any case: that it is stopped, or that nobody answers.
        """
        until = time.monotonic() + _STOP_SECONDS
        for share in self._course_of_stop(job):
            if time.monotonic() > until:
                msg = "The worker does not answer, and is ended."
                raise WorkerError(msg, "Press it again: another is started.", "start")
            yield share
        stopped = WorkerError("Stopped.", "", "stopped")
        raise stopped

    @staticmethod
    def _course_of_stop(job: Job) -> Steps:
        """Cancel a job, and wait until it has ended."""
        yield from job.cancelling()
        while not job.finished:
            yield None
            yield from job.polling()

    def _forget(self) -> None:
        course, self._course = self._course, None
        if course is not None:
            course.close()
        self._task = self._job = self._share = None


def _goes_on(steps: Steps) -> bool:
    """Take a step; say whether there are more."""
    try:
        next(steps)
    except StopIteration:
        return False
    return True


def _tell(steps: Steps) -> None:
    """Take steps until a question is sent; nobody waits for the answer."""
    for share in steps:
        if share is None:
            break
    steps.close()
