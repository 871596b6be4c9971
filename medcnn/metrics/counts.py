"""The two-by-two table of a threshold, and the interval of a proportion."""

import math
from dataclasses import dataclass

import numpy.typing as npt
from scipy.stats import norm

from medcnn.metrics.classes import both_classes

__all__ = ["Confusion", "confusion", "wilson"]


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
        ValueError: If the threshold is NaN.
        UndefinedMetricError: If only one class is present.

    Examples:
        >>> confusion([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.35)
        Confusion(tp=2, fp=1, tn=1, fn=0)
    """
    diseased, healthy = both_classes(truth, score)
    if math.isnan(threshold):
        msg = "threshold is not a number"
        raise ValueError(msg)
    tp, fp = int((diseased >= threshold).sum()), int((healthy >= threshold).sum())
    return Confusion(tp=tp, fp=fp, tn=len(healthy) - fp, fn=len(diseased) - tp)


def wilson(
    successes: float, trials: float, *, level: float = 0.95
) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion.

    Args:
        successes: 0 to `trials`; no whole number where correlated cases count as fewer.
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
        msg = f"{successes:g} of {trials:g} is no proportion"
        raise ValueError(msg)
    z = float(norm.ppf((1 + level) / 2))
    share, shrink = successes / trials, 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / shrink
    spread = share * (1 - share) / trials + z * z / (4 * trials * trials)
    half = z * math.sqrt(spread) / shrink
    lower = 0.0 if successes == 0 else max(0.0, centre - half)
    return lower, 1.0 if successes == trials else min(1.0, centre + half)
