"""Whether a mean may be taken before a plan's steps instead of after them."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from medcnn.io.dicom.pixels.grey import GreyPlan, stored_range
from medcnn.io.dicom.pixels.render import render

__all__ = ["bend", "is_linear"]

Pixels = npt.NDArray[Any]

_SMALLEST_STEP = 1e-9
_BESIDE = np.ones((3, 3), np.uint8)


def is_linear(plan: GreyPlan) -> bool:
    """Say whether the mean of meanings is the meaning of the mean, for all values."""
    if not plan.steps:
        return True
    low, high = stored_range(plan.layout)
    rises = np.diff(plan(np.arange(low, high + 1, dtype=np.float64)))
    return bool(np.ptp(rises) <= _SMALLEST_STEP * max(1.0, float(np.abs(rises).max())))


def bend(samples: Pixels, plan: GreyPlan) -> float:
    """Return how much a plan's curve bends between samples that lie side by side.

    Where a window clips, or a curve turns, only part of what is averaged, the mean of
    meanings differs from the meaning of the mean.

    Args:
        samples: Containers, (rows, columns), unsigned.
        plan: What they mean.

    Returns:
        On average over the picture, how far the curve is from its chord in the middle
        between the lowest and the highest of 3 x 3 samples, as a share of the contrast
        that the picture has in the end; infinite if it has none.
    """
    low, high = cv2.erode(samples, _BESIDE), cv2.dilate(samples, _BESIDE)
    middle = ((low.astype(np.uint32) + high) // 2).astype(samples.dtype)
    three = np.stack([low, middle, high])
    meant = render(three, plan)[0].astype(np.float32)
    away = np.abs(meant[1] - (meant[0] + meant[2]) / 2)
    darkest, brightest = np.percentile(meant[1, ::4, ::4], (0.5, 99.5))
    contrast = float(brightest - darkest)
    return float(away.mean()) / contrast if contrast > 0 else float("inf")
