"""The area under the ROC curve and its confidence interval."""

import math

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, rankdata

from medcnn.errors import UndefinedMetricError

__all__ = ["both_classes", "delong_ci", "placements", "roc_auc"]

FloatArray = npt.NDArray[np.float64]


def both_classes(
    truth: npt.ArrayLike, score: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Return the scores of the diseased and of the healthy.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score: One finite number for each, shape (N,).

    Returns:
        Scores of the diseased (m,) and of the healthy (n,).

    Raises:
        ValueError: If the shapes differ, a truth is neither 0 nor 1, or a score is
            not a finite number.
        UndefinedMetricError: If only one class is present.
    """
    is_diseased, value = np.asarray(truth), np.asarray(score, np.float64)
    if is_diseased.ndim != 1 or is_diseased.shape != value.shape:
        msg = f"truth {is_diseased.shape} and score {value.shape} must be equal (N,)"
        raise ValueError(msg)
    if not np.isin(is_diseased, (0, 1)).all():
        msg = "truth must be 0 or 1; leave the unknown out"
        raise ValueError(msg)
    if not np.isfinite(value).all():
        msg = f"{int((~np.isfinite(value)).sum())} scores are not finite numbers"
        raise ValueError(msg)
    diseased, healthy = value[is_diseased == 1], value[is_diseased == 0]
    if not len(diseased) or not len(healthy):
        msg = f"{len(diseased)} diseased and {len(healthy)} healthy: both are needed"
        raise UndefinedMetricError(msg)
    return diseased, healthy


def roc_auc(truth: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Return the area under the ROC curve.

    It is the chance that a diseased case scores above a healthy one, ties counted half.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score: Higher means more likely diseased, shape (N,).

    Raises:
        UndefinedMetricError: If only one class is present.

    Examples:
        >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        0.75

    References:
        [1] Hanley & McNeil, Radiology 143 (1982) 29-36.
    """
    return float(placements(*both_classes(truth, score))[0].mean())


def placements(
    diseased: FloatArray, healthy: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return DeLong's structural components, in O(N log N) by midranks.

    Args:
        diseased: Scores, shape (m,).
        healthy: Scores, shape (n,).

    Returns:
        V10 (m,): the share of the healthy that each diseased case outscores. V01 (n,):
        the share of the diseased that outscore each healthy case. Ties count half.

    References:
        [1] DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837-845.
        [2] Sun & Xu, IEEE Signal Process. Lett. 21 (2014) 1389-1393.
    """
    m, n = len(diseased), len(healthy)
    pooled = rankdata(np.concatenate([diseased, healthy]))
    of_diseased = (pooled[:m] - rankdata(diseased)) / n
    of_healthy = 1 - (pooled[m:] - rankdata(healthy)) / m
    return of_diseased, of_healthy


def delong_ci(
    truth: npt.ArrayLike, score: npt.ArrayLike, *, level: float = 0.95
) -> tuple[float, float, float]:
    """Return the area under the ROC curve with its DeLong confidence interval.

    The interval is made on the logit scale, so that it stays within 0 and 1. Where the
    classes are perfectly apart DeLong's variance is 0; the bound is then the exact
    binomial one for as many trials as the smaller class has cases.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score: Higher means more likely diseased, shape (N,).
        level: Coverage, between 0 and 1.

    Returns:
        (area, lower bound, upper bound).

    Raises:
        UndefinedMetricError: If only one class is present, or one class has a single
            case, so that no variance can be estimated.

    Examples:
        >>> [round(v, 3) for v in delong_ci([0, 0, 0, 1, 1, 1], [1, 2, 4, 3, 5, 6])]
        [0.889, 0.261, 0.995]

    References:
        [1] DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837-845.
        [2] Pepe, The Statistical Evaluation of Medical Tests, 2003, section 5.2.
    """
    diseased, healthy = both_classes(truth, score)
    m, n = len(diseased), len(healthy)
    if min(m, n) < 2:
        msg = f"{m} diseased and {n} healthy: an interval needs two of each"
        raise UndefinedMetricError(msg)
    of_diseased, of_healthy = placements(diseased, healthy)
    area = float(of_diseased.mean())
    variance = of_diseased.var(ddof=1) / m + of_healthy.var(ddof=1) / n
    if area in {0.0, 1.0}:
        bound = ((1 - level) / 2) ** (1 / min(m, n))
        return (area, bound, 1.0) if area else (area, 0.0, 1 - bound)
    half = float(norm.ppf((1 + level) / 2)) * math.sqrt(variance)
    half /= area * (1 - area)
    centre = math.log(area / (1 - area))
    return area, _logistic(centre - half), _logistic(centre + half)


def _logistic(value: float) -> float:
    """Return 1 / (1 + exp(-value)) without overflow."""
    return 0.5 * (1 + math.tanh(value / 2))
