"""AUC and ACC by MedMNIST's official definitions, for its published tables only."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.multiclass import accuracy, macro_auc
from medcnn.metrics.roc import roc_auc

__all__ = ["Task", "official_acc", "official_auc"]

Task = Literal[
    "binary-class", "multi-class", "ordinal-regression", "multi-label, binary-class"
]
"""What MedMNIST's list of data sets calls them."""

_THRESHOLD = 0.5


def official_auc(truth: npt.ArrayLike, score: npt.ArrayLike, task: Task) -> float:
    """Return MedMNIST's AUC.

    Two classes: the area for the last column. Several classes and ordinal ones: the
    mean over classes, each against the rest. Several labels: the mean over labels.

    Args:
        truth: Shape (N,) or (N, 1); (N, L) for several labels.
        score: Shape (N, classes); for two classes also (N,) or (N, 1).
        task: The task of the data set.

    Raises:
        UndefinedMetricError: If a class has no case, or all.

    References:
        [1] Yang et al., Sci. Data 10 (2023) 41, and `evaluator.py` of its package.
    """
    truths, scores = _shaped(truth, score, task)
    if task == "binary-class":
        return roc_auc(truths, scores[:, -1])
    return macro_auc(truths, scores)


def official_acc(truth: npt.ArrayLike, score: npt.ArrayLike, task: Task) -> float:
    """Return MedMNIST's ACC.

    Two classes: right if the last column is above 0.5 exactly for the diseased.
    Several classes and ordinal ones: right if the likeliest is the true one. Several
    labels: the mean over labels of the share on the right side of 0.5, which itself
    counts as called.

    Args:
        truth: Shape (N,) or (N, 1); (N, L) for several labels.
        score: Probabilities, shape (N, classes); for two classes also (N,) or (N, 1).
        task: The task of the data set.

    Raises:
        UndefinedMetricError: If there is no case.

    References:
        [1] Yang et al., Sci. Data 10 (2023) 41, and `evaluator.py` of its package.
    """
    truths, scores = _shaped(truth, score, task)
    if not len(truths):
        msg = "0 cases have no accuracy"
        raise UndefinedMetricError(msg)
    if task == "binary-class":
        return accuracy(truths, (scores[:, -1] > _THRESHOLD).astype(int))
    if task == "multi-label, binary-class":
        return float((truths == (scores >= _THRESHOLD)).mean())
    return accuracy(truths, scores.argmax(axis=1))


def _shaped(
    truth: npt.ArrayLike, score: npt.ArrayLike, task: Task
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return truth (N,) or (N, L) and scores (N, columns).

    Raises:
        ValueError: If the shapes do not fit the task or a score is NaN.
    """
    truths, scores = np.asarray(truth, np.float64), np.asarray(score, np.float64)
    several = task == "multi-label, binary-class"
    if truths.ndim == 2 and truths.shape[1] == 1 and not several:
        truths = truths[:, 0]
    if scores.ndim == 1 and task == "binary-class":
        scores = scores[:, None]
    fits = truths.shape == scores.shape if several else truths.ndim == 1
    if scores.ndim != 2 or len(truths) != len(scores) or not fits:
        msg = f"truth {truths.shape} and score {scores.shape} do not fit {task}"
        raise ValueError(msg)
    if not np.isfinite(scores).all():
        msg = f"{int((~np.isfinite(scores)).sum())} scores are not finite numbers"
        raise ValueError(msg)
    return truths, scores
