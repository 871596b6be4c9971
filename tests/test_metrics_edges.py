"""Whatever the data: a number, or an error with the counts in it; and in seconds."""

import dataclasses
import math
import time
import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medcnn.errors import UndefinedMetricError
from medcnn.metrics import bootstrap, calibration, multiclass, operating, precision, roc
from medcnn.metrics.decision import net_benefit
from medcnn.metrics.workload import workload_at, workload_curve

STATISTICS = {
    "delong": lambda t, s, _: roc.delong_ci(t, s),
    "clustered": roc.clustered_ci,
    "paired": lambda t, s, c: roc.paired_difference(t, s, np.cos(9 * s), c),
    "groups": lambda t, s, c: roc.group_difference(t, s, np.arange(len(s)) % 3 > 0, c),
    "partial": lambda t, s, _: roc.partial_auc(t, s, max_fpr=0.1),
    "sensitive": lambda t, s, _: roc.partial_auc(t, s, min_tpr=0.9),
    "precision": precision.average_precision_ci,
    "bootstrap": lambda t, s, c: bootstrap.auc_bootstrap(
        t, s, c, samples=20, rng=np.random.default_rng(0)
    ),
    "rates": lambda t, s, c: operating.clustered_rates(t, s, 0.5, c),
    "youden": lambda t, s, _: operating.youden_threshold(t, s),
    "ratios": lambda t, s, _: operating.likelihood_ratios(
        operating.confusion(t, s, 0.5)
    ),
    "platt": lambda t, s, _: calibration.platt(t, s),
    "temperature": lambda t, s, _: calibration.temperature(t, s),
    "brier": lambda t, s, _: calibration.brier_parts(t, s),
    "ece": lambda t, s, _: calibration.expected_calibration_error(t, s),
    "adaptive": lambda t, s, _: calibration.reliability(t, s, by="count"),
    "cox": calibration.slope_intercept,
    "benefit": lambda t, s, _: net_benefit(t, s, [0.01, 0.5, 0.99]),
    "workload": lambda t, s, _: workload_at(t, s, 0.05),
    "macro": lambda t, s, c: multiclass.macro_auc_ci(
        t, np.stack([1 - s, s], axis=1), c
    ),
}


def numbers(value):
    """Yield every number of a result; None is allowed where documented."""
    if dataclasses.is_dataclass(value):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, list | tuple):
        for part in value:
            yield from numbers(part)
    elif value is not None:
        yield from np.ravel(value).tolist()


SCORES = st.sampled_from([0.0, 1e-12, 0.3, 0.5, 0.7, 1 - 1e-12, 1.0])
_EACH_PATIENT_FITS = [(0, 0.5, 3), *4 * [(0, 0.7, 0)], (1, 0.5, 3), (1, 0.7, 0)]
"""Clusters that a line meets exactly: their spread is nothing but rounding."""
ROWS = st.lists(st.tuples(st.integers(0, 1), SCORES, st.integers(0, 4)), max_size=30)


@pytest.mark.parametrize("name", STATISTICS)
@given(rows=ROWS, single=st.booleans())
@example(rows=_EACH_PATIENT_FITS, single=False)
@settings(max_examples=60, deadline=None)
def test_every_statistic_is_finite_or_says_how_many_there_are(name, rows, single):
    table = np.array(rows, float).reshape(len(rows), 3)
    truth, score, cluster = table[:, 0], table[:, 1], table[:, 2].astype(int)
    if single:
        score = score.astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = STATISTICS[name](truth, score, cluster)
        except UndefinedMetricError as error:
            said = error.message
        else:
            said = "0"
            assert all(math.isfinite(number) for number in numbers(found))
    assert any(character.isdigit() for character in said)


@pytest.mark.parametrize("name", STATISTICS)
def test_scores_that_are_no_numbers_are_refused_with_their_count(name):
    truth, cluster = np.repeat([0, 1], 5), np.arange(10)
    for wrong in (math.nan, math.inf, -math.inf):
        score = np.linspace(0, 1, 10)
        score[3] = wrong
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # cosine of infinity
            with pytest.raises(ValueError, match=r"1 (scores|of 10 cases)"):
                STATISTICS[name](truth, score, cluster)


def test_only_the_first_point_of_a_curve_has_an_infinite_threshold():
    truth, score = [0, 1, 1], [0.1, 0.1, 0.4]
    for *shares, threshold in (
        roc.roc_curve(truth, score),
        workload_curve(truth, score),
    ):
        assert np.isfinite(shares).all()
        assert math.isinf(threshold[0])
        assert np.isfinite(threshold[1:]).all()


@pytest.mark.slow
def test_a_million_scores_take_seconds():
    rng = np.random.default_rng(0)
    truth = (rng.random(1_000_000) < 0.1).astype(int)
    score = rng.normal(truth, 1)
    cluster = rng.integers(0, 250_000, len(truth))
    for statistic in (roc.clustered_ci, precision.average_precision_ci):
        begin = time.process_time()
        _, low, high = statistic(truth, score, cluster)
        assert time.process_time() - begin < 10
        assert 0 < high - low < 0.02
