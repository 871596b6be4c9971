"""Calibration slope and intercept: likelihood equations, simulation, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.calibration import slope_intercept


def cases(slope=0.7, intercept=-0.4, count=400, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(-0.5, 1.5, count)
    truth = (rng.uniform(size=count) < expit(slope * z + intercept)).astype(int)
    return truth, expit(z)


def test_slope_and_intercept_are_scikit_learns_logistic_regression():
    truth, probability = cases()
    fit = LogisticRegression(C=1e10, tol=1e-10, max_iter=10_000)
    fit.fit(logit(probability)[:, None], truth)
    found = slope_intercept(truth, probability)
    assert found.slope.value == pytest.approx(fit.coef_[0, 0], rel=1e-4)
    assert found.intercept.value == pytest.approx(fit.intercept_[0], rel=1e-4)


def test_errors_are_those_of_the_information_matrix():
    truth, probability = cases()
    found = slope_intercept(truth, probability)
    z = logit(probability)
    p = expit(found.intercept.value + found.slope.value * z)
    columns = np.stack([np.ones_like(z), z])
    errors = np.sqrt(np.diag(np.linalg.inv((columns * p * (1 - p)) @ columns.T)))
    for share, error in zip((found.intercept, found.slope), errors, strict=True):
        assert share.high - share.value == pytest.approx(1.959964 * error, rel=1e-5)
        assert share.value - share.low == pytest.approx(1.959964 * error, rel=1e-5)


def test_in_the_large_the_expected_equals_the_observed():
    truth, probability = cases()
    shift = slope_intercept(truth, probability).in_the_large.value
    assert expit(logit(probability) + shift).sum() == pytest.approx(truth.sum())


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, 0.8), (1.6, -1.0)])
def test_the_truth_is_recovered_from_many_cases(slope, intercept):
    found = slope_intercept(*cases(slope, intercept, 60_000))
    assert found.slope.value == pytest.approx(slope, abs=0.05)
    assert found.intercept.value == pytest.approx(intercept, abs=0.05)


@pytest.mark.parametrize("images", [1, 4])
def test_intervals_by_patient_cover(images):
    rng, hits = np.random.default_rng(3), 0
    for _ in range(300):
        z = rng.normal(0, 1.5, 150)
        truth = (rng.uniform(size=150) < expit(z)).astype(int).repeat(images)
        cluster = np.arange(150).repeat(images)
        found = slope_intercept(truth, expit(z).repeat(images), cluster).in_the_large
        hits += found.low <= 0 <= found.high
    assert hits / 300 == pytest.approx(0.95, abs=0.04)


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from([0.0, 1e-9, 0.2, 0.5, 0.9, 1.0])),
        min_size=2,
        max_size=30,
    )
)
@settings(max_examples=200, deadline=None)
def test_it_is_finite_or_refused(rows):
    truth, probability = zip(*rows, strict=True)
    diseased = [max(p, 1e-7) for u, p in rows if u]
    healthy = [max(p, 1e-7) for u, p in rows if not u]
    mixed = diseased and healthy
    if not (mixed and max(healthy) > min(diseased) and max(diseased) > min(healthy)):
        with pytest.raises(UndefinedMetricError, match=r"\d diseased and \d"):
            slope_intercept(truth, probability)
        return
    found = slope_intercept(truth, probability)
    for share in (found.slope, found.intercept, found.in_the_large):
        assert np.isfinite([share.low, share.value, share.high]).all()
        assert share.low <= share.value <= share.high


@pytest.mark.parametrize(
    ("truth", "probability"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]),
        ([0, 1, 1], [0.5] * 3),
        ([1, 0, 0], [0.1, 0.1, 0.9]),
    ],
)
def test_no_slope_is_said_with_the_counts(truth, probability):
    with pytest.raises(UndefinedMetricError, match=r"of \d diseased and \d healthy"):
        slope_intercept(truth, probability)


def test_one_patient_has_no_interval():
    with pytest.raises(UndefinedMetricError, match="4 cases of 1 patient"):
        slope_intercept([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4], ["a"] * 4)
