"""Operating points: where to put a threshold, and what it then achieves."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from medcnn.metrics.roc import both_classes

__all__ = [
    "Confusion",
    "confusion",
    "threshold_at_sensitivity",
    "threshold_at_specificity",
    "wilson",
    "youden_threshold",
]


@dataclass(frozen=True)
class Confusion:
    """How many cases fall where; a case is called when its score >= threshold."""

    tp: int
    fp: int
    tn: int
    fn: int


def confusion(
    truth: npt.ArrayLike, score: npt.ArrayLike, threshold: float
) -> Confusion:
    """Count true and false calls at a threshold.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score: Higher means more likely diseased, shape (N,).
        threshold: A case is called when its score is at or above it.

    Raises:
        UndefinedMetricError: If only one class is present.

    Examples:
        >>> confusion([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.35)
        Confusion(tp=2, fp=1, tn=1, fn=0)
    """
    diseased, healthy = both_classes(truth, score)
    tp, fp = int((diseased >= threshold).sum()), int((healthy >= threshold).sum())
    return Confusion(tp=tp, fp=fp, tn=len(healthy) - fp, fn=len(diseased) - tp)


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


def wilson(successes: int, trials: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion.

    Args:
        successes: 0 to `trials`.
        trials: At least 1.
        level: Coverage, between 0 and 1.

    Raises:
        ValueError: If the counts are impossible.

    Examples:
        >>> tuple(round(bound, 4) for bound in wilson(8, 10))
        (0.4902, 0.9433)

    References:
        [1] Wilson, J. Am. Stat. Assoc. 22 (1927) 209-212.
        [2] Brown, Cai & DasGupta, Statist. Sci. 16 (2001) 101-133, equation 4.
    """
    if not 0 <= successes <= trials or trials < 1:
        msg = f"{successes} of {trials} is no proportion"
        raise ValueError(msg)
    z = float(norm.ppf((1 + level) / 2))
    share, shrink = successes / trials, 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / shrink
    spread = share * (1 - share) / trials + z * z / (4 * trials * trials)
    half = z * math.sqrt(spread) / shrink
    lower = 0.0 if successes == 0 else max(0.0, centre - half)
    return lower, 1.0 if successes == trials else min(1.0, centre + half)


def _check_target(target: float) -> None:
    """Refuse a share that is none.

    Raises:
        ValueError: If it is not in (0, 1].
    """
    if not 0 < target <= 1:
        msg = f"target must be above 0 and at most 1, got {target}"
        raise ValueError(msg)
