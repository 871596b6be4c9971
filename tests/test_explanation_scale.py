"""The display's one scale: closed forms of where a spot reaches the flag threshold."""

import numpy as np
import pytest
from bundles import draft_spec

from medcnn.bundle import Calibration
from medcnn.explanation.scale import flag_level, measured_span


def _spec(**changes):
    return draft_spec().model_copy(update=changes)


def test_an_image_of_such_spots_alone_would_just_be_flagged():
    platt = Calibration(label="abnormal", slope=0.8, intercept=-0.3, fitted_on="val")
    spec = _spec(calibration=(platt,))
    slope, level = flag_level(spec, bias=-1.0)
    spot = level / slope  # the sum of one spot, and so of their mean
    probability = 1 / (1 + np.exp(-(0.8 * (spot - 1.0) - 0.3)))
    assert probability == pytest.approx(spec.operating_points[0].flag)


def test_the_level_is_zero_where_the_bias_alone_flags():
    assert flag_level(_spec(), bias=5.0) == (1.0, 0.0)


def test_softmax_counts_all_that_speaks_for_the_label():
    assert flag_level(_spec(activation="softmax"), bias=-3.0) == (1.0, 0.0)


def test_one_peak_in_twenty_exceeds_the_span():
    peaks = np.linspace(5, 25, 201).astype(np.float32)
    spec = _spec()
    span = measured_span(spec, -1.0, peaks)
    slope, level = flag_level(spec, -1.0)
    assert np.mean(slope * peaks - level > span) == pytest.approx(0.05, abs=0.01)


def test_no_flagged_image_gives_no_span():
    assert measured_span(_spec(), -1.0, np.array([], np.float32)) is None
    assert measured_span(_spec(), -9.0, np.array([0.1], np.float32)) is None
