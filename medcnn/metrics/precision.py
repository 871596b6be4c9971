"""Precision and recall: how many of the called cases are diseased."""

import math

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.classes import (
    Clusters,
    FloatArray,
    checked,
    checked_level,
    cluster_codes,
    sweep,
)
from medcnn.metrics.components import count_patients, quantile

__all__ = [
    "average_precision",
    "average_precision_ci",
    "precision_of_counts",
    "precision_recall_curve",
]


def precision_recall_curve(
    truth: npt.ArrayLike, score: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the precision and the recall at every threshold.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score: Higher means more likely diseased, shape (N,).

    Returns:
        Precision (PPV), recall (sensitivity) and threshold for each of the K distinct
        scores, from high to low, shapes (K,). There is no point at recall 0: where
        nobody is called precision does not exist.

    Raises:
        UndefinedMetricError: If only one class is present.

    Examples:
        >>> precision, recall, _ = precision_recall_curve([0, 1, 1], [1, 2, 3])
        >>> precision.round(2).tolist(), recall.tolist()
        ([1.0, 1.0, 0.67], [0.5, 1.0, 1.0])
    """
    threshold, tp, fp = sweep(truth, score)
    return tp / (tp + fp), tp / tp[-1], threshold


def average_precision(truth: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Return the area under the precision-recall curve, by steps (AUPRC).

    A worthless test has the prevalence; it must be read beside it.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score: Higher means more likely diseased, shape (N,).

    Raises:
        UndefinedMetricError: If only one class is present.

    Examples:
        >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
        0.8333

    References:
        [1] Davis & Goadrich, Proc. 23rd ICML (2006) 233-240: why no trapezoids.
    """
    _, tp, fp = sweep(truth, score)
    return precision_of_counts(tp, fp)


def precision_of_counts(true: npt.ArrayLike, false: npt.ArrayLike) -> float:
    """Return the average precision of calls counted at falling thresholds.

    Args:
        true: Diseased that are called, rising, the last above 0, (K,); may be weighted.
        false: Healthy that are called, (K,).
    """
    found = np.asarray(true, np.float64)
    called = found + np.asarray(false, np.float64)
    precision = np.divide(found, called, out=np.zeros(len(found)), where=called > 0)
    return min(1.0, float(precision @ np.diff(found / found[-1], prepend=0.0)))


def average_precision_ci(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    cluster: Clusters = None,
    *,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """Return the average precision with an interval on the logit scale.

    It counts how many diseased patients there are, and not how alike their images
    are: `patient_bootstrap` is the check.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score: Higher means more likely diseased, shape (N,).
        cluster: Which patient each case is of, (N,), or None: each its own.
        level: Coverage, between 0 and 1.

    Returns:
        (average precision, lower bound, upper bound).

    Raises:
        UndefinedMetricError: If a class is absent or there is one diseased patient.

    References:
        [1] Boyd, Eng & Page, ECML PKDD 2013, LNAI 8190, 451-466: the logit interval.
    """
    value = average_precision(truth, score)
    is_diseased, _ = checked(truth, score)
    codes = cluster_codes(cluster, len(is_diseased))
    sample = count_patients(is_diseased, codes)
    patients = sample.diseased_patients
    if patients < 2:
        msg = f"{sample.diseased} diseased, of 1 patient: an interval needs two"
        raise UndefinedMetricError(msg)
    room = value * (1 - value)
    if room <= 0:
        return value, ((1 - checked_level(level)) / 2) ** (1 / patients), 1.0
    half = quantile(level, patients) / math.sqrt(patients * room)
    centre = math.log(value / (1 - value))
    return value, float(expit(centre - half)), float(expit(centre + half))
