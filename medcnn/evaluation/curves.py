"""Curves for drawing: thinned, with bands from resampled patients."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medcnn.evaluation.records import Curve, Histogram, NetBenefit, Workload
from medcnn.evaluation.resampling import Counts, Ranked, band, resample, samples_for
from medcnn.evaluation.usefulness import THRESHOLDS, Acting, Reading

__all__ = ["Curves", "draw_curves", "histogram", "thinned"]

FloatArray = npt.NDArray[np.float64]

MOST_POINTS = 300
"""Points of a curve in evaluation.json; more cannot be told apart on paper."""

BINS = 40

_GRID = np.linspace(0, 1, 51)


@dataclass(frozen=True)
class Curves:
    """All curves of a label; the decision curve is empty for scores."""

    roc: Curve
    precision_recall: Curve
    workload: Workload
    net_benefit: tuple[NetBenefit, ...]


def draw_curves(
    truth: FloatArray,
    score: FloatArray,
    cluster: npt.NDArray[np.intp],
    rng: np.random.Generator,
    *,
    is_probability: bool,
) -> Curves:
    """Return all curves, with pointwise bands.

    The bands hold the middle 95 % of the curves of resampled clusters.

    Args:
        truth: 1 or 0, both present, (N,).
        score: (N,).
        cluster: Number of each case's cluster, (N,).
        rng: Draws the samples.
        is_probability: Whether scores are probabilities, so that a decision curve
            exists.
    """
    codes = np.unique(cluster, return_inverse=True)[1].astype(np.intp).ravel()
    ranked = Ranked.of(truth, score, codes)
    counts, reading = ranked.counts(), Reading(_GRID)
    acting = Acting.of(ranked, THRESHOLDS if is_probability else np.empty(0))
    wanted = [_roc_on_grid, _precision_on_grid, reading.row, acting.row]
    rocs, precisions, reads, benefits = resample(
        ranked, wanted, samples_for(truth.size), rng
    )
    x, y = _roc(counts)
    recall, precision = _precision(counts)
    return Curves(
        roc=_curve(x, y, rocs),
        precision_recall=_curve(recall, precision, precisions),
        workload=reading.record(counts, reads, thinned),
        net_benefit=acting.record(counts, benefits),
    )


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


def _roc(counts: Counts) -> tuple[FloatArray, FloatArray]:
    false, true = counts.false, counts.true
    return np.append(0.0, false / false[-1]), np.append(0.0, true / true[-1])


def _precision(counts: Counts) -> tuple[FloatArray, FloatArray]:
    """Return recall and precision; the curve begins at recall 0 with its first."""
    called = counts.true + counts.false
    at = called > 0
    recall = counts.true[at] / counts.true[-1]
    precision = counts.true[at] / called[at]
    return np.append(0.0, recall), np.append(precision[0], precision)


def _roc_on_grid(counts: Counts) -> FloatArray:
    """Return the sensitivity on the grid; of several values at one x the highest."""
    x, y = _roc(counts)
    last = np.append(np.flatnonzero(np.diff(x)), x.size - 1)
    return np.asarray(np.interp(_GRID, x[last], y[last]))


def _precision_on_grid(counts: Counts) -> FloatArray:
    """Return the precision on the grid of recalls."""
    recall, precision = _precision(counts)
    at = np.minimum(np.searchsorted(recall, _GRID), recall.size - 1)
    return np.asarray(precision[at])


def _curve(x: FloatArray, y: FloatArray, sampled: FloatArray) -> Curve:
    x, y = thinned(x, y)
    shown = {"x": x.round(6).tolist(), "y": y.round(6).tolist()}
    edges = band(sampled)
    if edges is None:
        return Curve(**shown)
    low, high = (edge.round(6).tolist() for edge in edges)
    return Curve(**shown, band_x=_GRID.round(6).tolist(), low=low, high=high)
