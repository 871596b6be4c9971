"""Curves for drawing: thinned, with bands from resampled patients."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medcnn.evaluation.records import Curve, Histogram

__all__ = ["histogram", "roc_and_precision", "thinned"]

FloatArray = npt.NDArray[np.float64]

MOST_POINTS = 300
"""Points of a curve in evaluation.json; more cannot be told apart on paper."""

BINS = 40

_GRID = np.linspace(0, 1, 51)
_SAMPLES = 500
_LARGE = 100_000
_SAMPLES_OF_LARGE = 100


@dataclass(frozen=True, eq=False)
class _Sorted:
    """Cases by falling score.

    Attributes:
        truth: (N,).
        cluster: Number of each case's cluster, (N,).
        ends: The last case of each run of equal scores, (T,).
    """

    truth: FloatArray
    cluster: npt.NDArray[np.intp]
    ends: npt.NDArray[np.intp]

    def counts(self, weights: FloatArray | None) -> tuple[FloatArray, FloatArray]:
        """Return true and false calls at each distinct score, (T,)."""
        weight = np.ones(self.truth.size) if weights is None else weights[self.cluster]
        true = np.cumsum(weight * self.truth)[self.ends]
        false = np.cumsum(weight * (1 - self.truth))[self.ends]
        return true, false


def roc_and_precision(
    truth: FloatArray,
    score: FloatArray,
    cluster: npt.NDArray[np.intp],
    rng: np.random.Generator,
) -> tuple[Curve, Curve]:
    """Return the ROC curve and the precision-recall curve, with pointwise bands.

    The bands hold the middle 95 % of the curves of resampled clusters.

    Args:
        truth: 1 or 0, both present, (N,).
        score: (N,).
        cluster: Number of each case's cluster, (N,).
        rng: Draws the samples.

    References:
        [1] Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    order = np.argsort(-score, kind="stable")
    falling = score[order]
    ends = np.append(np.flatnonzero(np.diff(falling)), falling.size - 1)
    cases = _Sorted(truth[order], cluster[order], ends)
    true, false = cases.counts(None)
    rows = _SAMPLES if truth.size <= _LARGE else _SAMPLES_OF_LARGE
    rocs, precisions = _resampled(cases, rows, rng)
    x, y = _roc(true, false)
    recall, precision = _precision(true, false)
    return _curve(x, y, rocs), _curve(recall, precision, precisions)


def histogram(
    truth: FloatArray, score: FloatArray, *, is_probability: bool
) -> Histogram:
    """Count diseased and healthy in equal bins, of 0 to 1 for probabilities."""
    low, high = (0.0, 1.0) if is_probability else (score.min(), score.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    of = {v: np.histogram(score[truth == v], edges)[0].tolist() for v in (0, 1)}
    return Histogram(edges=edges.tolist(), positive=of[1], negative=of[0])


def thinned(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Leave out points of a curve that nobody could see, ends kept.

    Of the points, up to `MOST_POINTS` at about equal distances along the curve stay.
    """
    if len(x) <= MOST_POINTS:
        return x, y
    along = np.cumsum(
        np.abs(np.diff(x, prepend=x[0])) + np.abs(np.diff(y, prepend=y[0]))
    )
    wanted = np.linspace(0, along[-1], MOST_POINTS)
    at = np.unique(np.minimum(np.searchsorted(along, wanted), len(x) - 1))
    at = np.unique(np.append(at, [0, len(x) - 1]))
    return x[at], y[at]


def _roc(true: FloatArray, false: FloatArray) -> tuple[FloatArray, FloatArray]:
    return np.append(0.0, false / false[-1]), np.append(0.0, true / true[-1])


def _precision(true: FloatArray, false: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return recall and precision; the curve begins at recall 0 with its first."""
    called = true + false
    at = called > 0
    recall, precision = true[at] / true[-1], true[at] / called[at]
    return np.append(0.0, recall), np.append(precision[0], precision)


def _resampled(
    cases: _Sorted, samples: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return both curves of resampled clusters on the grid, (S, 51) each."""
    clusters = int(cases.cluster.max()) + 1
    rocs, precisions = [], []
    for _ in range(samples):
        drawn = rng.integers(0, clusters, clusters)
        weights = np.bincount(drawn, minlength=clusters).astype(np.float64)
        true, false = cases.counts(weights)
        if true[-1] == 0 or false[-1] == 0:
            continue
        x, y = _roc(true, false)
        rocs.append(_highest_at(x, y))
        recall, precision = _precision(true, false)
        at = np.minimum(np.searchsorted(recall, _GRID), recall.size - 1)
        precisions.append(precision[at])
    empty = np.empty((0, _GRID.size))
    return np.array(rocs or empty), np.array(precisions or empty)


def _highest_at(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return a rising curve on the grid; of several values at one x the highest."""
    last = np.append(np.flatnonzero(np.diff(x)), x.size - 1)
    return np.asarray(np.interp(_GRID, x[last], y[last]))


def _curve(x: FloatArray, y: FloatArray, sampled: FloatArray) -> Curve:
    x, y = thinned(x, y)
    shown = {"x": x.round(6).tolist(), "y": y.round(6).tolist()}
    if len(sampled) < 20:
        return Curve(**shown)
    low, high = np.percentile(sampled, [2.5, 97.5], axis=0).round(6)
    return Curve(
        **shown, band_x=_GRID.round(6).tolist(), low=low.tolist(), high=high.tolist()
    )
