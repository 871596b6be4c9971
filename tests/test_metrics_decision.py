"""Decision and workload curves against definitions, case by case."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.decision import net_benefit
from medcnn.metrics.workload import workload_at, workload_curve

ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 10).map(lambda n: n / 10)), min_size=2
).filter(lambda rows: len({truth for truth, _ in rows}) == 2)


@given(ROWS, st.floats(0.01, 0.99))
def test_net_benefit_is_vickers_and_elkins_definition(rows, threshold):
    tp = sum(t == 1 and p >= threshold for t, p in rows)
    fp = sum(t == 0 and p >= threshold for t, p in rows)
    sick = sum(t for t, _ in rows)
    odds = threshold / (1 - threshold)
    curve = net_benefit(*zip(*rows, strict=True), [threshold])
    assert curve.model[0] == pytest.approx((tp - fp * odds) / len(rows))
    everybody = (sick - (len(rows) - sick) * odds) / len(rows)
    assert curve.treat_all[0] == pytest.approx(everybody)
    assert curve.treat_none[0] == 0


def test_all_are_treated_at_low_thresholds_and_the_curve_ends_at_the_prevalence():
    truth, probability = [0, 1, 1, 0], [0.2, 0.9, 0.6, 0.4]
    curve = net_benefit(truth, probability, [1e-9, 0.1])
    np.testing.assert_allclose(curve.model, curve.treat_all)
    assert curve.model[0] == pytest.approx(0.5)


def test_one_class_is_a_curve_and_senseless_thresholds_are_refused():
    assert net_benefit([0, 0], [0.7, 0.1], [0.5]).model.tolist() == [-0.5]
    for wrong in ([0.0], [1.0], [0.2, float("nan")], [[0.5]]):
        with pytest.raises(ValueError, match="above 0 and below 1"):
            net_benefit([0, 1], [0.1, 0.2], wrong)
    with pytest.raises(UndefinedMetricError, match="0 diseased and 0 healthy"):
        net_benefit([], [], [0.5])


@given(ROWS)
def test_workload_is_counted_case_by_case(rows):
    truth, score = np.array(rows).T
    read, missed, threshold = workload_curve(truth, score)
    for share, lost, limit in zip(read, missed, threshold, strict=True):
        assert share == pytest.approx((score >= limit).mean())
        assert lost == pytest.approx((score[truth == 1] < limit).mean())
    assert (read[0], missed[0], read[-1], missed[-1]) == (0, 1, 1, 0)
    assert np.diff(read).min() > 0 >= np.diff(missed).max()


@given(ROWS, st.floats(0, 0.99))
def test_the_least_reading_is_found(rows, allowed):
    truth, score = np.array(rows).T
    read, missed, threshold = workload_at(truth, score, allowed)
    assert missed <= allowed + 1e-9
    higher = score[score > threshold]
    if higher.size:
        assert (score[truth == 1] < higher.min()).mean() > allowed
    assert read == pytest.approx((score >= threshold).mean())


def test_missing_everything_is_no_workload():
    with pytest.raises(ValueError, match="missed must be 0 or more and below 1, got 1"):
        workload_at([0, 1], [0, 1], 1)
    with pytest.raises(UndefinedMetricError, match="0 diseased and 2 healthy"):
        workload_curve([0, 0], [0, 1])
