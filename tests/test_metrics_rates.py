"""Rates of a two-by-two table against scikit-learn, scipy and hand-worked tables."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm
from sklearn.metrics import balanced_accuracy_score, f1_score

from medcnn.metrics.operating import (
    Confusion,
    clustered_rates,
    clustered_share,
    confusion,
    design_effect,
    design_effects,
    likelihood_ratios,
    predictive_values,
    predictive_values_ci,
    rates,
    wilson,
)

COUNTS = st.builds(
    Confusion,
    tp=st.integers(0, 60),
    fp=st.integers(0, 60),
    tn=st.integers(0, 60),
    fn=st.integers(0, 60),
)


@given(COUNTS)
def test_every_proportion_has_scipys_wilson_interval_or_is_none(counts):
    found = rates(counts)
    tp, fp, tn, fn = counts.tp, counts.fp, counts.tn, counts.fn
    for share, part, whole in (
        (found.sensitivity, tp, tp + fn),
        (found.specificity, tn, tn + fp),
        (found.ppv, tp, tp + fp),
        (found.npv, tn, tn + fn),
        (found.accuracy, tp + tn, tp + fp + tn + fn),
    ):
        if not whole:
            assert share is None
            continue
        expected = binomtest(part, whole).proportion_ci(0.95, "wilson")
        assert share.value == part / whole
        assert (share.low, share.high) == pytest.approx((expected.low, expected.high))


@given(COUNTS.filter(lambda c: c.tp + c.fn > 0 and c.tn + c.fp > 0))
def test_f1_and_balanced_accuracy_are_scikit_learns_within_their_intervals(counts):
    truth = np.repeat([1, 0, 0, 1], [counts.tp, counts.fp, counts.tn, counts.fn])
    called = np.repeat([1, 1, 0, 0], [counts.tp, counts.fp, counts.tn, counts.fn])
    found = rates(counts)
    assert found.f1.value == pytest.approx(f1_score(truth, called, zero_division=0))
    assert found.balanced_accuracy.value == pytest.approx(
        balanced_accuracy_score(truth, called)
    )
    for share in (found.f1, found.balanced_accuracy):
        assert 0 <= share.low <= share.value <= share.high <= 1
        assert share.low < share.high


def test_f1_interval_covers_the_true_f1():
    rng = np.random.default_rng(1)
    true_f1 = 2 * 0.16 / (2 * 0.16 + 0.08 + 0.04)
    hits = 0
    for _ in range(600):
        tp, fp, tn, fn = rng.multinomial(250, [0.16, 0.08, 0.72, 0.04]).tolist()
        share = rates(Confusion(tp=tp, fp=fp, tn=tn, fn=fn)).f1
        hits += share.low <= true_f1 <= share.high
    assert hits / 600 == pytest.approx(0.95, abs=0.03)


def test_likelihood_ratios_of_a_table_worked_by_hand():
    # 90 of 100 diseased and 20 of 200 healthy are called
    positive, negative = likelihood_ratios(Confusion(tp=90, fp=20, tn=180, fn=10))
    assert positive.value == pytest.approx(9)
    assert negative.value == pytest.approx(1 / 9)
    error = math.sqrt(1 / 90 - 1 / 100 + 1 / 20 - 1 / 200)
    assert positive.high == pytest.approx(9 * math.exp(norm.ppf(0.975) * error))
    assert positive.low == pytest.approx(9 / math.exp(norm.ppf(0.975) * error))
    error = math.sqrt(1 / 10 - 1 / 100 + 1 / 180 - 1 / 200)
    assert negative.low == pytest.approx(math.exp(-norm.ppf(0.975) * error) / 9)


@pytest.mark.parametrize("counts", [(5, 0, 5, 0), (0, 5, 0, 5), (3, 0, 7, 2)])
def test_ratios_with_a_count_of_none_get_a_half_everywhere(counts):
    tp, fp, tn, fn = counts
    found = likelihood_ratios(Confusion(tp=tp, fp=fp, tn=tn, fn=fn))
    expected = (tp + 0.5) / (tp + fn + 1) / ((fp + 0.5) / (fp + tn + 1))
    assert found[0].value == pytest.approx(expected)
    for ratio in found:
        assert 0 < ratio.low < ratio.value < ratio.high < math.inf


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_predictive_values_are_those_of_a_million(sensitivity, specificity, share):
    sick, well = 1e6 * share, 1e6 * (1 - share)
    called = sick * sensitivity + well * (1 - specificity)
    others = sick * (1 - sensitivity) + well * specificity
    ppv, npv = predictive_values(sensitivity, specificity, share)
    assert (ppv is None) == (called == 0)
    if called > 1e-3:
        assert ppv == pytest.approx(sick * sensitivity / called)
    if others > 1e-3:
        assert npv == pytest.approx(well * specificity / others)


def test_predictive_intervals_at_the_datas_own_prevalence_hold_the_observed_shares():
    counts = Confusion(tp=90, fp=20, tn=180, fn=10)
    ppv, npv = predictive_values_ci(counts, 1 / 3)
    assert ppv.value == pytest.approx(90 / 110)
    assert npv.value == pytest.approx(180 / 190)
    # Mercaldo 2007: logit scale, variance (1 - se) / (se n1) + sp / ((1 - sp) n0)
    half = norm.ppf(0.975) * math.sqrt(0.1 / 0.9 / 100 + 0.9 / 0.1 / 200)
    assert math.log(ppv.high / (1 - ppv.high)) == pytest.approx(math.log(4.5) + half)
    half = norm.ppf(0.975) * math.sqrt(0.9 / 0.1 / 100 + 0.1 / 0.9 / 200)
    assert math.log(npv.low / (1 - npv.low)) == pytest.approx(math.log(18) - half)
    rare, _ = predictive_values_ci(counts, 0.01)
    assert rare.value == pytest.approx(predictive_values(0.9, 0.9, 0.01)[0])


def correlated(rng, images=4, patients=100, rho=0.7):
    """Flags with chance 0.8 whose patients agree."""
    shared = rng.normal(0, math.sqrt(rho), patients).repeat(images)
    own = rng.normal(0, math.sqrt(1 - rho), patients * images)
    return shared + own < norm.ppf(0.8), np.repeat(np.arange(patients), images)


def test_clustered_share_covers_and_the_plain_one_does_not():
    rng, plain, clustered = np.random.default_rng(2), 0, 0
    for _ in range(600):
        flags, cluster = correlated(rng)
        share = clustered_share(flags, cluster)
        low, high = wilson(int(flags.sum()), len(flags))
        plain += low <= 0.8 <= high
        clustered += share.low <= 0.8 <= share.high
    assert clustered / 600 == pytest.approx(0.95, abs=0.03)
    assert plain / 600 < 0.87


def test_clustered_share_by_hand():
    # shares 1, 1/2 and 0 of three patients: deviations 1, 0 and -1
    share = clustered_share([1, 1, 1, 0, 0, 0], ["a", "a", "b", "b", "c", "c"])
    effect = 3 / 2 * (1 + 0 + 1) / (6 * 0.25)
    assert (share.low, share.high) == pytest.approx(wilson(3 / effect, 6 / effect))


def test_cases_that_are_all_alike_count_one_a_patient():
    share = clustered_share([True] * 12, np.repeat([0, 1, 2], 4))
    assert (share.value, share.high) == (1.0, 1.0)
    assert share.low == pytest.approx(wilson(3, 3)[0])
    one = clustered_share([True, False], ["a", "a"])
    assert (one.low, one.high) == pytest.approx(wilson(0.5, 1))


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=2).filter(
        lambda rows: len({truth for truth, _ in rows}) == 2
    )
)
def test_patients_of_one_image_have_the_plain_rates(rows):
    truth, score = np.array(rows).T
    found = clustered_rates(truth, score, 5, None)
    expected = rates(found.counts)
    for name in ("sensitivity", "specificity", "ppv", "npv", "accuracy", "f1"):
        got, wanted = getattr(found, name), getattr(expected, name)
        assert (got is None) == (wanted is None)
        if got is not None:
            assert (got.value, got.low, got.high) == pytest.approx(
                (wanted.value, wanted.low, wanted.high)
            )


def test_clustered_rates_are_wider():
    rng = np.random.default_rng(3)
    cluster = np.repeat(np.arange(50), 6)
    truth = cluster % 2
    score = truth + rng.normal(0, 1, 50)[cluster]
    found, plain = (clustered_rates(truth, score, 0.5, c) for c in (cluster, None))
    assert found.counts == plain.counts
    for name in ("sensitivity", "specificity", "ppv", "npv", "accuracy", "f1"):
        got, wanted = getattr(found, name), getattr(plain, name)
        assert got.high - got.low > 1.5 * (wanted.high - wanted.low)


def test_ratios_of_copied_cases_are_those_of_the_cases():
    rng = np.random.default_rng(8)
    truth = np.repeat([0, 1], [70, 50])
    score = rng.normal(truth, 1)
    once = likelihood_ratios(confusion(truth, score, 0.5))
    data = (np.tile(truth, 4), np.tile(score, 4), 0.5)
    effects = design_effects(*data, np.tile(np.arange(120), 4))
    assert effects == pytest.approx((4 * 50 / 49, 4 * 70 / 69))
    copied = likelihood_ratios(confusion(*data), effects=effects)
    ppv, _ = predictive_values_ci(confusion(*data), 0.1, effects=effects)
    plain, _ = predictive_values_ci(confusion(truth, score, 0.5), 0.1)
    for got, wanted in (*zip(copied, once, strict=True), (ppv, plain)):
        assert got.value == pytest.approx(wanted.value)
        assert (got.low, got.high) == pytest.approx((wanted.low, wanted.high), rel=0.01)


def test_senseless_input_is_refused():
    with pytest.raises(ValueError, match="threshold is not a number"):
        confusion([0, 1], [0, 1], math.nan)
    with pytest.raises(ValueError, match="0 cases have no share"):
        design_effect([], None)
    counts = Confusion(tp=0, fp=2, tn=3, fn=0)
    with pytest.raises(ValueError, match="0 diseased and 5 healthy"):
        likelihood_ratios(counts)
    with pytest.raises(ValueError, match="prevalence must be between 0 and 1, got 1"):
        predictive_values_ci(counts, 1)
    with pytest.raises(ValueError, match=r"specificity must be 0 to 1, got 1\.5"):
        predictive_values(0.5, 1.5, 0.5)
    with pytest.raises(ValueError, match="0 cases have no share"):
        clustered_share([], [])
