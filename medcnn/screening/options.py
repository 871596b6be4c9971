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
        identify: Whether patients' numbers are kept, and the report may hold them and
            DICOM UIDs.
        retry_errors: Whether files that could not be read earlier are tried again.
        compare_with: Output folders of earlier runs that it is compared with.
        limits: What one file may cost.
        cluster: "ray" to work on a cluster; None on this machine alone.
        address: Of the cluster's head; None starts one here.

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
    cluster: Literal["ray"] | None = None
    address: str | None = None

    @property
    def processes(self) -> int:
        """Number of reader processes."""
        return self.workers or min(_processors(), _MOST_WORKERS)

    def noted(self) -> dict[str, int | float | str]:
        """Return what run.json says of them."""
        facts: dict[str, int | float | str] = {
            "heatmaps": self.heatmaps,
            "workers": self.processes,
            "timeout_s": self.limits.timeout_s,
            "memory_bytes": self.limits.memory_bytes,
            "samples": self.limits.samples,
            "frames": self.limits.frames,
        }
        if self.cluster is not None:
            facts["workers"] = self.workers or "one for each processor"
            facts["cluster"] = self.cluster
        return facts

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            msg = f"workers must be at least 1, got {self.workers}"
            raise ValueError(msg)
        if self.address is not None and self.cluster is None:
            msg = "an address is that of a cluster; name its kind: cluster='ray'"
            raise ValueError(msg)
        if self.cluster not in {None, "ray"}:
            msg = f"cluster must be 'ray' or None, got {self.cluster!r}"
            raise ValueError(msg)
        if self.heatmaps not in {"flagged", "all", "none"}:
            msg = f"heatmaps must be flagged, all or none, got {self.heatmaps!r}"
            raise ValueError(msg)


def _processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
