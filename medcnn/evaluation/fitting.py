"""Fit a model's calibration to what its network said of cases of known truth."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medcnn.bundle_spec import BundleSpec, Calibration, Temperature
from medcnn.errors import UndefinedMetricError
from medcnn.metrics.calibration import platt, temperature

__all__ = ["fit_calibration"]

FloatArray = npt.NDArray[np.float64]


def fit_calibration(
    spec: BundleSpec,
    truth: FloatArray,
    logits: npt.NDArray[np.float32],
    *,
    fitted_on: str,
    labels: Sequence[str] | None = None,
) -> BundleSpec:
    """Return the spec with its calibration fitted to what a network said of some cases.

    A label that has one class only keeps the calibration that it has.

    Args:
        spec: The bundle's.
        truth: 1, 0 or NaN, (N, L), in the order of the spec's labels.
        logits: (N, L).
        fitted_on: What the cases are, in words.
        labels: The labels to fit, where they may occur together; None: all.
    """
    if spec.activation == "softmax":
        return _classes(spec, truth, logits, fitted_on)
    found = {part.label: part for part in spec.calibration}
    for n, label in enumerate(spec.labels):
        if labels is None or label in labels:
            one = _fitted(label, truth[:, n], logits[:, n], fitted_on)
            found |= {} if one is None else {label: one}
    ordered = tuple(found[label] for label in spec.labels if label in found)
    return spec.model_copy(update={"calibration": ordered})


def _classes(
    spec: BundleSpec,
    truth: FloatArray,
    logits: npt.NDArray[np.float32],
    fitted_on: str,
) -> BundleSpec:
    """Fit classes: two by slope and intercept, for a temperature mends no bias."""
    if len(spec.labels) == 2:
        odds = logits[:, 0].astype(np.float64) - logits[:, 1]
        one = _fitted(spec.labels[0], truth[:, 0], odds, fitted_on)
        if one is None:
            return spec
        return spec.model_copy(update={"calibration": (one,), "temperature": None})
    known = ~np.isnan(truth).any(axis=1)
    if not known.any():
        return spec
    value = temperature(truth[known].argmax(axis=1), logits[known])
    found = Temperature(value=value, fitted_on=fitted_on)
    return spec.model_copy(update={"temperature": found})


def _fitted(
    label: str, truth: FloatArray, logit: npt.NDArray[np.floating], fitted_on: str
) -> Calibration | None:
    """Return Platt's slope and intercept; None where only one class is known."""
    known = ~np.isnan(truth)
    try:
        slope, intercept = platt(truth[known], logit[known])
    except UndefinedMetricError:
        return None
    return Calibration(
        label=label, slope=slope, intercept=intercept, fitted_on=fitted_on
    )
