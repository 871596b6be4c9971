"""Operating points: where to put a threshold, and what it then achieves."""

import math

import numpy as np
import numpy.typing as npt

from medcnn.metrics.classes import both_classes
from medcnn.metrics.counts import Confusion, confusion, wilson
from medcnn.metrics.rates import (
    Rates,
    Share,
    clustered_rates,
    clustered_share,
    design_effect,
    design_effects,
    likelihood_ratios,
    predictive_values,
    predictive_values_ci,
    rates,
)

__all__ = [
    "Confusion",
    "Rates",
    "Share",
    "clustered_rates",
    "clustered_share",
    "confusion",
    "design_effect",
    "design_effects",
    "likelihood_ratios",
    "predictive_values",
    "predictive_values_ci",
    "rates",
    "threshold_at_sensitivity",
    "threshold_at_specificity",
    "wilson",
    "youden_threshold",
]


def threshold_at_sensitivity(
    truth: npt.ArrayLike, score: npt.ArrayLike, target: float
) -> float:
    """Return the highest threshold whose sensitivity is at least `target`.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score: Higher means more likely diseased, shape (N,).
        target: Wanted share of the diseased, above 0 and up to 1.

    Raises:
        ValueError: If `target` is not in (0, 1].
        UndefinedMetricError: If only one class is present.

    Examples:
        >>> threshold_at_sensitivity([0, 1, 1, 1, 1], [0.3, 0.2, 0.4, 0.6, 0.8], 0.75)
        0.4
    """
    _check_target(target)
    diseased, _ = both_classes(truth, score)
    wanted = math.ceil(target * len(diseased) - 1e-9)
    return float(np.sort(diseased)[len(diseased) - wanted])


def threshold_at_specificity(
    truth: npt.ArrayLike, score: npt.ArrayLike, target: float
) -> float:
    """Return the lowest threshold whose specificity is at least `target`.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score: Higher means more likely diseased, shape (N,).
        target: Wanted share of the healthy that are not called, above 0 and up to 1.

    Raises:
        ValueError: If `target` is not in (0, 1].
        UndefinedMetricError: If only one class is present.

    Examples:
        >>> threshold_at_specificity([0, 0, 0, 0, 1], [0.1, 0.2, 0.3, 0.9, 0.8], 0.75)
        0.8
    """
    _check_target(target)
    diseased, healthy = both_classes(truth, score)
    allowed = len(healthy) - math.ceil(target * len(healthy) - 1e-9)
    candidates = np.unique(np.concatenate([diseased, healthy]))
    called = len(healthy) - np.searchsorted(np.sort(healthy), candidates, side="left")
    fitting = candidates[called <= allowed]
    if fitting.size:
        return float(fitting[0])
    return float(np.nextafter(candidates[-1], np.inf))


def youden_threshold(truth: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Return the threshold where sensitivity + specificity - 1 is highest.

    Of several such thresholds the lowest is taken: fewer diseased are missed.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score: Higher means more likely diseased, shape (N,).

    Raises:
        UndefinedMetricError: If only one class is present.

    Examples:
        >>> youden_threshold([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        0.35

    References:
        [1] Youden, Cancer 3 (1950) 32-35.
    """
    diseased, healthy = both_classes(truth, score)
    candidates = np.unique(np.concatenate([diseased, healthy]))
    below = np.searchsorted(np.sort(diseased), candidates, side="left")
    right = np.searchsorted(np.sort(healthy), candidates, side="left")
    gain = right * len(diseased) - below * len(
        healthy
    )  # in whole numbers: no ties lost
    return float(candidates[int(gain.argmax())])


def _check_target(target: float) -> None:
    """Refuse a share that is none.

    Raises:
        ValueError: If it is not in (0, 1].
    """
    if not 0 < target <= 1:
        msg = f"target must be above 0 and at most 1, got {target}"
        raise ValueError(msg)
