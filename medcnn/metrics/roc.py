"""The ROC curve, the area under it, and their intervals and comparisons."""

import numpy as np
import numpy.typing as npt

from medcnn.metrics.classes import FloatArray, both_classes, sweep
from medcnn.metrics.cluster import clustered_ci
from medcnn.metrics.compare import Difference, group_difference, paired_difference
from medcnn.metrics.components import exact_area, placements
from medcnn.metrics.partial import PartialArea, partial_auc

__all__ = [
    "Difference",
    "PartialArea",
    "both_classes",
    "clustered_ci",
    "delong_ci",
    "group_difference",
    "paired_difference",
    "partial_auc",
    "placements",
    "roc_auc",
    "roc_curve",
]


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
    diseased, healthy = both_classes(truth, score)
    return exact_area(placements(diseased, healthy)[0], len(healthy))


def roc_curve(
    truth: npt.ArrayLike, score: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return every point of the ROC curve.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score: Higher means more likely diseased, shape (N,).

    Returns:
        False positive rate, true positive rate and threshold, shapes (K + 1,): one
        point for each of the K distinct scores, from high to low, after a first one
        at (0, 0) whose threshold, infinity, calls nobody.

    Raises:
        UndefinedMetricError: If only one class is present.

    Examples:
        >>> fpr, tpr, _ = roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> fpr.tolist(), tpr.tolist()
        ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
    """
    threshold, tp, fp = sweep(truth, score)
    none = np.zeros(1)
    return (
        np.concatenate([none, fp / fp[-1]]),
        np.concatenate([none, tp / tp[-1]]),
        np.concatenate([none + np.inf, threshold]),
    )


def delong_ci(
    truth: npt.ArrayLike, score: npt.ArrayLike, *, level: float = 0.95
) -> tuple[float, float, float]:
    """Return the area under the ROC curve with its DeLong confidence interval.

    For independent cases; see `clustered_ci` for several images of a patient. The
    interval is made on the logit scale, so that it stays within 0 and 1. Where the
    classes are perfectly apart DeLong's variance is 0; the bound is then the exact
    binomial one for as many trials as the smaller class has cases. With fewer than 20
    cases in a class Student's quantile takes the place of the normal one.

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
        [0.889, 0.008, 1.0]

    References:
        [1] DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837-845.
        [2] Pepe, The Statistical Evaluation of Medical Tests, 2003, section 5.2.
    """
    return clustered_ci(truth, score, None, level=level)
