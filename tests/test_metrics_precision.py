"""Precision and recall against scikit-learn, and the interval's coverage."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import average_precision_score
from sklearn.metrics import precision_recall_curve as reference_curve

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.precision import (
    average_precision,
    average_precision_ci,
    precision_recall_curve,
)

ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=2).filter(
    lambda rows: len({truth for truth, _ in rows}) == 2
)


@given(ROWS)
@settings(max_examples=80, deadline=None)
def test_average_precision_and_curve_are_scikit_learns_with_ties(rows):
    truth, score = np.array(rows).T
    assert average_precision(truth, score) == pytest.approx(
        average_precision_score(truth, score)
    )
    precision, recall, threshold = reference_curve(truth, score)
    got = precision_recall_curve(truth, score)
    np.testing.assert_allclose(got[0], precision[:-1][::-1])
    np.testing.assert_allclose(got[1], recall[:-1][::-1])
    np.testing.assert_allclose(got[2], threshold[::-1])


def test_equal_scores_have_the_prevalence():
    assert average_precision([0, 0, 0, 1], [2, 2, 2, 2]) == 0.25


def test_interval_is_logistic_in_the_number_of_the_diseased():
    rng = np.random.default_rng(2)
    truth = np.repeat([0, 1], [200, 50])
    score = rng.normal(truth * 2, 1)
    value, low, high = average_precision_ci(truth, score)
    half = norm.ppf(0.975) / math.sqrt(50 * value * (1 - value))  # Boyd 2013, eq. 9
    assert math.log(high / (1 - high)) - math.log(low / (1 - low)) == pytest.approx(
        2 * half
    )
    _, wide_low, wide_high = average_precision_ci(
        np.tile(truth, 4), np.tile(score, 4), np.tile(np.arange(250), 4)
    )
    assert (wide_low, wide_high) == pytest.approx((low, high))


@given(ROWS.filter(lambda rows: sum(truth for truth, _ in rows) >= 2))
@settings(max_examples=60, deadline=None)
def test_interval_holds_the_value_and_stays_within_its_range(rows):
    truth, score = np.array(rows).T
    value, low, high = average_precision_ci(truth, score)
    assert 0 < low <= value <= high <= 1
    assert low < high


def test_interval_covers_the_true_value():
    rng = np.random.default_rng(9)
    big = np.repeat([0, 1], [160_000, 40_000])
    true_value = average_precision(big, rng.normal(big * 1.5, 1))
    truth = np.repeat([0, 1], [160, 40])
    found = [
        average_precision_ci(truth, rng.normal(truth * 1.5, 1)) for _ in range(300)
    ]
    covered = np.mean([low <= true_value <= high for _, low, high in found])
    assert covered >= 0.92


def test_one_class_or_one_patient_is_undefined():
    with pytest.raises(UndefinedMetricError, match="0 diseased and 2 healthy"):
        average_precision([0, 0], [1, 2])
    with pytest.raises(UndefinedMetricError, match="2 diseased, of 1 patient"):
        average_precision_ci([0, 1, 1], [1, 2, 3], ["a", "b", "b"])
