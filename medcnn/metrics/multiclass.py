"""Several classes of which one is true, or several labels at once."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.classes import Clusters, FloatArray, checked, cluster_codes
from medcnn.metrics.components import (
    Sample,
    count_patients,
    influence,
    logit_interval,
    spread,
)
from medcnn.metrics.roc import roc_auc

__all__ = [
    "accuracy",
    "class_numbers",
    "confusion_matrix",
    "label_aucs",
    "macro_auc",
    "macro_auc_ci",
    "one_against_rest",
    "top_label",
]

IntegerArray = npt.NDArray[np.int64]


def class_numbers(truth: npt.ArrayLike, classes: int) -> IntegerArray:
    """Return true classes as whole numbers.

    Args:
        truth: 0 to `classes` - 1, shape (N,), at least one.
        classes: K.

    Raises:
        ValueError: If a class is none of the K, or the shape is another.
        UndefinedMetricError: If there is no case.
    """
    given: npt.NDArray[Any] = np.asarray(truth)
    if given.ndim != 1:
        msg = f"classes must have shape (N,), got {given.shape}"
        raise ValueError(msg)
    if not len(given):
        msg = f"0 cases of {classes} classes"
        raise UndefinedMetricError(msg)
    wrong = int((~np.isin(given, np.arange(classes))).sum())
    if wrong:
        msg = f"{wrong} of {len(given)} classes are not whole numbers below {classes}"
        raise ValueError(msg)
    return given.astype(np.int64)


def accuracy(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Return the share of cases whose class is the predicted one.

    Args:
        truth: Class of each case, a whole number, shape (N,).
        predicted: Likewise, shape (N,).

    Raises:
        ValueError: If the shapes differ.
        UndefinedMetricError: If there is no case.

    Examples:
        >>> accuracy([0, 1, 2, 2], [0, 2, 2, 2])
        0.75
    """
    given, answers = np.asarray(truth), np.asarray(predicted)
    if given.shape != answers.shape or given.ndim != 1:
        msg = f"truth {given.shape} and predicted {answers.shape} must be equal (N,)"
        raise ValueError(msg)
    if not len(given):
        msg = "0 cases have no accuracy"
        raise UndefinedMetricError(msg)
    return float((given == answers).mean())


def confusion_matrix(
    truth: npt.ArrayLike, predicted: npt.ArrayLike, classes: int
) -> IntegerArray:
    """Count the cases of each true class (row) by predicted class (column).

    Args:
        truth: 0 to `classes` - 1, shape (N,).
        predicted: Likewise, shape (N,).
        classes: K.

    Returns:
        Shape (K, K).

    Raises:
        ValueError: If the shapes differ or a class is none of the K.
        UndefinedMetricError: If there is no case.

    Examples:
        >>> confusion_matrix([0, 1, 1], [0, 0, 1], 2).tolist()
        [[1, 0], [1, 1]]
    """
    rows, columns = class_numbers(truth, classes), class_numbers(predicted, classes)
    if rows.shape != columns.shape:
        msg = f"truth {rows.shape} and predicted {columns.shape} must be equal (N,)"
        raise ValueError(msg)
    counts = np.bincount(rows * classes + columns, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def top_label(
    truth: npt.ArrayLike, probability: npt.ArrayLike
) -> tuple[IntegerArray, FloatArray]:
    """Return whether the likeliest class is right, and how likely it was called.

    With these as truth and probability, `reliability` and the calibration error are
    the top-label ones of several classes.

    Args:
        truth: 0 to K - 1, shape (N,).
        probability: Of each class, shape (N, K); of equal ones the first class counts.

    Returns:
        1 for right and 0 for wrong (N,), and the probability (N,).

    Raises:
        ValueError: If `probability` is not (N, K) or holds NaN.

    Examples:
        >>> right, sure = top_label([0, 1], [[0.7, 0.3], [0.6, 0.4]])
        >>> right.tolist(), sure.tolist()
        ([1, 0], [0.7, 0.6])
    """
    values = _table(probability)
    given = class_numbers(truth, values.shape[1])
    _same_rows(given, values)
    best = values.argmax(axis=1)
    return (best == given).astype(np.int64), values[np.arange(len(best)), best]


def one_against_rest(truth: npt.ArrayLike, classes: int) -> FloatArray:
    """Return for each class who is of it: 1 or 0, shape (N, K).

    Args:
        truth: 0 to `classes` - 1, shape (N,).
        classes: K.

    Examples:
        >>> one_against_rest([0, 2], 3).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    return np.eye(classes)[class_numbers(truth, classes)]


def label_aucs(truth: npt.ArrayLike, score: npt.ArrayLike) -> tuple[float, ...]:
    """Return the area under the ROC curve of each class or label.

    Args:
        truth: Class of each case, shape (N,), each then against the rest; or 1, 0 and
            NaN (unknown, left out) for each label, shape (N, L).
        score: Of each class or label, higher means more likely, shape (N, L).

    Raises:
        UndefinedMetricError: If a label lacks a class; it says which and the counts.

    Examples:
        >>> label_aucs([[1, 0], [0, float("nan")], [0, 1]], [[3, 1], [2, 1], [1, 2]])
        (1.0, 1.0)
    """
    truths, values = _labels(truth, score)
    found = []
    for label in range(values.shape[1]):
        known = ~np.isnan(truths[:, label])
        try:
            found.append(roc_auc(truths[known, label], values[known, label]))
        except UndefinedMetricError as error:
            msg = f"class or label {label}: {error.message}"
            raise UndefinedMetricError(msg) from error
    return tuple(found)


def macro_auc(truth: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Return the mean over classes or labels of the area under the ROC curve.

    Args:
        truth: As in `label_aucs`.
        score: As in `label_aucs`.

    Raises:
        UndefinedMetricError: If a label lacks a class.

    Examples:
        >>> macro_auc([0, 1, 2], [[0.8, 0.1, 0.1], [0.3, 0.4, 0.3], [0.1, 0.5, 0.4]])
        0.8333333333333334
    """
    areas = label_aucs(truth, score)
    return math.fsum(areas) / len(areas)


def macro_auc_ci(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    cluster: Clusters = None,
    *,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """Return the macro area with an interval: labels and images are correlated.

    What a patient adds to the error of every label is summed before it is squared.

    Args:
        truth: As in `label_aucs`.
        score: As in `label_aucs`.
        cluster: Which patient each case is of, (N,), or None: each its own.
        level: Coverage, between 0 and 1.

    Returns:
        (macro area, lower bound, upper bound).

    Raises:
        UndefinedMetricError: If a label lacks a class or has a single patient of one.

    References:
        [1] DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837-845, section 3:
            linear combinations of correlated areas.
    """
    truths, values = _labels(truth, score)
    codes = cluster_codes(cluster, len(values))
    added, areas, fewest = np.zeros(len(values)), [], math.inf
    for label in range(values.shape[1]):
        known = ~np.isnan(truths[:, label])
        is_diseased, scores = checked(truths[known, label], values[known, label])
        sample = count_patients(is_diseased, codes[known])
        _check_label(sample, label)
        area, parts = influence(is_diseased, scores)
        added[known] += parts / values.shape[1]
        areas.append(area)
        fewest = min(fewest, sample.effective)
    value = math.fsum(areas) / len(areas)
    variance = spread(added, np.zeros(len(values), np.intp), codes)
    return value, *logit_interval(value, variance, fewest, level)


def _check_label(sample: Sample, label: int) -> None:
    """Say which label has too few patients.

    Raises:
        UndefinedMetricError: If it has fewer than two of a class.
    """
    try:
        sample.check()
    except UndefinedMetricError as error:
        msg = f"class or label {label}: {error.message}"
        raise UndefinedMetricError(msg) from error


def _labels(
    truth: npt.ArrayLike, score: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Return truth (N, L) with NaN for unknown, and scores (N, L).

    Raises:
        ValueError: If the shapes do not fit.
    """
    values, given = _table(score), np.asarray(truth)
    if given.ndim == 1:
        given = one_against_rest(given, values.shape[1])
    truths = given.astype(np.float64)
    if truths.shape != values.shape:
        msg = f"truth {truths.shape} and score {values.shape} must be equal (N, L)"
        raise ValueError(msg)
    return truths, values


def _table(score: npt.ArrayLike) -> FloatArray:
    """Return scores of shape (N, K).

    Raises:
        ValueError: If the shape is another or a score is not a finite number.
    """
    values = np.asarray(score, np.float64)
    if values.ndim != 2 or values.shape[1] < 1:
        msg = f"scores must have shape (N, classes), got {values.shape}"
        raise ValueError(msg)
    wrong = int((~np.isfinite(values)).any(axis=1).sum())
    if wrong:
        msg = f"{wrong} of {len(values)} cases have scores that are not finite numbers"
        raise ValueError(msg)
    return values


def _same_rows(given: IntegerArray, values: FloatArray) -> None:
    """Refuse tables of different lengths.

    Raises:
        ValueError: If they differ.
    """
    if len(given) != len(values):
        msg = f"truth has {len(given)} cases, score {len(values)}"
        raise ValueError(msg)
