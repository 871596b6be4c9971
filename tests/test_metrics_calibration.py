"""medcnn.metrics.calibration against scikit-learn's logistic regression."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.calibration import platt


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
