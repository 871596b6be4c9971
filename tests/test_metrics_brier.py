"""Brier score and its parts against scikit-learn's isotonic regression."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.calibration import brier, brier_parts

ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 20).map(lambda n: n / 20)), min_size=2
)


@given(ROWS)
@settings(deadline=None)
def test_score_and_parts_are_scikit_learns(rows):
    truth, probability = np.array(rows).T
    parts = brier_parts(truth, probability)
    fitted = IsotonicRegression().fit_transform(probability, truth)
    assert brier(truth, probability) == pytest.approx(
        ((probability - truth) ** 2).mean()
    )
    if len(set(truth)) == 2:
        assert parts.score == pytest.approx(brier_score_loss(truth, probability))
    best = ((fitted - truth) ** 2).mean()
    assert parts.miscalibration == pytest.approx(parts.score - best, abs=1e-9)
    assert parts.score == pytest.approx(
        parts.miscalibration - parts.discrimination + parts.uncertainty
    )
    assert min(parts.miscalibration, parts.discrimination, parts.uncertainty) >= 0


def test_grouped_forecasts_have_murphys_parts():
    # 0.2: 1 of 5 diseased, 0.6: 3 of 5: calibrated, so only resolution is left
    truth = [1, 0, 0, 0, 0, 1, 1, 1, 0, 0]
    parts = brier_parts(truth, [0.2] * 5 + [0.6] * 5)
    assert parts.miscalibration == pytest.approx(0, abs=1e-12)
    assert parts.discrimination == pytest.approx(0.2**2)
    assert parts.uncertainty == pytest.approx(0.24)
    assert parts.scaled == pytest.approx(0.04 / 0.24)


def test_prevalence_as_forecast_is_worth_nothing_and_truth_everything():
    truth = np.repeat([0, 1], [30, 10])
    assert brier_parts(truth, [0.25] * 40).scaled == pytest.approx(0)
    assert brier_parts(truth, truth).scaled == 1


def test_one_class_has_a_score_but_no_scale_and_no_case_has_none():
    parts = brier_parts([0, 0], [0.1, 0.3])
    assert (parts.score, parts.scaled) == (pytest.approx(0.05), None)
    with pytest.raises(UndefinedMetricError, match="0 diseased and 0 healthy"):
        brier([], [])
