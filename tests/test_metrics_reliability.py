"""Reliability bins and calibration errors against scikit-learn and hand-worked bins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.calibration import expected_calibration_error, reliability

ROWS = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=60)


def cases(count=2000, seed=0):
    rng = np.random.default_rng(seed)
    probability = rng.uniform(size=count) ** 2
    return (rng.uniform(size=count) < probability**1.3).astype(int), probability


@pytest.mark.parametrize(
    ("by", "strategy"), [("width", "uniform"), ("count", "quantile")]
)
def test_points_are_scikit_learns(by, strategy):
    truth, probability = cases()
    points = reliability(truth, probability, 10, by=by)
    share, mean = calibration_curve(truth, probability, n_bins=10, strategy=strategy)
    # scikit-learn interpolates quantiles: one case may fall into the next bin
    tolerance = 1e-12 if by == "width" else 0.01
    assert [p.observed for p in points] == pytest.approx(share, abs=tolerance)
    assert [p.predicted for p in points] == pytest.approx(mean, abs=tolerance)


def test_share_of_a_bin_has_wilsons_interval():
    for point in reliability(*cases(300), 5):
        expected = binomtest(point.events, point.cases).proportion_ci(0.95, "wilson")
        assert (point.low, point.high) == pytest.approx((expected.low, expected.high))


def test_error_of_bins_worked_by_hand():
    truth = [0, 0, 1, 0, 1, 1]
    probability = [0.1, 0.3, 0.4, 0.6, 0.7, 1.0]
    # two bins of width 1/2: |1/3 - 0.8/3| * 3/6 + |2/3 - 2.3/3| * 3/6
    assert expected_calibration_error(truth, probability, 2) == pytest.approx(
        (0.2 / 3 + 0.3 / 3) / 2
    )
    # three bins of two cases: |0 - 0.2|, |0.5 - 0.5|, |1 - 0.85|, each 1/3
    assert expected_calibration_error(
        truth, probability, 3, by="count"
    ) == pytest.approx((0.2 + 0 + 0.15) / 3)


@given(ROWS, st.integers(1, 20), st.sampled_from(["width", "count"]))
def test_each_case_is_in_one_bin_and_the_error_is_a_share(rows, bins, by):
    truth, probability = zip(*rows, strict=True)
    points = reliability(truth, probability, bins, by=by)
    assert sum(point.cases for point in points) == len(rows)
    assert sum(point.events for point in points) == sum(truth)
    assert len(points) <= bins
    for point in points:
        assert point.lower - 1e-12 <= point.predicted <= point.upper + 1e-12
        inside = [p for p in probability if point.lower <= p < point.upper]
        ends = [p for p in probability if p == point.upper == 1.0]
        assert point.cases == len(inside) + len(ends)
    assert 0 <= expected_calibration_error(truth, probability, bins, by=by) <= 1


def test_equal_probabilities_are_one_bin_and_one_class_is_no_trouble():
    for by in ("width", "count"):
        (point,) = reliability([1, 1, 1], [0.25] * 3, by=by)
        assert (point.cases, point.predicted, point.observed) == (3, 0.25, 1.0)
        assert expected_calibration_error([1, 1, 1], [0.25] * 3, by=by) == 0.75


def test_senseless_input_is_refused():
    with pytest.raises(UndefinedMetricError, match="0 diseased and 0 healthy"):
        reliability([], [])
    with pytest.raises(ValueError, match="1 of 2 probabilities are outside 0 to 1"):
        reliability([0, 1], [0.2, 1.2])
    with pytest.raises(ValueError, match="1 scores are not finite numbers, of 2"):
        reliability([0, 1], [0.2, float("nan")])
    with pytest.raises(ValueError, match="got 0 by width"):
        reliability([0, 1], [0.2, 0.3], 0)
    with pytest.raises(ValueError, match="got 3 by age"):
        reliability([0, 1], [0.2, 0.3], 3, by="age")
