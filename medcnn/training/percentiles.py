"""Thresholds of a detector: percentiles of held-out normal images."""

import math

import numpy as np

from medcnn.bundle import BundleSpec, Calibration, OperatingPoint
from medcnn.errors import DataError
from medcnn.training.answers import Answers

__all__ = ["REVIEW", "on_percentiles"]

REVIEW = 0.8
"""Share of held-out normals below the review threshold, or half of those that are not
flagged where a flag takes less."""


def on_percentiles(spec: BundleSpec, val: Answers, percentile: float) -> BundleSpec:
    """Return the spec with scale and thresholds from the normal images of val.

    A distance becomes an anomaly score from 0 to 1 by a logistic curve through two
    points: the median of the held-out normals becomes 0.5, their percentile itself,
    such as 0.95. It says about which share of normal images looks less unusual, and is
    no probability of disease. The share itself, as counted, would be 1 for everything
    beyond the most unusual normal image, and would no longer rank what is looked for.

    Args:
        spec: The bundle's.
        val: What the detector says of val, normal or not.
        percentile: Share of the normals below the flag threshold.

    Raises:
        DataError: If the held-out normals all score the same.
    """
    (label,) = spec.labels
    normals = val.logits[val.table.truth()[:, 0] == 0, 0].astype(np.float64)
    review = REVIEW if percentile > REVIEW else percentile / 2 + 0.25
    middle, lower, upper = np.quantile(normals, (0.5, review, percentile))
    if not upper > middle:
        msg = f"{len(normals)} held-out normal images do not differ in their score"
        raise DataError(msg, hint="Are they copies of one image?")
    slope = math.log(percentile / (1 - percentile)) / float(upper - middle)
    intercept = -slope * float(middle)
    on = f"{len(normals)} normal images of val"
    point = OperatingPoint(
        label=label,
        flag=percentile,
        review=min(1 / (1 + math.exp(-(slope * float(lower) + intercept))), percentile),
        rule=f"flag: percentile {percentile:g} of normals; review: {review:g}",
        chosen_on=on,
    )
    scale = Calibration(label=label, slope=slope, intercept=intercept, fitted_on=on)
    return spec.model_copy(
        update={"operating_points": (point,), "calibration": (scale,)}
    )
