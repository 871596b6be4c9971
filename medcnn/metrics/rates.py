"""What a threshold achieves: every rate of the two-by-two table, with its interval."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from scipy.stats import norm

from medcnn.metrics.classes import (
    Clusters,
    both_classes,
    checked,
    checked_level,
    cluster_codes,
)
from medcnn.metrics.counts import Confusion, confusion, wilson

__all__ = [
    "Rates",
    "Share",
    "clustered_rates",
    "clustered_share",
    "design_effect",
    "design_effects",
    "likelihood_ratios",
    "predictive_values",
    "predictive_values_ci",
    "rates",
]


@dataclass(frozen=True)
class Share:
    """A number with its interval.

    Attributes:
        value: The estimate.
        low: Lower bound.
        high: Upper bound.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Rates:
    """What one threshold achieves; None where nobody is there to be counted.

    Attributes:
        counts: True and false calls.
        sensitivity: Share of the diseased that are called.
        specificity: Share of the healthy that are not called.
        ppv: Share of the called that are diseased, at the prevalence of the data.
        npv: Share of the others that are healthy, at the prevalence of the data.
        accuracy: Share of all that are called rightly.
        balanced_accuracy: Mean of sensitivity and specificity.
        f1: Harmonic mean of sensitivity and PPV.
    """

    counts: Confusion
    sensitivity: Share | None
    specificity: Share | None
    ppv: Share | None
    npv: Share | None
    accuracy: Share | None
    balanced_accuracy: Share | None
    f1: Share | None


def rates(counts: Confusion, *, level: float = 0.95) -> Rates:
    """Return every rate of a two-by-two table with its interval.

    Wilson's for the proportions; for the balanced accuracy the two intervals are
    combined by squares (MOVER); for F1, which is 2J / (1 + J) of the share J of true
    calls among all that are called or diseased, Wilson's for J.

    Args:
        counts: True and false calls of independent cases.
        level: Coverage, between 0 and 1.

    Examples:
        >>> found = rates(Confusion(tp=9, fp=10, tn=80, fn=1))
        >>> round(found.sensitivity.low, 3), round(found.ppv.value, 3)
        (0.596, 0.474)

    References:
        [1] Wilson, J. Am. Stat. Assoc. 22 (1927) 209-212.
        [2] Zou & Donner, Statist. Med. 27 (2008) 1693-1702: MOVER.
    """
    tp, fp, tn, fn = counts.tp, counts.fp, counts.tn, counts.fn

    def share(part: int, whole: int) -> Share | None:
        return Share(part / whole, *wilson(part, whole, level=level)) if whole else None

    sensitivity, specificity = share(tp, tp + fn), share(tn, tn + fp)
    return Rates(
        counts=counts,
        sensitivity=sensitivity,
        specificity=specificity,
        ppv=share(tp, tp + fp),
        npv=share(tn, tn + fn),
        accuracy=share(tp + tn, tp + fp + tn + fn),
        balanced_accuracy=_mean(sensitivity, specificity),
        f1=_f1(share(tp, tp + fp + fn)),
    )


def clustered_rates(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    threshold: float,
    cluster: Clusters,
    *,
    level: float = 0.95,
) -> Rates:
    """Return every rate at a threshold, with intervals for correlated images.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score: Higher means more likely diseased, shape (N,).
        threshold: A case is called when its score is at or above it.
        cluster: Which patient each case is of, (N,), or None: each its own.
        level: Coverage, between 0 and 1.

    Raises:
        UndefinedMetricError: If only one class is present.
    """
    counts = confusion(truth, score, threshold)
    diseased = np.asarray(truth) == 1
    called = np.asarray(score, np.float64) >= threshold
    codes = cluster_codes(cluster, len(called))

    def share(
        right: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_]
    ) -> Share | None:
        if not among.any():
            return None
        return clustered_share(right[among], codes[among], level=level)

    sensitivity = share(called, diseased)
    specificity = share(~called, ~diseased)
    return Rates(
        counts=counts,
        sensitivity=sensitivity,
        specificity=specificity,
        ppv=share(diseased, called),
        npv=share(~diseased, ~called),
        accuracy=share(called == diseased, np.ones(len(called), bool)),
        balanced_accuracy=_mean(sensitivity, specificity),
        f1=_f1(share(called & diseased, called | diseased)),
    )


def clustered_share(
    flag: npt.ArrayLike, cluster: Clusters, *, level: float = 0.95
) -> Share:
    """Return a proportion with Wilson's interval for correlated cases.

    The cases count as fewer: N divided by the design effect, which is the variance
    between patients over that of as many independent cases (not below 1, and where
    all cases are alike, one a patient).

    Args:
        flag: True or false, at least one, shape (N,).
        cluster: Which patient each case is of, (N,), or None: each its own.
        level: Coverage, between 0 and 1.

    References:
        [1] Rao & Scott, Biometrics 48 (1992) 577-585.
        [2] Saha, Miller & Wang, Int. J. Biostat. 12 (2016), 20150024: Wilson's with it.
    """
    flags = np.asarray(flag, bool)
    counted = max(1.0, len(flags) / design_effect(flags, cluster))
    value = float(flags.mean())
    return Share(value, *wilson(value * counted, counted, level=level))


def design_effect(flag: npt.ArrayLike, cluster: Clusters) -> float:
    """Return how many correlated cases count as one independent case.

    Args:
        flag: True or false, at least one, shape (N,).
        cluster: Which patient each case is of, (N,), or None: each its own.

    Returns:
        The variance of the share between patients over the binomial one, at least 1;
        where all cases are alike, cases per patient.

    Raises:
        ValueError: If there is no case.

    Examples:
        >>> round(design_effect([1, 1, 1, 1, 0, 0], ["a", "a", "b", "b", "c", "c"]), 6)
        3.0

    References:
        [1] Rao & Scott, Biometrics 48 (1992) 577-585.
    """
    flags = np.asarray(flag, bool)
    if not flags.size:
        msg = "0 cases have no share"
        raise ValueError(msg)
    codes = np.unique(cluster_codes(cluster, len(flags)), return_inverse=True)[1]
    value, patients, trials = float(flags.mean()), int(codes.max()) + 1, len(flags)
    binomial = value * (1 - value) * trials
    if patients in {1, trials} or binomial <= 0:
        return trials / patients
    off = np.bincount(codes, weights=flags - value)
    return max(1.0, patients / (patients - 1) * float(off @ off) / binomial)


def design_effects(
    truth: npt.ArrayLike, score: npt.ArrayLike, threshold: float, cluster: Clusters
) -> tuple[float, float]:
    """Return the design effects of the sensitivity and of the specificity.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score: Higher means more likely diseased, shape (N,).
        threshold: A case is called when its score is at or above it.
        cluster: Which patient each case is of, (N,), or None: each its own.

    Raises:
        UndefinedMetricError: If only one class is present.
    """
    both_classes(truth, score)
    is_diseased, value = checked(truth, score)
    codes, called = cluster_codes(cluster, len(value)), value >= threshold
    first, second = (
        design_effect(called[side], codes[side]) for side in (is_diseased, ~is_diseased)
    )
    return first, second


def likelihood_ratios(
    counts: Confusion,
    *,
    effects: tuple[float, float] = (1.0, 1.0),
    level: float = 0.95,
) -> tuple[Share, Share]:
    """Return how much a call, and no call, changes the odds of disease.

    Where one of the four counts is 0 a ratio may be 0 or infinite; one half is then
    added to each of the four, in the estimate and in the interval.

    Args:
        counts: True and false calls; both classes are present.
        effects: `design_effects` where patients have several cases.
        level: Coverage, between 0 and 1.

    Returns:
        LR+ and LR-, with intervals by the log method.

    Raises:
        ValueError: If a class is absent.

    References:
        [1] Simel, Samsa & Matchar, J. Clin. Epidemiol. 44 (1991) 763-770.
    """
    tp, fp, tn, fn = (float(n) for n in (counts.tp, counts.fp, counts.tn, counts.fn))
    if not tp + fn or not tn + fp:
        msg = f"{tp + fn:g} diseased and {tn + fp:g} healthy: both are needed"
        raise ValueError(msg)
    if 0 in {tp, fp, tn, fn}:
        tp, fp, tn, fn = tp + 0.5, fp + 0.5, tn + 0.5, fn + 0.5
    z = float(norm.ppf((1 + checked_level(level)) / 2))

    def ratio(diseased: float, healthy: float) -> Share:
        value = diseased / (tp + fn) / (healthy / (tn + fp))
        first = effects[0] * (1 / diseased - 1 / (tp + fn))
        second = effects[1] * (1 / healthy - 1 / (tn + fp))
        factor = math.exp(z * math.sqrt(first + second))
        return Share(value, value / factor, value * factor)

    return ratio(tp, fp), ratio(fn, tn)


def predictive_values(
    sensitivity: float, specificity: float, prevalence: float
) -> tuple[float | None, float | None]:
    """Return PPV and NPV where disease is as common as stated (Bayes).

    Args:
        sensitivity: 0 to 1.
        specificity: 0 to 1.
        prevalence: 0 to 1.

    Returns:
        PPV, or None where nobody would be called; NPV, or None where everybody would.

    Raises:
        ValueError: If one of them is no share.

    Examples:
        >>> tuple(round(v, 4) for v in predictive_values(0.9, 0.9, 0.01))
        (0.0833, 0.9989)
    """
    for name, value in (
        ("sensitivity", sensitivity),
        ("specificity", specificity),
        ("prevalence", prevalence),
    ):
        if not 0 <= value <= 1:
            msg = f"{name} must be 0 to 1, got {value}"
            raise ValueError(msg)
    healthy = 1 - prevalence
    true, false = sensitivity * prevalence, (1 - specificity) * healthy
    missed, spared = (1 - sensitivity) * prevalence, specificity * healthy
    called, others = true + false, missed + spared
    return (true / called if called else None, spared / others if others else None)


def predictive_values_ci(
    counts: Confusion,
    prevalence: float,
    *,
    effects: tuple[float, float] = (1.0, 1.0),
    level: float = 0.95,
) -> tuple[Share, Share]:
    """Return PPV and NPV at a stated prevalence, with intervals.

    The odds of disease are the prevalence's times the likelihood ratio; the intervals
    are those of the ratios (logit intervals).

    Args:
        counts: True and false calls; both classes are present.
        prevalence: Between 0 and 1.
        effects: `design_effects` where patients have several cases.
        level: Coverage, between 0 and 1.

    Raises:
        ValueError: If the prevalence is 0, 1 or no share.

    References:
        [1] Mercaldo, Lau & Zhou, Statist. Med. 26 (2007) 2170-2183.
    """
    if not 0 < prevalence < 1:
        msg = f"prevalence must be between 0 and 1, got {prevalence}"
        raise ValueError(msg)
    positive, negative = likelihood_ratios(counts, effects=effects, level=level)
    odds = float(logit(prevalence))

    def after(ratio: float) -> float:
        return float(expit(odds + math.log(ratio)))

    ppv = Share(after(positive.value), after(positive.low), after(positive.high))
    npv = (1 - after(r) for r in (negative.value, negative.high, negative.low))
    return ppv, Share(*npv)


def _mean(first: Share | None, second: Share | None) -> Share | None:
    """Return the mean of two independent shares."""
    if first is None or second is None:
        return None
    value = (first.value + second.value) / 2
    below = math.hypot(first.value - first.low, second.value - second.low) / 2
    above = math.hypot(first.high - first.value, second.high - second.value) / 2
    return Share(value, max(0.0, value - below), min(1.0, value + above))


def _f1(jaccard: Share | None) -> Share | None:
    """Return F1 from the share of true calls among all called or diseased."""
    if jaccard is None:
        return None
    shares = (jaccard.value, jaccard.low, jaccard.high)
    return Share(*(2 * j / (1 + j) for j in shares))
