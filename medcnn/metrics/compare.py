"""Is one area under the ROC curve larger: two models, or two groups of cases."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.classes import (
    Clusters,
    FloatArray,
    both_classes,
    checked,
    cluster_codes,
)
from medcnn.metrics.components import (
    Sample,
    count_patients,
    influence,
    logit_interval,
    quantile,
    spread,
    two_sided,
)

__all__ = ["Difference", "group_difference", "paired_difference"]


@dataclass(frozen=True)
class Difference:
    """Two areas under the ROC curve and how far they are apart.

    Attributes:
        area_a: Of the first.
        area_b: Of the second.
        difference: area_a - area_b.
        low: Lower bound of the difference, at least -1.
        high: Upper bound, at most 1.
        p_value: Two-sided, that so large a difference is chance.
    """

    area_a: float
    area_b: float
    difference: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class _Pair:
    """Two areas, how many patients each counts for, and their difference's variance."""

    areas: tuple[float, float]
    effective: tuple[float, float]
    variance: float


def paired_difference(
    truth: npt.ArrayLike,
    score_a: npt.ArrayLike,
    score_b: npt.ArrayLike,
    cluster: Clusters = None,
    *,
    level: float = 0.95,
) -> Difference:
    """Compare two models on the same cases: DeLong's test, clustered by patient.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score_a: Of the first model, higher means more likely diseased, shape (N,).
        score_b: Of the second model, shape (N,); its scale may be another.
        cluster: Which patient each case is of, (N,), or None: each its own.
        level: Coverage of the interval, between 0 and 1.

    Raises:
        UndefinedMetricError: If a class is absent or has a single patient.

    Examples:
        >>> truth, first = [0] * 20 + [1] * 20, range(40)
        >>> second = [i % 30 for i in first]
        >>> found = paired_difference(truth, first, second)
        >>> f"{found.difference:.3f} ({found.low:.3f} to {found.high:.3f})"
        '0.375 (0.186 to 0.564)'

    References:
        [1] DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837-845.
        [2] Obuchowski, Biometrics 53 (1997) 567-578, section 3.
    """
    both_classes(truth, score_a)
    both_classes(truth, score_b)
    is_diseased, first = checked(truth, score_a)
    _, second = checked(truth, score_b)
    codes = cluster_codes(cluster, len(first))
    sample = count_patients(is_diseased, codes)
    sample.check()
    (area_a, added_a), (area_b, added_b) = (
        influence(is_diseased, value) for value in (first, second)
    )
    variance = spread(added_a - added_b, is_diseased.astype(int), codes)
    same = variance <= 0 and np.array_equal(rankdata(first), rankdata(second))
    if same:  # the same order of the cases: no sample could tell the two apart
        return Difference(area_a, area_b, 0.0, 0.0, 0.0, 1.0)
    effective = (sample.effective, sample.effective)
    return _judge(_Pair((area_a, area_b), effective, variance), level)


def group_difference(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    member: npt.ArrayLike,
    cluster: Clusters = None,
    *,
    level: float = 0.95,
) -> Difference:
    """Compare one model on a group of cases and on all the others.

    A patient may have cases in both (two views); what they share is taken account of.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score: Higher means more likely diseased, shape (N,).
        member: Which cases are of the group, true or false, shape (N,).
        cluster: Which patient each case is of, (N,), or None: each its own.
        level: Coverage of the interval, between 0 and 1.

    Returns:
        `area_a` is the group's, `area_b` that of the others.

    Raises:
        ValueError: If `member` is not N truth values.
        UndefinedMetricError: If in either a class is absent or has a single patient.

    References:
        [1] Hanley & McNeil, Radiology 143 (1982) 29-36, for independent groups; the
            variances are DeLong's.
    """
    is_diseased, value = checked(truth, score)
    inside = np.asarray(member)
    if inside.dtype != bool or inside.shape != value.shape:
        msg = f"member must be {len(value)} truth values, got {inside.dtype}"
        raise ValueError(msg)
    codes, added = cluster_codes(cluster, len(value)), np.empty(len(value))
    areas, samples = [], []
    for side, sign, name in ((inside, 1, "the group"), (~inside, -1, "the others")):
        sample = count_patients(is_diseased[side], codes[side])
        _check_group(sample, name)
        area, parts = influence(is_diseased[side], value[side])
        added[side] = sign * parts
        areas.append(area)
        samples.append(sample.effective)
    variance = spread(added, is_diseased + 2 * inside.astype(int), codes)
    pair = _Pair((areas[0], areas[1]), (samples[0], samples[1]), variance)
    return _judge(pair, level)


def _check_group(sample: Sample, name: str) -> None:
    """Say which of the two groups has too few.

    Raises:
        UndefinedMetricError: If it has fewer than two patients of a class.
    """
    try:
        sample.check()
    except UndefinedMetricError as error:
        msg = f"{name}: {error.message}"
        raise UndefinedMetricError(msg) from error


def _judge(pair: _Pair, level: float) -> Difference:
    """Return the difference with its interval and its p value."""
    area_a, area_b = pair.areas
    difference, fewest = area_a - area_b, min(pair.effective)
    if pair.variance <= 1e-18:
        low, high = _apart(pair, level)
        p_value = _inverted(pair)
    else:
        error = math.sqrt(pair.variance)
        half = quantile(level, fewest) * error
        low, high = difference - half, difference + half
        p_value = two_sided(difference / error, fewest)
    low, high = max(-1.0, low), min(1.0, high)
    return Difference(area_a, area_b, difference, low, high, p_value)


def _apart(pair: _Pair, level: float) -> tuple[float, float]:
    """Return an interval of the difference out of one interval of each area.

    It is for a variance of 0 (two tests that err nowhere), and never empty.

    References:
        [1] Zou & Donner, Statist. Med. 27 (2008) 1693-1702: MOVER, without credit for
            a correlation.
    """
    bounds: list[FloatArray] = []
    for area, effective in zip(pair.areas, pair.effective, strict=True):
        low, high = logit_interval(area, 0.0, effective, level)
        bounds.append(np.array([area - low, high - area]))
    (below_a, above_a), (below_b, above_b) = bounds
    difference = pair.areas[0] - pair.areas[1]
    return (
        difference - math.hypot(below_a, above_b),
        difference + math.hypot(above_a, below_b),
    )


def _inverted(pair: _Pair) -> float:
    """Return one less than the level at which `_apart` begins to hold 0."""
    inside, outside = 1.0, 0.0
    for _ in range(50):
        middle = (inside + outside) / 2
        low, high = _apart(pair, middle)
        if low <= 0 <= high:
            inside = middle
        else:
            outside = middle
    return 1 - inside
