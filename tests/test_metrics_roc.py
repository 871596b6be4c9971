"""medcnn.metrics.roc against scikit-learn, its definition and published figures."""

import math

import numpy as np
import pytest
from asah import POOR, S100B, WFNS
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as reference_curve

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.roc import both_classes, delong_ci, placements, roc_auc, roc_curve

SCORES = st.lists(
    st.tuples(st.integers(0, 1), st.integers(-4, 4)), min_size=6, max_size=40
).filter(lambda pairs: 2 <= sum(t for t, _ in pairs) <= len(pairs) - 2)


def kernel(x: float, y: float) -> float:
    return float(x > y) + 0.5 * (x == y)


def delong_by_definition(diseased: list[float], healthy: list[float]):
    """DeLong 1988, equations 4 to 6, case by case."""
    m, n = len(diseased), len(healthy)
    area = sum(kernel(x, y) for x in diseased for y in healthy) / (m * n)
    v10 = [sum(kernel(x, y) for y in healthy) / n for x in diseased]
    v01 = [sum(kernel(x, y) for x in diseased) / m for y in healthy]
    s10 = sum((v - area) ** 2 for v in v10) / (m - 1)
    s01 = sum((v - area) ** 2 for v in v01) / (n - 1)
    return area, v10, v01, s10 / m + s01 / n


@given(SCORES)
@settings(max_examples=60, deadline=None)
def test_area_and_components_equal_the_definition_with_ties(pairs):
    truth, score = zip(*pairs, strict=True)
    diseased, healthy = both_classes(truth, score)
    area, v10, v01, _ = delong_by_definition(diseased.tolist(), healthy.tolist())
    got10, got01 = placements(diseased, healthy)
    np.testing.assert_allclose(got10, v10, atol=1e-12)
    np.testing.assert_allclose(got01, v01, atol=1e-12)
    assert roc_auc(truth, score) == pytest.approx(area)
    assert roc_auc(truth, score) == pytest.approx(roc_auc_score(truth, score))


def test_interval_is_delongs_on_the_logit_scale():
    rng = np.random.default_rng(3)
    truth = np.repeat([0, 1], [45, 30])
    score = rng.normal(truth * 1.1, 1).round(1)
    area, low, high = delong_ci(truth, score)
    sides = score[truth == 1].tolist(), score[truth == 0].tolist()
    expected, _, _, variance = delong_by_definition(*sides)
    assert area == pytest.approx(expected)
    half = norm.ppf(0.975) * math.sqrt(variance) / (area * (1 - area))
    logit = math.log(area / (1 - area))
    assert math.log(low / (1 - low)) == pytest.approx(logit - half)
    assert math.log(high / (1 - high)) == pytest.approx(logit + half)


def test_area_of_hanley_and_mcneils_ct_ratings_is_the_published_one():
    # Hanley & McNeil, Radiology 143 (1982), table I: 58 normal and 51 abnormal CTs
    normal = np.repeat([1, 2, 3, 4, 5], [33, 6, 6, 11, 2])
    abnormal = np.repeat([1, 2, 3, 4, 5], [3, 2, 2, 11, 33])
    truth = np.repeat([0, 1], [58, 51])
    area, low, high = delong_ci(truth, np.concatenate([normal, abnormal]))
    assert area == pytest.approx(0.893, abs=5e-4)
    # they give a standard error of 0.032 by another estimate of the same variance
    assert (high - low) / (2 * 1.96) == pytest.approx(0.032, abs=0.005)


def test_interval_covers_the_true_area_about_as_often_as_it_says():
    rng = np.random.default_rng(11)
    true_area = norm.cdf(1 / math.sqrt(2))  # two normal distributions, 1 apart
    truth = np.repeat([0, 1], [60, 40])
    intervals = [delong_ci(truth, rng.normal(truth, 1)) for _ in range(400)]
    covered = np.mean([low <= true_area <= high for _, low, high in intervals])
    assert 0.92 <= covered <= 0.98


def test_auc_is_invariant_to_monotone_rescaling():
    rng = np.random.default_rng(5)
    truth, score = rng.integers(0, 2, 50), rng.normal(size=50)
    assert delong_ci(truth, score) == pytest.approx(delong_ci(truth, np.exp(score)))


def test_perfectly_apart_classes_still_have_a_lower_bound():
    area, low, high = delong_ci([0] * 10 + [1] * 20, range(30))
    assert (area, high) == (1.0, 1.0)
    assert low == pytest.approx(0.025 ** (1 / 10))
    area, low, high = delong_ci([1] * 10 + [0] * 20, range(30))
    assert (area, low) == (0.0, 0.0)
    assert high == pytest.approx(1 - 0.025 ** (1 / 10))


def test_one_class_is_undefined_and_the_counts_are_said():
    with pytest.raises(UndefinedMetricError, match="3 diseased and 0 healthy"):
        roc_auc([1, 1, 1], [0.1, 0.2, 0.3])
    with pytest.raises(UndefinedMetricError, match="1 diseased and 2 healthy"):
        delong_ci([0, 0, 1], [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("truth", "score", "words"),
    [
        ([0, 1, 2], [0.1, 0.2, 0.3], "0 or 1"),
        ([0, 1], [0.1], "must be equal"),
        ([0, 1, 1], [0.1, math.nan, 0.3], "1 scores are not finite"),
    ],
)
def test_senseless_input_is_refused(truth, score, words):
    with pytest.raises(ValueError, match=words):
        roc_auc(truth, score)


@pytest.mark.parametrize(
    ("score", "area", "variance"),
    [  # pROC 1.19, tests of auc() and var(): its answers for these data
        (WFNS, 0.823678861788618, 0.00146991470882363),
        (S100B, 0.73136856368563685, 0.00266868245717244),
    ],
)
def test_area_and_variance_are_those_that_r_proc_publishes(score, area, variance):
    found, low, high = delong_ci(POOR, score)
    assert found == pytest.approx(area, abs=1e-12)
    half = norm.ppf(0.975) * math.sqrt(variance) / (area * (1 - area))
    assert math.log(low / (1 - low)) == pytest.approx(
        math.log(area / (1 - area)) - half
    )
    assert math.log(high / (1 - high)) == pytest.approx(
        math.log(area / (1 - area)) + half
    )


@given(SCORES)
@settings(max_examples=60, deadline=None)
def test_curve_is_scikit_learns_at_every_threshold(pairs):
    truth, score = zip(*pairs, strict=True)
    expected = reference_curve(truth, score, drop_intermediate=False)
    for got, wanted in zip(roc_curve(truth, score), expected, strict=True):
        np.testing.assert_allclose(got, wanted)


@given(SCORES)
@settings(max_examples=60, deadline=None)
def test_area_under_the_curve_by_trapezoids_is_the_area(pairs):
    truth, score = zip(*pairs, strict=True)
    fpr, tpr, _ = roc_curve(truth, score)
    assert np.trapezoid(tpr, fpr) == pytest.approx(roc_auc(truth, score))


@given(SCORES)
@settings(max_examples=60, deadline=None)
def test_turning_the_scores_round_mirrors_area_and_interval(pairs):
    truth, score = np.array(pairs).T
    area, low, high = delong_ci(truth, score)
    assert 0 <= low <= area <= high <= 1
    assert delong_ci(truth, -score) == pytest.approx((1 - area, 1 - high, 1 - low))


@pytest.mark.parametrize("few", [2, 3, 5, 10])
def test_few_diseased_among_many_healthy_are_covered_as_often_as_it_says(few):
    # with the normal quantile 0.78 to 0.92 were covered
    rng = np.random.default_rng(few)
    true_area = norm.cdf(0.5 / math.sqrt(2))
    truth = np.repeat([0, 1], [100, few])
    intervals = [delong_ci(truth, rng.normal(truth * 0.5, 1)) for _ in range(300)]
    assert np.mean([low <= true_area <= high for _, low, high in intervals]) >= 0.93


def test_equal_scores_are_worth_a_half_with_a_wide_interval():
    area, low, high = delong_ci([0] * 50 + [1] * 30, [7.0] * 80)
    assert area == 0.5
    # half a standard error is 0.5 / sqrt(30); on the logit scale four times that
    assert math.log(high / (1 - high)) == pytest.approx(norm.ppf(0.975) * 2 / 30**0.5)
    assert low == pytest.approx(1 - high)


def test_single_precision_scores_and_truth_values_give_the_same():
    rng = np.random.default_rng(8)
    truth = rng.integers(0, 2, 60)
    score = rng.normal(truth, 1).astype(np.float32)
    expected = delong_ci(truth, score.astype(np.float64))
    assert delong_ci(truth.astype(bool), score) == expected
    assert delong_ci(truth.astype(np.float32), score) == expected


def test_area_is_not_rounded():
    truth = [0] * 20 + [1] * 20
    assert roc_auc(truth, [i % 30 for i in range(40)]) == 0.625
    area = roc_auc(POOR, WFNS)
    assert area == 4863 / (2 * 41 * 72) == 1 - roc_auc(POOR, -WFNS)


def test_infinite_scores_and_senseless_levels_are_refused():
    with pytest.raises(ValueError, match="2 scores are not finite numbers, of 4"):
        roc_auc([0, 1, 0, 1], [0.1, math.inf, -math.inf, 0.3])
    with pytest.raises(ValueError, match="level must be between 0 and 1, got 95"):
        delong_ci([0, 0, 1, 1], [1, 2, 3, 4], level=95)
