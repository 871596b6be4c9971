"""What a spot's relevance means beside the flag threshold: the display's one scale."""

import math

import numpy as np
import numpy.typing as npt

from medcnn.bundle import BundleSpec

__all__ = ["DEFAULT_SPAN", "flag_level", "measured_span"]

DEFAULT_SPAN = 4.0
"""Log-odds from the first to the hottest colour where a bundle carries no measure."""

_HOTTEST = 0.95


def flag_level(
    spec: BundleSpec, bias: float, label: str | None = None
) -> tuple[float, float]:
    """Return where a spot alone would reach the main label's flag threshold.

    With global average pooling the logit is the mean over the cells of the last feature
    map of what each says alone, plus the head's bias. A spot's log-odds are `slope`
    times its sum; they reach the flag threshold at `level`.

    Args:
        spec: The model's description.
        bias: The head's bias for the label.
        label: Which label; None is the main one.

    Returns:
        slope and level; the level is 0 where the bias alone suffices for a flag, and
        for softmax models: then all that speaks for the label counts.
    """
    if spec.activation != "sigmoid":
        return 1.0, 0.0
    named = label or spec.labels[0]
    platt = next((c for c in spec.calibration if c.label == named), None)
    slope = 1.0 if platt is None or platt.slope <= 0 else platt.slope
    intercept = 0.0 if platt is None else platt.intercept
    point = spec.operating_points[spec.labels.index(named)]
    flag = min(max(point.flag, 1e-6), 1 - 1e-6)
    wanted = math.log(flag / (1 - flag))
    return slope, max(wanted - intercept - slope * bias, 0.0)


def measured_span(
    spec: BundleSpec, bias: float, peaks: npt.NDArray[np.float32]
) -> float | None:
    """Return the span that only the hottest spots of such images exceed.

    Args:
        spec: With its calibration and operating points.
        bias: The head's bias for the main label.
        peaks: The highest sum of any spot in each flagged image, (N,).

    Returns:
        The 95th percentile of the peaks above the flag threshold, in log-odds; None
        where nothing lies above it.
    """
    slope, level = flag_level(spec, bias)
    above = slope * np.asarray(peaks, np.float64) - level
    if not above.size or np.quantile(above, _HOTTEST) <= 0:
        return None
    return float(np.quantile(above, _HOTTEST))
