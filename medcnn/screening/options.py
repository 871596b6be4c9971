"""How a screening run is done, as data."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from medcnn.isolation import Limits

__all__ = ["Heatmaps", "Limits", "Options"]

Heatmaps = Literal["flagged", "all", "none"]

_MOST_WORKERS = 16


@dataclass(frozen=True)
class Options:
    """How a run is done; what changes its results must stay the same when it goes on.

    Attributes:
        workers: Reader processes; None takes one for each processor, at most 16.
        heatmaps: Which images in scope get one.
        report: Whether report.html is written at the end.
        identify: Whether it may hold patients' numbers and DICOM UIDs.
        retry_errors: Whether files that could not be read earlier are tried again.
        compare_with: Output folders of earlier runs that it is compared with.
        limits: What one file may cost.

    Raises:
        ValueError: If there are no workers, or `heatmaps` is an unknown word.
    """

    workers: int | None = None
    heatmaps: Heatmaps = "flagged"
    report: bool = True
    identify: bool = False
    retry_errors: bool = False
    compare_with: tuple[Path, ...] = ()
    limits: Limits = field(default_factory=Limits)

    @property
    def processes(self) -> int:
        """Number of reader processes."""
        return self.workers or min(_processors(), _MOST_WORKERS)

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            msg = f"workers must be at least 1, got {self.workers}"
            raise ValueError(msg)
        if self.heatmaps not in {"flagged", "all", "none"}:
            msg = f"heatmaps must be flagged, all or none, got {self.heatmaps!r}"
            raise ValueError(msg)


def _processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
