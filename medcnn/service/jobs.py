"""Jobs: queued, one at a time in each lane, watched, cancelled, kept for a while."""

import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from medcnn.errors import MedcnnError, ServiceError, StoppedError
from medcnn.service.failures import facts_of_error
from medcnn.service.records import HeatmapFacts
from medcnn.service.watch import Watch

__all__ = ["Job", "Jobs", "Outcome", "State", "Work"]

State = Literal["queued", "running", "done", "failed", "cancelled"]

_MOST_KEPT = 100
_MOST_HEATMAP_BYTES = 2 << 30


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a job leaves.

    Attributes:
        facts: JSON values.
        heatmaps: Of a classification.
        folder: With the files of an evaluation; removed with the job.
    """

    facts: dict[str, Any]
    heatmaps: tuple[HeatmapFacts, ...] = ()
    folder: Path | None = None

    @property
    def nbytes(self) -> int:
        """Memory of the heatmaps."""
        return sum(one.heatmap.array.nbytes for one in self.heatmaps)


Work = Callable[[Watch], Outcome]


@dataclass(eq=False)
class Job:
    """One job, as it stands.

    Attributes:
        kind: "load", "classify", "evaluate", "plan" or "train".
        id: Nobody guesses it.
        state: Where it stands.
        progress: (done, total, words).
        error: What it failed of, as JSON values.
        outcome: What it left.
        started: When it began to run, in seconds of a clock; 0 before.
        seconds: How long it ran.
        stop: Set once it is to be cancelled.
        ended: Set once it is done, failed or cancelled.
    """

    kind: str
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: State = "queued"
    progress: tuple[int, int | None, str] = (0, None, "waiting")
    error: dict[str, str] | None = None
    outcome: Outcome | None = None
    started: float = 0.0
    seconds: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        done, total, words = self.progress
        running = self.state == "running"
        seconds = time.monotonic() - self.started if running else self.seconds
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "progress": {"done": done, "total": total, "words": words},
            "seconds": round(seconds, 3),
            "error": self.error,
            "result": None if self.outcome is None else self.outcome.facts,
        }


class Jobs:
    """All jobs of a service.

    Args:
        most_waiting: Most jobs that are not finished; more are refused.
    """

    def __init__(self, *, most_waiting: int = 16) -> None:
        self._most = most_waiting
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lanes: dict[str, ThreadPoolExecutor] = {}
        self._lock = threading.Lock()

    def submit(self, kind: str, work: Work, *, lane: str) -> Job:
        """Queue a job; those of one lane run one after the other.

        Raises:
            ServiceError: If too many wait already.
        """
        job = Job(kind)
        with self._lock:
            waiting = sum(not one.ended.is_set() for one in self._jobs.values())
            if waiting >= self._most:
                msg = f"{waiting} jobs wait or run already, which is the most."
                hint = "Wait for one, cancel one, or start the worker with --queue."
                raise ServiceError(msg, kind="busy", hint=hint)
            self._jobs[job.id] = job
            if lane not in self._lanes:
                self._lanes[lane] = ThreadPoolExecutor(1, thread_name_prefix=lane)
            self._lanes[lane].submit(self._run, job, work)
        self._tidy()
        return job

    def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            ServiceError: If there is none of that id.
        """
        job = self._jobs.get(job_id)
        if job is None:
            msg = "There is no such job."
            hint = f"The last {_MOST_KEPT} are kept; another worker knows others."
            raise ServiceError(msg, kind="missing", hint=hint)
        return job

    def all(self) -> list[Job]:
        """Return all jobs that are kept, the oldest first."""
        with self._lock:
            return list(self._jobs.values())

    def cancel(self, job_id: str) -> Job:
        """Cancel a job that waits or runs; forget a finished one.

        Raises:
            ServiceError: If there is none of that id.
        """
        job = self.get(job_id)
        with self._lock:
            if job.ended.is_set():
                self._forget(job)
                return job
            job.stop.set()
            if job.state == "queued":
                _end(job, "cancelled", error=facts_of_error(StoppedError()))
        return job

    def close(self) -> None:
        """Cancel everything, wait for what runs, and remove what was left."""
        for job in self.all():
            job.stop.set()
        for lane in self._lanes.values():
            lane.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            for job in list(self._jobs.values()):
                self._forget(job)

    def _run(self, job: Job, work: Work) -> None:
        with self._lock:
            if job.ended.is_set():
                return
            job.state, job.started = "running", time.monotonic()
            job.progress = (0, None, "starting")

        def progress(done: int, total: int | None, words: str) -> None:
            job.progress = done, total, words

        try:
            outcome = work(Watch(progress, job.stop.is_set))
        except StoppedError as error:
            self._finish(job, "cancelled", error=facts_of_error(error))
        except (MedcnnError, MemoryError, OSError) as error:
            self._finish(job, "failed", error=facts_of_error(error))
        except Exception as error:  # noqa: BLE001 - the lane must live on
            self._finish(job, "failed", error=facts_of_error(error))
        else:
            self._finish(job, "done", outcome=outcome)

    def _finish(
        self,
        job: Job,
        state: State,
        *,
        error: dict[str, str] | None = None,
        outcome: Outcome | None = None,
    ) -> None:
        with self._lock:
            job.outcome = outcome
            _end(job, state, error=error)
        self._tidy()

    def _tidy(self) -> None:
        """Forget the oldest finished jobs, and heatmaps beyond what memory is for."""
        with self._lock:
            finished = [j for j in self._jobs.values() if j.ended.is_set()]
            for job in finished[: max(0, len(self._jobs) - _MOST_KEPT)]:
                self._forget(job)
            held = 0
            for job in reversed(self._jobs.values()):
                if job.outcome is None or not job.outcome.heatmaps:
                    continue
                is_newest, held = not held, held + job.outcome.nbytes
                if held > _MOST_HEATMAP_BYTES and not is_newest:
                    job.outcome = Outcome(job.outcome.facts, (), job.outcome.folder)

    def _forget(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        if job.outcome is not None and job.outcome.folder is not None:
            shutil.rmtree(job.outcome.folder, ignore_errors=True)


def _end(job: Job, state: State, *, error: dict[str, str] | None) -> None:
    """Note how a job ended."""
    if job.started:
        job.seconds = time.monotonic() - job.started
    job.state, job.error = state, error
    job.ended.set()
