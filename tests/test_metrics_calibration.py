"""medcnn.metrics.calibration against scikit-learn's logistic regression."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.calibration import platt, temperature


def test_platt_equals_a_weighted_logistic_regression():
    rng = np.random.default_rng(2)
    truth = np.repeat([0, 1], [70, 30])
    logit = 3 * rng.normal(truth, 1.2) + 4
    soft = np.where(truth == 1, 31 / 32, 1 / 72)  # Platt's targets
    twice = np.concatenate([logit, logit])[:, None]
    sides, weights = np.repeat([1, 0], 100), np.concatenate([soft, 1 - soft])
    reference = LogisticRegression(C=1e9, tol=1e-10, max_iter=10_000)
    reference.fit(twice, sides, sample_weight=weights)
    slope, intercept = platt(truth, logit)
    assert slope == pytest.approx(reference.coef_[0, 0], rel=1e-3)
    assert intercept == pytest.approx(reference.intercept_[0], rel=1e-3)


def test_platt_recovers_the_truth_from_many_cases():
    rng = np.random.default_rng(4)
    logit = rng.normal(0, 3, 40_000)
    truth = rng.uniform(size=40_000) < expit(0.6 * logit - 1.1)
    assert platt(truth.astype(int), logit) == pytest.approx((0.6, -1.1), abs=0.05)


def test_mean_probability_is_the_share_of_the_diseased():
    rng = np.random.default_rng(6)
    truth = rng.integers(0, 2, 500)
    logit = rng.normal(truth, 1)
    slope, intercept = platt(truth, logit)
    assert expit(slope * logit + intercept).mean() == pytest.approx(
        truth.mean(), abs=0.005
    )


def test_slope_is_finite_where_the_classes_are_apart_and_never_negative():
    slope, _ = platt([0, 0, 1, 1], [-2.0, -1.0, 1.0, 2.0])
    assert 0 < slope < 20
    slope, _ = platt([1, 1, 0, 0], [-2.0, -1.0, 1.0, 2.0])
    assert slope > 0


def test_one_class_is_undefined():
    with pytest.raises(UndefinedMetricError, match="0 diseased"):
        platt([0, 0], [1.0, 2.0])


def reference_temperature(truth, logits):
    """Find the temperature on a fine grid, with scipy's softmax."""
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 4001))
    chosen = np.arange(len(truth)), truth
    losses = [-np.log(softmax(logits / t, axis=1)[chosen]).mean() for t in grid]
    return grid[int(np.argmin(losses))]


def test_temperature_has_the_highest_likelihood_of_a_fine_grid():
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2, (300, 4))
    truth = np.array([rng.choice(4, p=p) for p in softmax(logits / 1.8, axis=1)])
    found = temperature(truth, logits)
    assert found == pytest.approx(reference_temperature(truth, logits), rel=2e-3)
    assert found == pytest.approx(1.8, abs=0.4)
    assert temperature(np.eye(4)[truth], logits) == found
    assert temperature(truth, logits + rng.normal(0, 50, (300, 1))) == pytest.approx(
        found, rel=1e-3
    )


def test_temperature_of_one_logit_is_that_of_two():
    rng = np.random.default_rng(4)
    logit = rng.normal(0, 4, 500)
    truth = (rng.uniform(size=500) < expit(logit / 2.5)).astype(int)
    both = np.stack([np.zeros(500), logit], axis=1)
    assert temperature(truth, logit) == temperature(truth, both)
    assert temperature(truth, logit) == pytest.approx(2.5, abs=0.5)


def test_temperature_is_finite_for_extreme_cases():
    assert 0.05 <= temperature([0, 1], [-5.0, 5.0]) < 0.2  # all as good, to rounding
    assert temperature([1, 0], [-5.0, 5.0]) == pytest.approx(20, rel=1e-3)
    assert temperature([0, 1], [0.0, 0.0]) == 1
    assert 0.05 <= temperature([0, 2], [[1e4, 0, 0], [1e4, 0, 0]]) <= 20


@pytest.mark.parametrize(
    ("truth", "logits", "words"),
    [
        ([0, 3], [[1, 2, 3], [1, 2, 3]], "1 of 2 classes"),
        ([[1, 1], [0, 1]], [[1, 2], [1, 2]], "not one-hot"),
        ([0], [[1, 2], [1, 2]], "truth has 1 cases, logits 2"),
        ([0, 1], [[1, 2], [1, np.inf]], "logits must be finite"),
    ],
)
def test_senseless_logits_are_refused(truth, logits, words):
    with pytest.raises(ValueError, match=words):
        temperature(truth, logits)


def test_no_case_has_no_temperature():
    with pytest.raises(UndefinedMetricError, match="0 cases"):
        temperature([], [])
