"""medcnn.metrics against statsmodels."""

import numpy as np
import pytest
from scipy.special import expit, logit

from medcnn.metrics.calibration import slope_intercept
from medcnn.metrics.operating import wilson

api = pytest.importorskip("statsmodels.api")
proportion = pytest.importorskip("statsmodels.stats.proportion")


def cases(seed):
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(80), 4)
    z = rng.normal(-0.3, 1.2, 80)[cluster] + rng.normal(0, 0.5, 320)
    return (rng.uniform(size=320) < expit(0.8 * z - 0.2)).astype(int), expit(z), cluster


def shares(found):
    return [(s.value, s.low, s.high) for s in (found.intercept, found.slope)]


@pytest.mark.parametrize("seed", range(3))
def test_cox_fit_and_its_errors(seed):
    truth, probability, _ = cases(seed)
    design = api.add_constant(logit(probability))
    fit = api.GLM(truth, design, family=api.families.Binomial()).fit(tol=1e-12)
    expected = np.column_stack([fit.params, fit.conf_int()])
    np.testing.assert_allclose(shares(slope_intercept(truth, probability)), expected)
    ones = np.ones((len(truth), 1))
    family = api.families.Binomial()
    large = api.GLM(truth, ones, family=family, offset=logit(probability)).fit()
    found = slope_intercept(truth, probability).in_the_large
    assert (found.low, found.high) == pytest.approx(tuple(large.conf_int()[0]))


@pytest.mark.parametrize("seed", range(3))
def test_cox_errors_by_patient(seed):
    truth, probability, cluster = cases(seed)
    design = api.add_constant(logit(probability))
    model = api.GLM(truth, design, family=api.families.Binomial())
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": cluster}, tol=1e-12)
    found = slope_intercept(truth, probability, cluster)
    # theirs has (N - 1) / (N - parameters) more
    factor = np.sqrt(319 / 318)
    for share, error in zip((found.intercept, found.slope), fit.bse, strict=True):
        assert (share.high - share.low) / (2 * 1.959964) == pytest.approx(
            error / factor, rel=1e-5
        )


@pytest.mark.parametrize(("part", "whole"), [(0, 7), (3, 7), (7, 7), (95, 100)])
def test_wilson(part, whole):
    expected = proportion.proportion_confint(part, whole, method="wilson")
    assert wilson(part, whole) == pytest.approx(expected, abs=1e-12)
