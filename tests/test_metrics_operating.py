"""medcnn.metrics.operating against scikit-learn, brute force and published figures."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import confusion_matrix, roc_curve

from medcnn.metrics.operating import (
    Confusion,
    confusion,
    threshold_at_sensitivity,
    threshold_at_specificity,
    wilson,
    youden_threshold,
)


def cases(seed: int = 0, count: int = 200):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, count)
    return truth, rng.normal(truth, 1).round(1)


def shares(truth, score, threshold):
    called = score >= threshold
    return called[truth == 1].mean(), (~called)[truth == 0].mean()


@pytest.mark.parametrize("seed", range(5))
def test_confusion_equals_scikit_learns(seed):
    truth, score = cases(seed)
    (tn, fp), (fn, tp) = confusion_matrix(truth, score >= 0.4)
    assert confusion(truth, score, 0.4) == Confusion(tp=tp, fp=fp, tn=tn, fn=fn)


@pytest.mark.parametrize("target", [0.5, 0.85, 0.95, 1.0])
def test_sensitivity_threshold_is_the_highest_that_reaches_the_target(target):
    truth, score = cases()
    chosen = threshold_at_sensitivity(truth, score, target)
    reaching = [t for t in np.unique(score) if shares(truth, score, t)[0] >= target]
    assert chosen == max(reaching)


@pytest.mark.parametrize("target", [0.5, 0.9, 0.95])
def test_specificity_threshold_is_the_lowest_that_reaches_the_target(target):
    truth, score = cases()
    chosen = threshold_at_specificity(truth, score, target)
    reaching = [t for t in np.unique(score) if shares(truth, score, t)[1] >= target]
    assert chosen == min(reaching)


def test_full_specificity_may_need_a_threshold_above_every_score():
    chosen = threshold_at_specificity([1, 0], [0.2, 0.9], 1.0)
    assert confusion([1, 0], [0.2, 0.9], chosen).fp == 0
    assert chosen == pytest.approx(0.9)


def test_a_target_that_counts_exactly_is_not_lost_to_rounding():
    # 0.07 * 100 is 7.000000000000001 in floating point
    truth, score = np.ones(101), np.arange(101.0)
    truth[0] = 0
    assert threshold_at_sensitivity(truth, score, 0.07) == 94.0


@pytest.mark.parametrize("seed", range(5))
def test_youden_threshold_maximises_scikit_learns_curve(seed):
    truth, score = cases(seed)
    fpr, tpr, _ = roc_curve(truth, score)
    sensitivity, specificity = shares(truth, score, youden_threshold(truth, score))
    assert sensitivity + specificity - 1 == pytest.approx((tpr - fpr).max())


@pytest.mark.parametrize(
    ("successes", "trials", "interval"),
    [  # Newcombe, Statist. Med. 17 (1998) 857-872, table I, method 3
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0000, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_wilson_intervals_are_newcombes(successes, trials, interval):
    assert wilson(successes, trials) == pytest.approx(interval, abs=5e-5)


def test_wilson_bounds_solve_the_score_equation():
    z = norm.ppf(0.95)
    for bound in wilson(7, 19, level=0.9):
        deviation = (7 / 19 - bound) / np.sqrt(bound * (1 - bound) / 19)
        assert abs(deviation) == pytest.approx(z)


def test_senseless_input_is_refused():
    with pytest.raises(ValueError, match="3 of 2"):
        wilson(3, 2)
    for choose in (threshold_at_sensitivity, threshold_at_specificity):
        with pytest.raises(ValueError, match="target"):
            choose([0, 1], [0, 1], 0.0)
