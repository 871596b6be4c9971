"""The worker processes of a run: a file in, a `Reading` out."""

import os
from typing import Self

from medcnn.bundle import BundleSpec
from medcnn.isolation import Crew as Workers
from medcnn.isolation import Limits
from medcnn.screening.wire import Reading, reading_of

__all__ = ["Crew"]

_JOB = "medcnn.screening.reader:job"


class Crew:
    """Several reader processes and the files they are at.

    Args:
        size: Number of processes, at least 1; they start with the first file.
        spec: Of the model that the files are prepared for.
        limits: Of each file.
    """

    def __init__(self, size: int, spec: BundleSpec, limits: Limits) -> None:
        setup = {"spec": spec.model_dump(mode="json")}
        self._workers = Workers(size, _JOB, setup, limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def started(self) -> bool:
        """Whether a file was submitted yet."""
        return self._workers.started

    def submit(self, number: int, path: os.PathLike[str]) -> None:
        """Have a file read; its answer will carry this number."""
        self._workers.submit(number, os.fspath(path))

    def poll(self, timeout_s: float) -> list[tuple[int, Reading]]:
        """Return what was finished, after waiting so long for it at most.

        Processes that are over their time are ended here.

        Raises:
            MedcnnError: If reader processes cannot be started.
        """
        arrived = self._workers.poll(timeout_s)
        return [(number, reading_of(answer)) for number, answer in arrived]

    def close(self) -> None:
        """End all processes."""
        self._workers.close()
