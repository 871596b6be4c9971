"""Intervals by drawing patients anew: slow, general, a check of the formulas."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.classes import (
    Clusters,
    FloatArray,
    IntArray,
    both_classes,
    checked,
    cluster_codes,
)

__all__ = ["auc_bootstrap", "patient_bootstrap"]

Statistic = Callable[[npt.NDArray[Any], npt.NDArray[Any]], float]

_LOW, _HIGH = 0.025, 0.975
"""The percentiles of a 95 % interval."""


def patient_bootstrap(
    statistic: Statistic,
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    cluster: Clusters,
    *,
    samples: int = 2000,
    rng: np.random.Generator,
) -> tuple[float, float, float]:
    """Return any statistic with its 95 % percentile interval over patients.

    Whole patients are drawn with replacement, as many as there are; those with a
    diseased case and those without are drawn apart (stratified), so that every sample
    holds the diseased patients that the data hold. For classes 0, 1, 2 ... the strata
    are a patient's highest class; for several labels at once there are none. A sample
    for which the statistic does not exist is drawn again.

    Percentiles, not BCa: they stay in the statistic's range, and BCa asks for the
    statistic without each patient in turn, which for 100,000 patients costs fifty times
    the bootstrap. They do not repair a biased statistic (an ECE grows by resampling).

    Args:
        statistic: Of (truth, score), with the rows drawn.
        truth: Shape (N,) or (N, labels).
        score: Shape (N,) or (N, classes).
        cluster: Which patient each case is of, (N,), or None: each its own.
        samples: How many are drawn.
        rng: Where chance comes from.

    Returns:
        (value for all cases, lower bound, upper bound).

    Raises:
        UndefinedMetricError: If the statistic does not exist for these cases or for
            more than half of the samples, a stratum has a single patient, or every
            sample gives the same value, so that there is no interval.

    References:
        [1] Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
        [2] Davison & Hinkley, Bootstrap Methods, 1997, section 3.8: clusters.
    """
    truths, scores = np.asarray(truth), np.asarray(score)
    codes = cluster_codes(cluster, len(truths))
    value = float(statistic(truths, scores))
    rows, found, failed = np.arange(len(truths)), [], 0
    for drawn in _draws(_strata(truths, codes), rng):
        index = np.repeat(rows, drawn[codes])
        try:
            found.append(float(statistic(truths[index], scores[index])))
        except UndefinedMetricError:
            failed += 1
        if len(found) == samples:
            break
        _check_failures(failed, samples)
    return (value, *_percentiles(np.array(found), codes))


def auc_bootstrap(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    cluster: Clusters,
    *,
    samples: int = 2000,
    rng: np.random.Generator,
) -> tuple[float, float, float]:
    """Return the area under the ROC curve with its 95 % interval over patients.

    The same as `patient_bootstrap` of `roc_auc`, number for number, but the scores are
    sorted once and not in every sample.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score: Higher means more likely diseased, shape (N,).
        cluster: Which patient each case is of, (N,), or None: each its own.
        samples: How many are drawn.
        rng: Where chance comes from.

    Raises:
        UndefinedMetricError: As `patient_bootstrap`.
    """
    both_classes(truth, score)
    is_diseased, value = checked(truth, score)
    codes = cluster_codes(cluster, len(value))
    area = _weighted_area(is_diseased, value, codes)
    found, failed = [], 0
    for drawn in _draws(_strata(is_diseased, codes), rng):
        got = area(drawn)
        if got is None:
            failed += 1
        else:
            found.append(got)
        if len(found) == samples:
            break
        _check_failures(failed, samples)
    whole = area(np.ones(int(codes.max()) + 1, np.intp)) or 0.0
    return (whole, *_percentiles(np.array(found), codes))


def _weighted_area(
    is_diseased: npt.NDArray[np.bool_], score: FloatArray, codes: IntArray
) -> Callable[[IntArray], float | None]:
    """Return the area as a function of how often each patient is drawn, in O(N)."""
    order = np.argsort(score, kind="stable")
    ranked, own = score[order], codes[order]
    diseased = np.flatnonzero(is_diseased[order])
    first = np.searchsorted(ranked, ranked[diseased], side="left")
    past = np.searchsorted(ranked, ranked[diseased], side="right")
    outscored = np.zeros(len(score) + 1)

    def area(drawn: IntArray) -> float | None:
        weight = drawn[own]
        of_diseased = weight[diseased].astype(np.float64)
        weight[diseased] = 0
        np.cumsum(weight, out=outscored[1:])
        pairs = of_diseased.sum() * outscored[-1]
        wins = of_diseased @ (outscored[first] + outscored[past]) / 2
        return float(wins / pairs) if pairs else None

    return area


def _strata(truth: npt.NDArray[Any], codes: IntArray) -> list[IntArray]:
    """Return the patients of each stratum.

    Raises:
        UndefinedMetricError: If one has a single patient.
    """
    patients = int(codes.max()) + 1
    highest = np.zeros(patients)
    if truth.ndim == 1:
        highest[:] = -np.inf
        np.maximum.at(highest, codes, truth.astype(np.float64))
    strata = []
    for kind in np.unique(highest):
        members = np.flatnonzero(highest == kind)
        if len(members) < 2:
            msg = f"{len(members)} of {patients} patients has {kind:g} as highest class"
            raise UndefinedMetricError(msg + ": two are needed to draw from")
        strata.append(members)
    return strata


def _draws(strata: list[IntArray], rng: np.random.Generator) -> Iterator[IntArray]:
    """Yield for ever how often each patient is drawn, shape (P,)."""
    patients = sum(len(members) for members in strata)
    while True:
        drawn = np.zeros(patients, np.intp)
        for members in strata:
            chosen = rng.integers(0, len(members), len(members))
            drawn[members] = np.bincount(chosen, minlength=len(members))
        yield drawn


def _check_failures(failed: int, samples: int) -> None:
    """Give up where most samples have no value.

    Raises:
        UndefinedMetricError: If as many failed as were asked for.
    """
    if failed >= samples:
        msg = f"{failed} samples of patients lack a class that the statistic needs"
        raise UndefinedMetricError(msg)


def _percentiles(found: FloatArray, codes: IntArray) -> tuple[float, float]:
    """Return the interval.

    Raises:
        UndefinedMetricError: If all samples are alike.
    """
    if np.ptp(found) <= 1e-12:
        patients = int(codes.max()) + 1
        msg = f"all {len(found)} samples of {patients} patients give {found[0]:g}"
        raise UndefinedMetricError(msg + ": they have no interval")
    low, high = np.quantile(found, [_LOW, _HIGH])
    return float(low), float(high)
