"""From a model's logits to probabilities that mean what they say."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medcnn.bundle_spec import BundleSpec, Calibration, Temperature
from medcnn.errors import UndefinedMetricError
from medcnn.metrics.calibration import platt, temperature

__all__ = ["fit_calibration", "probabilities_of"]

FloatArray = npt.NDArray[np.float64]


def probabilities_of(spec: BundleSpec, logits: npt.NDArray[np.float32]) -> list[float]:
    """Turn logits into probabilities: the one place where that happens.

    Labels have Platt's slope and intercept each. Of two classes the difference of their
    logits has one slope and intercept; of more classes all logits have one temperature.

    Args:
        spec: The bundle's, with its calibration.
        logits: (labels,).
    """
    values = logits.astype(np.float64)
    platts = {part.label: (part.slope, part.intercept) for part in spec.calibration}
    if spec.activation == "sigmoid":
        scales = [platts.get(label, (1.0, 0.0)) for label in spec.labels]
        return [
            _share(a * value + b) for value, (a, b) in zip(values, scales, strict=True)
        ]
    if platts:
        slope, intercept = platts[spec.labels[0]]
        odds = slope * (values[0] - values[1]) + intercept
        return [_share(odds), _share(-odds)]
    values /= 1.0 if spec.temperature is None else spec.temperature.value
    raised = np.exp(values - values.max())
    return [float(p) for p in raised / raised.sum()]


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


def _share(log_odds: float) -> float:
    """Return the probability of these log-odds, for any finite number."""
    return float(np.exp(-np.logaddexp(0.0, -log_odds)))
