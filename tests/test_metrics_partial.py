"""Partial areas against R's pROC and scikit-learn."""

import numpy as np
import pytest
from asah import POOR, WFNS
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.roc import partial_auc, roc_auc


@pytest.mark.parametrize(
    ("part", "area", "standardised"),
    [  # pROC, auc(r.wfns, partial.auc = c(1, .9)), focus on specificity and sensitivity
        ({"max_fpr": 0.1}, 0.0334417344173442, 0.649693339038653),
        ({"min_tpr": 0.9}, 0.0400999322493225, 0.68473648552275),
        ({"max_fpr": 1.0}, 0.823678861788618, 0.823678861788618),
        ({"min_tpr": 0.0}, 0.823678861788618, 0.823678861788618),
    ],
)
def test_partial_areas_are_those_that_r_proc_publishes(part, area, standardised):
    found = partial_auc(POOR, WFNS, **part)
    assert found.area == pytest.approx(area, abs=1e-12)
    assert found.standardised == pytest.approx(standardised, abs=1e-12)


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=2).filter(
        lambda rows: len({truth for truth, _ in rows}) == 2
    ),
    st.floats(0.01, 0.99),
)
@settings(max_examples=80, deadline=None)
def test_standardised_area_is_scikit_learns_and_both_sides_mirror(rows, width):
    truth, score = np.array(rows).T
    found = partial_auc(truth, score, max_fpr=width)
    expected = roc_auc_score(truth, score, max_fpr=width)
    assert found.standardised == pytest.approx(expected)
    mirrored = partial_auc(1 - truth, -score, min_tpr=1 - width)
    assert mirrored.area == pytest.approx(found.area)


def test_the_whole_is_the_sum_of_its_parts():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, 100)
    score = rng.normal(truth, 1).round(1)
    fine = [
        partial_auc(truth, score, max_fpr=share / 50).area for share in range(1, 51)
    ]
    assert np.diff(fine, prepend=0.0).min() >= 0
    assert fine[-1] == pytest.approx(roc_auc(truth, score))


def test_senseless_parts_are_refused():
    for part in ({}, {"max_fpr": 0.1, "min_tpr": 0.9}):
        with pytest.raises(ValueError, match="give one of"):
            partial_auc([0, 1], [0, 1], **part)
    for part in ({"max_fpr": 0.0}, {"max_fpr": 1.1}, {"min_tpr": 1.0}):
        with pytest.raises(ValueError, match="max_fpr is above 0"):
            partial_auc([0, 1], [0, 1], **part)
    with pytest.raises(UndefinedMetricError, match="2 diseased and 0"):
        partial_auc([1, 1], [0, 1], max_fpr=0.5)
