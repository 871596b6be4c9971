"""A job of a worker: how it stands, its end, what it found."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from MedCNNLib.client.downloads import finding, found
from MedCNNLib.client.errors import WorkerError

if TYPE_CHECKING:
    from MedCNNLib.client.aliases import Cancel, Facts, Progress
    from MedCNNLib.client.steps import Steps
    from MedCNNLib.client.wire import Wire

__all__ = ["JOB_SECONDS", "Job"]

JOB_SECONDS = 30.0
"""How long a worker may take to answer about a job."""

_LONG_POLL_SECONDS = 1.0


class Job:
    """Something that the worker does; ask it with `poll`, or `wait` for it.

    Attributes:
        id: Its id.
        kind: "load", "classify", "evaluate", "plan" or "train".
        facts: As last asked; see docs/worker.md.
    """

    def __init__(self, wire: Wire, facts: Facts) -> None:
        self._wire, self.facts = wire, facts
        self._result: Any = None
        self.id: str = facts["id"]
        self.kind: str = facts["kind"]
        self._where = f"/v1/jobs/{quote(self.id)}"

    @property
    def state(self) -> str:
        """queued, running, done, failed or cancelled, as last asked."""
        state: str = self.facts["state"]
        return state

    @property
    def finished(self) -> bool:
        """Whether it has ended, as last asked."""
        return self.state not in {"queued", "running"}

    @property
    def progress(self) -> tuple[int, int | None, str]:
        """(done, total, words), as last asked; a total of None is not known."""
        told = self.facts["progress"]
        return told["done"], told["total"], told["words"]

    def poll(self, wait: float = 0.0) -> Facts:
        """Ask how it stands; wait for its end at most so many seconds."""
        if not self.finished:
            where = f"{self._where}?wait={wait:.3f}" if wait else self._where
            self.facts = self._wire.ask("GET", where, seconds=JOB_SECONDS + wait)
        return self.facts

    def polling(self) -> Steps:
        """As `poll`, in steps that never wait; see `Client.uploading`."""
        if not self.finished:
            asked = self._wire.asking("GET", self._where, seconds=JOB_SECONDS)
            self.facts = yield from asked

    def fetching(self) -> Steps:
        """Fetch what it found in steps; `result` then has it at once."""
        if self._result is None and self.facts["error"] is None:
            self._result = yield from finding(self._wire, self.facts)

    def cancel(self) -> Facts:
        """Cancel it; it ends as soon as it can."""
        if not self.finished:
            told = self._wire.ask("DELETE", self._where, seconds=JOB_SECONDS)
            self._cancelled(told)
        return self.facts

    def cancelling(self) -> Steps:
        """As `cancel`, in steps that never wait; see `Client.uploading`."""
        if not self.finished:
            asked = self._wire.asking("DELETE", self._where, seconds=JOB_SECONDS)
            self._cancelled((yield from asked))

    def _cancelled(self, facts: Facts) -> None:
        self.facts = facts
        if self.state in {"done", "failed"}:  # it ended first, and is forgotten
            error = {"kind": "stopped", "message": "It was cancelled.", "hint": ""}
            self.facts = {**self.facts, "state": "cancelled", "error": error}

    def wait(
        self,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        timeout: float | None = None,
    ) -> Job:
        """Wait for its end.

        Args:
            progress: Told (done, total, words).
            cancel: A function or threading.Event; once it says true it is cancelled.
            timeout: Seconds after which it is cancelled.

        Raises:
            WorkerError: If the worker does not answer, or out of time.
        """
        until = None if timeout is None else time.monotonic() + timeout
        told = None
        while not self.finished:
            if _is_set(cancel):
                self.cancel()
                cancel = None
            if until is not None and time.monotonic() > until:
                self.cancel()
                message = f"It was not finished after {timeout:g} s, and is cancelled."
                raise WorkerError(message, "Give it more time.", "timeout")
            self.poll(0.1 if cancel is not None else _LONG_POLL_SECONDS)
            if progress is not None and self.progress != told and not self.finished:
                told = self.progress
                progress(*told)
        return self

    def result(self) -> Any:
        """Return what it found.

        Returns:
            An `Image` of "load", a `Result` of "classify", a dict of the others.

        Raises:
            WorkerError: If it failed, was cancelled, or is not finished.
        """
        if not self.finished:
            message = "The job is not finished."
            raise WorkerError(message, "Poll it, or wait for it.", "state")
        error = self.facts["error"]
        if error is not None:
            raise WorkerError(error["message"], error["hint"], error["kind"])
        if self._result is None:
            self._result = found(self._wire, self.facts)
        return self._result


def _is_set(cancel: Cancel | None) -> bool:
    if cancel is None:
        return False
    asked = cancel.is_set if hasattr(cancel, "is_set") else cancel
    return bool(asked())
