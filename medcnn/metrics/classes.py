"""Truth, scores and patients, checked and counted: where every statistic begins."""

from collections.abc import Hashable, Iterable

import numpy as np
import numpy.typing as npt

from medcnn.errors import UndefinedMetricError

__all__ = [
    "Clusters",
    "FloatArray",
    "IntArray",
    "both_classes",
    "checked",
    "checked_level",
    "cluster_codes",
    "probabilities",
    "sweep",
]

Clusters = Iterable[Hashable] | None
"""Which patient each case is of, (N,); None where every case is one of its own."""

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


def checked(
    truth: npt.ArrayLike, score: npt.ArrayLike
) -> tuple[npt.NDArray[np.bool_], FloatArray]:
    """Return who is diseased and the scores, in the order given.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score: One finite number for each, shape (N,).

    Returns:
        Which cases are diseased (N,), and their scores in double precision (N,).

    Raises:
        ValueError: If the shapes differ, a truth is neither 0 nor 1, or a score is
            not a finite number.
    """
    given, value = np.asarray(truth), np.asarray(score, np.float64)
    if given.ndim != 1 or given.shape != value.shape:
        msg = f"truth {given.shape} and score {value.shape} must be equal (N,)"
        raise ValueError(msg)
    if not ((given == 0) | (given == 1)).all():
        msg = "truth must be 0 or 1; leave the unknown out"
        raise ValueError(msg)
    if not (finite := np.isfinite(value)).all():
        msg = f"{int((~finite).sum())} scores are not finite numbers, of {len(value)}"
        raise ValueError(msg)
    return given == 1, value


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
        UndefinedMetricError: If only one class is present.
    """
    is_diseased, value = checked(truth, score)
    diseased, healthy = value[is_diseased], value[~is_diseased]
    if not len(diseased) or not len(healthy):
        msg = f"{len(diseased)} diseased and {len(healthy)} healthy: both are needed"
        raise UndefinedMetricError(msg)
    return diseased, healthy


def probabilities(
    truth: npt.ArrayLike, probability: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Return truths and probabilities of at least one case; one class may be absent.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        probability: Of disease, 0 to 1, shape (N,).

    Returns:
        Both in double precision, shape (N,).

    Raises:
        ValueError: If a probability is outside 0 to 1.
        UndefinedMetricError: If there is no case.
    """
    is_diseased, value = checked(truth, probability)
    if not len(value):
        msg = "0 diseased and 0 healthy: a case is needed"
        raise UndefinedMetricError(msg)
    outside = int(((value < 0) | (value > 1)).sum())
    if outside:
        msg = f"{outside} of {len(value)} probabilities are outside 0 to 1"
        raise ValueError(msg)
    return is_diseased.astype(np.float64), value


def cluster_codes(cluster: Clusters, cases: int) -> IntArray:
    """Number the patients 0, 1, 2 ...

    Args:
        cluster: Which patient each case is of, (N,), or None: each case its own.
        cases: N.

    Returns:
        The number of each case's patient, shape (N,); no number is left out.

    Raises:
        ValueError: If there are more or fewer than N, or a patient is None or NaN:
            cases of unknown patients are not of one patient.

    Examples:
        >>> cluster_codes(["b", "a", "b"], 3).tolist()
        [0, 1, 0]
    """
    if cluster is None:
        return np.arange(cases)
    if isinstance(cluster, np.ndarray) and cluster.dtype.kind in "iubSU":
        codes = np.unique(cluster, return_inverse=True)[1].astype(np.intp).ravel()
    else:
        labels = list(cluster)
        unknown = sum(label is None or label != label for label in labels)
        if unknown:
            msg = f"{unknown} of {len(labels)} cases name no patient"
            raise ValueError(msg)
        number = {label: code for code, label in enumerate(dict.fromkeys(labels))}
        codes = np.fromiter((number[label] for label in labels), np.intp, len(labels))
    if len(codes) != cases:
        msg = f"cluster names {len(codes)} cases, truth {cases}"
        raise ValueError(msg)
    return codes


def checked_level(level: float) -> float:
    """Return the coverage of an interval.

    Raises:
        ValueError: If it is not between 0 and 1.
    """
    if not 0 < level < 1:
        msg = f"level must be between 0 and 1, got {level}"
        raise ValueError(msg)
    return level


def sweep(
    truth: npt.ArrayLike, score: npt.ArrayLike
) -> tuple[FloatArray, IntArray, IntArray]:
    """Count the called cases at every threshold, in O(N log N).

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score: Higher means more likely diseased, shape (N,).

    Returns:
        The K distinct scores from high to low, and how many of the diseased and of
        the healthy score at or above each, shapes (K,).

    Examples:
        >>> [part.tolist() for part in sweep([0, 1, 1], [1, 1, 2])]
        [[2.0, 1.0], [1, 2], [0, 1]]
    """
    both_classes(truth, score)
    is_diseased, value = checked(truth, score)
    order = np.argsort(-value, kind="stable")
    ranked, hits = value[order], np.cumsum(is_diseased[order])
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    called = hits[last].astype(np.intp)
    return ranked[last], called, last + 1 - called
