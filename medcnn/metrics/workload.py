"""How much reading a triage saves, and what it misses."""

import numpy as np
import numpy.typing as npt

from medcnn.metrics.classes import FloatArray, sweep

__all__ = ["least_read", "read_and_missed", "workload_at", "workload_curve"]


def workload_curve(
    truth: npt.ArrayLike, score: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the share of cases read against the share of the diseased missed.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,), as common as in practice.
        score: Higher means more likely diseased, shape (N,).

    Returns:
        Share of all cases that are read, share of the diseased that are not, and the
        threshold from which on a case is read, shapes (K + 1,): from reading nobody
        (threshold infinity) to reading all.

    Raises:
        UndefinedMetricError: If only one class is present.

    Examples:
        >>> read, missed, _ = workload_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> read.tolist(), missed.tolist()
        ([0.0, 0.25, 0.5, 0.75, 1.0], [1.0, 0.5, 0.5, 0.0, 0.0])
    """
    threshold, tp, fp = sweep(truth, score)
    return (*read_and_missed(tp, fp), np.concatenate([[np.inf], threshold]))


def workload_at(
    truth: npt.ArrayLike, score: npt.ArrayLike, missed: float
) -> tuple[float, float, float]:
    """Return the least reading that misses at most a share of the diseased.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score: Higher means more likely diseased, shape (N,).
        missed: Share of the diseased that may be missed, 0 up to below 1.

    Returns:
        (share read, share missed, threshold).

    Raises:
        ValueError: If `missed` is out of range.
        UndefinedMetricError: If only one class is present.

    Examples:
        >>> workload_at([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.0)
        (0.75, 0.0, 0.35)
    """
    if not 0 <= missed < 1:
        msg = f"missed must be 0 or more and below 1, got {missed}"
        raise ValueError(msg)
    read, lost, threshold = workload_curve(truth, score)
    first = least_read(lost, missed)
    return float(read[first]), float(lost[first]), float(threshold[first])


def read_and_missed(
    true: npt.ArrayLike, false: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Return the share read and the share missed, from reading nobody to reading all.

    Args:
        true: Diseased among those read at each step, rising, (K,); may be weighted.
        false: Healthy among them, (K,).
    """
    found = np.append(0.0, true)
    called = found + np.append(0.0, false)
    return called / called[-1], 1 - found / found[-1]


def least_read(missed: FloatArray, may_miss: float) -> int:
    """Return the first step, from reading nobody on, that misses no larger share."""
    return int(np.flatnonzero(missed <= may_miss + 1e-12)[0])
