"""The mean average precision of several labels, with an interval over patients."""

import numpy as np
import numpy.typing as npt

from medcnn.evaluation.discrimination import Settings
from medcnn.evaluation.predictions import Predictions
from medcnn.evaluation.records import Estimate
from medcnn.evaluation.resampling import FEWEST, Ranked, band, draw
from medcnn.metrics.precision import precision_of_counts

__all__ = ["mean_precision"]

FloatArray = npt.NDArray[np.float64]

_WORK = 400_000_000
"""Cases times labels times samples that may be counted; some seconds."""

_FEWEST_SAMPLES = 100


def mean_precision(
    predictions: Predictions, labels: tuple[str, ...], settings: Settings
) -> Estimate:
    """Return the mean of the labels' average precisions.

    Patients are drawn with replacement, for all labels at once, so the interval knows
    that labels share their patients. A sample in which a label lacks a class is left
    out.

    Args:
        predictions: The cases.
        labels: Those with both classes.
        settings: How many samples, at most.

    References:
        [1] Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    sides = [_ranked(predictions, label) for label in labels]
    value = float(np.mean([_average(side, None) for side in sides]))
    samples = _samples(settings.bootstrap, sum(side.truth.size for side in sides))
    rng = np.random.default_rng(settings.seed)
    patients = int(predictions.clusters.max()) + 1
    found = []
    for _ in range(samples):
        drawn = draw(patients, rng)
        each = [_average(side, drawn) for side in sides]
        if not np.isnan(each).any():
            found.append(np.mean(each))
    edges = band(np.array(found)[:, None]) if 2 * len(found) >= samples else None
    if edges is None or len(found) < FEWEST:
        words = f"mean of the labels; no interval: {len(found)} of {samples} samples "
        words += "of patients have both classes of every label"
        return Estimate(value=value, ci95=None, method=words)
    words = f"mean of the labels, bootstrap of patients, {len(found):,} samples"
    interval = (float(edges[0][0]), float(edges[1][0]))
    return Estimate(value=value, ci95=interval, method=f"{words}, percentiles")


def _ranked(predictions: Predictions, label: str) -> Ranked:
    use = predictions.counts_for(label)
    return Ranked.of(*predictions.known(label), predictions.clusters[use])


def _average(side: Ranked, drawn: FloatArray | None) -> float:
    """Return a label's average precision; NaN in a sample without both classes."""
    counts = side.counts(drawn)
    return precision_of_counts(*counts.both) if counts.has_both else float("nan")


def _samples(wanted: int, cases: int) -> int:
    """Return how many samples there is time for."""
    return min(wanted, max(_FEWEST_SAMPLES, _WORK // max(cases, 1)))
