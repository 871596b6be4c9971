"""medcnn.calibration against scikit-learn and closed forms."""

from types import SimpleNamespace

import numpy as np
import pytest
from bundles import draft_spec
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from medcnn.bundle import Temperature
from medcnn.bundle_spec import BundleSpec, Calibration
from medcnn.calibration import probabilities_of
from medcnn.evaluation.fitting import fit_calibration


class Spec(SimpleNamespace):
    def model_copy(self, *, update):
        return Spec(**(vars(self) | update))


def spec(*labels, activation="softmax", calibration=(), temperature=None):
    return Spec(
        labels=labels,
        activation=activation,
        calibration=calibration,
        temperature=temperature,
    )


def biased(count=4000, seed=0):
    """Return two-class logits that are too small by 2 and too flat, and the truth."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 2, count)
    ill = rng.random(count) < expit(odds)
    shared = rng.normal(0, 5, count)  # says nothing: it is in both logits
    logits = np.stack([shared + odds / 2 - 2, shared], axis=1).astype(np.float32)
    return np.stack([ill, ~ill], axis=1).astype(float), logits


def told(fitted, logits):
    return np.array([probabilities_of(fitted, row) for row in logits])


def test_two_classes_get_slope_and_intercept_of_the_difference_of_their_logits():
    truth, logits = biased()
    fitted = fit_calibration(spec("ill", "well"), truth, logits, fitted_on="val")
    (one,) = fitted.calibration
    odds = (logits[:, 0] - logits[:, 1])[:, None]
    rival = LogisticRegression(C=np.inf).fit(odds, truth[:, 0])
    assert one.slope == pytest.approx(rival.coef_[0, 0], rel=5e-3)
    assert one.intercept == pytest.approx(rival.intercept_[0], abs=2e-2)
    assert (one.label, one.fitted_on, fitted.temperature) == ("ill", "val", None)
    probabilities = told(fitted, logits)
    assert probabilities.sum(1) == pytest.approx(1)
    assert probabilities == pytest.approx(rival.predict_proba(odds)[:, ::-1], abs=5e-3)


def test_a_temperature_mends_no_bias_and_a_slope_with_intercept_does():
    truth, logits = biased()
    fitted = fit_calibration(spec("ill", "well"), truth, logits, fitted_on="val")
    mended = log_loss(truth[:, 0], told(fitted, logits)[:, 0])
    best = min(
        log_loss(truth[:, 0], softmax(logits / t, axis=1)[:, 0])
        for t in np.geomspace(0.05, 20, 200)
    )
    assert mended < best - 0.02


def test_more_classes_get_one_temperature_and_keep_their_order():
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 3, (3000, 4)).astype(np.float32)
    classes = [rng.choice(4, p=p) for p in softmax(logits / 1.7, axis=1)]
    truth = np.eye(4)[classes]
    truth[:100] = np.nan  # not known
    fitted = fit_calibration(spec(*"abcd"), truth, logits, fitted_on="val")
    assert fitted.temperature.value == pytest.approx(1.7, rel=0.05)
    assert fitted.calibration == ()
    assert told(fitted, logits) == pytest.approx(
        softmax(logits / fitted.temperature.value, axis=1), abs=1e-6
    )


def test_labels_that_may_occur_together_are_fitted_one_by_one():
    truth, logits = biased(400)
    truth[:, 1] = 1  # one class only: nothing can be fitted
    start = spec("ill", "late", activation="sigmoid")
    fitted = fit_calibration(start, truth, logits, fitted_on="val")
    assert [part.label for part in fitted.calibration] == ["ill"]
    none = fit_calibration(start, truth, logits, fitted_on="val", labels=())
    assert none.calibration == ()
    raw = told(none, logits)
    assert raw == pytest.approx(expit(logits.astype(float)), abs=1e-9)


def test_where_nothing_is_known_classes_keep_what_they_have():
    unknown, logits = np.full((5, 2), np.nan), np.zeros((5, 2), np.float32)
    for start in (spec("a", "b"), spec("a", "b", "c")):
        truth = np.resize(unknown, (5, len(start.labels)))
        same = fit_calibration(
            start, truth, np.resize(logits, truth.shape), fitted_on="val"
        )
        assert (same.calibration, same.temperature) == ((), None)


def test_extreme_logits_give_probabilities_and_no_warning():
    fitted = spec(
        "a", "b", calibration=(Calibration(label="a", slope=9, fitted_on="x"),)
    )
    assert told(fitted, np.array([[1e5, -1e5], [-1e5, 1e5]], np.float32)).tolist() == [
        [1, 0],
        [0, 1],
    ]


def test_a_calibration_that_fits_no_classes_is_refused():
    raw = draft_spec().model_dump() | {"activation": "softmax"}
    one = Calibration(label="a", fitted_on="val").model_dump()
    other = one | {"label": "b"}
    warm = Temperature(value=2.0, fitted_on="val").model_dump()
    for labels, changes, match in (
        ("ab", {"calibration": [other]}, "for the main one"),
        ("abc", {"calibration": [one]}, "for the main one"),
        ("ab", {"calibration": [one], "temperature": warm}, "not both"),
    ):
        points = [
            {"label": x, "flag": 0.5, "review": 0.5, "rule": "", "chosen_on": ""}
            for x in labels
        ]
        told = raw | {"labels": list(labels), "operating_points": points} | changes
        with pytest.raises(ValueError, match=match):
            BundleSpec.model_validate(told)
