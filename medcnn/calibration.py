"""From a model's logits to probabilities that mean what they say."""

import numpy as np
import numpy.typing as npt

from medcnn.bundle_spec import BundleSpec

__all__ = ["probabilities_of"]


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


def _share(log_odds: float) -> float:
    """Return the probability of these log-odds, for any finite number."""
    return float(np.exp(-np.logaddexp(0.0, -log_odds)))
