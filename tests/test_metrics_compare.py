"""Comparisons of areas against R's pROC, definitions and degenerate cases."""

import math

import numpy as np
import pytest
from asah import POOR, S100B, WFNS
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.roc import group_difference, paired_difference, roc_auc

VARIANCES = {"wfns": 0.00146991470882363, "s100b": 0.00266868245717244}  # pROC

PAIRS = st.lists(
    st.tuples(
        st.integers(0, 1), st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 7)
    ),
    min_size=8,
    max_size=40,
).filter(
    lambda rows: all(len({r[3] for r in rows if r[0] == side}) >= 2 for side in (0, 1))
)


def test_paired_test_is_the_one_that_r_proc_publishes():
    # pROC, roc.test(r.wfns, r.s100b): Z = 2.20898, p = 0.02718
    found = paired_difference(POOR, WFNS, S100B)
    assert found.p_value == pytest.approx(0.0271757822291882, rel=1e-9)
    assert found.low == pytest.approx(0.0104061769564846, rel=1e-9)
    assert found.high == pytest.approx(0.174214419249478, rel=1e-9)
    assert found.difference == pytest.approx(found.area_a - found.area_b)
    assert (found.area_a, found.area_b) == (roc_auc(POOR, WFNS), roc_auc(POOR, S100B))


def test_groups_are_compared_by_the_statistic_that_r_proc_publishes():
    # roc.test(r.wfns, r.s100b, paired = FALSE): D = 1.43490640926908
    truth, member = np.tile(POOR, 2), np.repeat([True, False], len(POOR))
    found = group_difference(truth, np.concatenate([WFNS, S100B]), member)
    assert found.p_value == pytest.approx(2 * norm.sf(1.43490640926908), rel=1e-9)
    error = math.sqrt(sum(VARIANCES.values()))
    assert found.high - found.low == pytest.approx(2 * norm.ppf(0.975) * error)


def test_groups_that_share_their_patients_are_compared_in_pairs():
    truth, member = np.tile(POOR, 2), np.repeat([True, False], len(POOR))
    patients = np.tile(np.arange(len(POOR)), 2)
    score = np.concatenate([WFNS, S100B])
    shared = group_difference(truth, score, member, patients)
    paired = paired_difference(POOR, WFNS, S100B)
    assert shared.low == pytest.approx(paired.low, abs=2e-3)  # 113/112 for 72/71, 41/40
    assert shared.p_value == pytest.approx(paired.p_value, abs=2e-3)


@given(PAIRS)
@settings(max_examples=80, deadline=None)
def test_the_other_way_round_it_is_the_opposite(rows):
    truth, first, second, cluster = zip(*rows, strict=True)
    found = paired_difference(truth, first, second, cluster)
    other = paired_difference(truth, second, first, cluster)
    assert -1 <= found.low <= found.difference <= found.high <= 1
    assert 0 <= found.p_value <= 1
    assert other.difference == pytest.approx(-found.difference)
    assert (other.low, other.high) == pytest.approx((-found.high, -found.low))
    assert other.p_value == pytest.approx(found.p_value, abs=1e-9)


@given(PAIRS)
@settings(max_examples=60, deadline=None)
def test_scale_of_a_model_does_not_matter_and_itself_is_no_different(rows):
    truth, first, second, cluster = (
        np.array(c, float) for c in zip(*rows, strict=True)
    )
    found = paired_difference(truth, first, second, cluster)
    assert paired_difference(truth, np.exp(first), second**3, cluster) == found
    same = paired_difference(truth, first, 2 * first + 1, cluster)
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)


def test_copies_in_a_patient_add_nothing_but_as_patients_they_do():
    truth, patients = np.tile(POOR, 3), np.tile(np.arange(len(POOR)), 3)
    first, second = np.tile(WFNS, 3), np.tile(S100B, 3)
    once = paired_difference(POOR, WFNS, S100B)
    right = paired_difference(truth, first, second, patients)
    assert right.p_value == pytest.approx(once.p_value)
    assert paired_difference(truth, first, second).p_value < 0.001


def test_two_perfect_models_are_not_known_to_be_the_same():
    truth = np.repeat([0, 1], 10)
    found = paired_difference(truth, np.arange(20), truth)
    assert (found.difference, found.p_value) == (0.0, pytest.approx(1.0))
    assert found.low == pytest.approx(0.025 ** (1 / 10) - 1)
    assert found.high == -found.low


def test_perfect_and_worthless_differ_and_the_chance_is_a_number():
    truth = np.repeat([0, 1], 10)
    found = paired_difference(truth, truth, np.zeros(20))
    assert found.difference == 0.5
    assert 0 < found.low < 0.5 < found.high <= 1
    assert 0 < found.p_value < 0.05
    few = paired_difference([0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0])
    assert few.low < 0 < few.high
    assert 0.05 < few.p_value <= 1


def test_the_chance_agrees_with_the_interval_where_the_variance_is_none():
    truth = np.repeat([0, 1], 8)
    found = paired_difference(truth, truth, np.zeros(16))
    level = 1 - found.p_value
    edge = paired_difference(truth, truth, np.zeros(16), level=level)
    assert edge.low == pytest.approx(0, abs=1e-6)


def test_groups_without_two_of_each_are_named_with_their_counts():
    truth, score = [0, 0, 1, 1, 0, 0, 0, 1], range(8)
    member = np.repeat([True, False], 4)
    with pytest.raises(UndefinedMetricError, match="the others: 1 diseased and 3"):
        group_difference(truth, score, member)
    with pytest.raises(UndefinedMetricError, match="the group: 1 diseased and 3"):
        group_difference(truth, score, ~member)
    with pytest.raises(ValueError, match="member must be 8 truth values, got int"):
        group_difference(truth, score, [1] * 8)


def test_models_are_compared_on_the_same_cases():
    with pytest.raises(ValueError, match="must be equal"):
        paired_difference([0, 0, 1, 1], range(4), range(3))
    with pytest.raises(UndefinedMetricError, match="4 diseased and 0 healthy"):
        paired_difference([1] * 4, range(4), range(4))
    with pytest.raises(UndefinedMetricError, match="of 1 and 1 patients"):
        paired_difference([0, 0, 1, 1], range(4), range(4), ["a", "a", "b", "b"])
