"""Does a probability mean what it says: bins of cases and their distance from it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from medcnn.metrics.classes import (
    Clusters,
    FloatArray,
    IntArray,
    cluster_codes,
    probabilities,
)
from medcnn.metrics.rates import clustered_share

__all__ = ["Bin", "Binning", "expected_calibration_error", "reliability"]

Binning = Literal["width", "count"]
"""Bins of equal width, or of (about) equally many cases; equal ones stay together."""


@dataclass(frozen=True)
class Bin:
    """The cases of one range of probabilities.

    Attributes:
        lower: Where the range begins, 0 to 1.
        upper: Where it ends.
        cases: How many there are; at least 1.
        events: How many of them are diseased.
        predicted: Mean probability.
        observed: Share of the diseased.
        low: Lower bound of the share, Wilson's 95 % interval for as many independent
            cases as they are worth.
        high: Upper bound.
    """

    lower: float
    upper: float
    cases: int
    events: int
    predicted: float
    observed: float
    low: float
    high: float


def reliability(
    truth: npt.ArrayLike,
    probability: npt.ArrayLike,
    bins: int = 10,
    *,
    by: Binning = "width",
    cluster: Clusters = None,
) -> tuple[Bin, ...]:
    """Return the points of a reliability diagram; empty bins are left out.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,); one class may be absent.
        probability: Of disease, 0 to 1, shape (N,).
        bins: At most so many.
        by: Bins of equal width, or of equally many cases.
        cluster: Which patient each case is of, (N,), or None: each its own.

    Raises:
        ValueError: If `bins` is below 1.
        UndefinedMetricError: If there is no case.

    Examples:
        >>> [(b.cases, b.observed) for b in reliability([0, 0, 1], [0.1, 0.2, 0.9], 2)]
        [(2, 0.0), (1, 1.0)]

    References:
        [1] DeGroot & Fienberg, The Statistician 32 (1983) 12-22.
    """
    truths, values = probabilities(truth, probability)
    edges, number = _bins(values, bins, by)
    codes = cluster_codes(cluster, len(values))
    cases = np.bincount(number, minlength=len(edges) - 1)
    events = np.bincount(number, weights=truths, minlength=len(edges) - 1)
    total = np.bincount(number, weights=values, minlength=len(edges) - 1)
    found = []
    for index in np.flatnonzero(cases):
        count, event = int(cases[index]), int(events[index])
        inside = number == index
        share = clustered_share(truths[inside] == 1, codes[inside])
        found.append(
            Bin(
                lower=float(edges[index]),
                upper=float(edges[index + 1]),
                cases=count,
                events=event,
                predicted=float(total[index] / count),
                observed=event / count,
                low=share.low,
                high=share.high,
            )
        )
    return tuple(found)


def expected_calibration_error(
    truth: npt.ArrayLike,
    probability: npt.ArrayLike,
    bins: int = 10,
    *,
    by: Binning = "width",
) -> float:
    """Return the mean distance of probability and share, each bin by its cases (ECE).

    By "width" it is the definition of Naeini and of Guo for two classes; by "count"
    the adaptive one. Neither is unbiased: few cases or many bins make it larger, so
    two values compare only with equal N, bins and definition.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,); one class may be absent.
        probability: Of disease, 0 to 1, shape (N,).
        bins: At most so many.
        by: Bins of equal width, or of equally many cases.

    Raises:
        UndefinedMetricError: If there is no case.

    Examples:
        >>> round(expected_calibration_error([0, 0, 1], [0.1, 0.2, 0.9], 2), 4)
        0.1333

    References:
        [1] Naeini, Cooper & Hauskrecht, Proc. AAAI 29 (2015) 2901-2907.
        [2] Guo et al., Proc. 34th ICML (2017) 1321-1330.
        [3] Nguyen & O'Connor, Proc. EMNLP (2015) 1587-1598: equally many cases.
    """
    points = reliability(truth, probability, bins, by=by)
    cases = np.array([point.cases for point in points])
    gap = np.array([abs(point.observed - point.predicted) for point in points])
    return float(cases @ gap / cases.sum())


def _bins(values: FloatArray, bins: int, by: Binning) -> tuple[FloatArray, IntArray]:
    """Return the edges (B + 1,) and the bin of each case (N,).

    A bin holds its lower edge; the last holds its upper one too.

    Raises:
        ValueError: If `bins` is below 1 or `by` is unknown.
    """
    if bins < 1 or by not in {"width", "count"}:
        msg = f"bins must be 1 or more by width or by count, got {bins} by {by}"
        raise ValueError(msg)
    if by == "width":
        edges = np.linspace(0, 1, bins + 1)
    else:
        ranked, starts = np.sort(values), np.arange(1, bins) * len(values) // bins
        inner = np.unique(ranked[starts])
        inner = inner[(inner > 0) & (inner < 1)]
        edges = np.concatenate([[0.0], inner, [1.0]])
    number = np.searchsorted(edges, values, side="right") - 1
    return edges, np.minimum(number, len(edges) - 2)
