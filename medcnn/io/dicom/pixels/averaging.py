"""The means of squares of samples, from all of them or from what a codec gave.

Where the meaning is linear in the stored value the order makes no difference, and only
the few averages are given their meaning. Where it is not (a window that clips, a curve)
every sample gets its meaning first.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from medcnn.io.dicom.pixels.grey import GreyPlan, stored_range
from medcnn.io.dicom.pixels.layout import Layout
from medcnn.io.dicom.pixels.render import render

__all__ = ["Samples", "averaged", "block_means", "finer"]

Pixels = npt.NDArray[Any]

_CV2_TYPES = (np.uint8, np.uint16, np.int16, np.float32)
_SMALLEST_STEP = 1e-9
_CATMULL_ROM = (-9 / 128, 111 / 128, 29 / 128, -3 / 128)
"""Weights of four neighbours, a quarter of the way from the second to the third."""


@dataclass(frozen=True)
class Samples:
    """Where the samples of a codec that left out detail lie, and how sharp they are.

    Attributes:
        apart: Full samples between two of them.
        are_means: Whether each is the mean of a square; otherwise it lies where the
            first sample of that square lies.
        are_sharp: Whether they keep more contrast than means: those of the 5/3
            wavelets. They are interpolated linearly, which takes it away again; others
            by cubics, which make up for what they lack.
    """

    apart: int
    are_means: bool
    are_sharp: bool


def averaged(stored: Pixels, plan: GreyPlan, side: int) -> Pixels | None:
    """Return what squares of samples mean on average.

    Args:
        stored: Containers as decoded, (1, rows, columns).
        plan: What they mean; without padding.
        side: Of the squares.

    Returns:
        (rows, columns), each rounded up; None if the values are of a type that is not
        averaged, such as 32 bit integers.
    """
    picture = stored[0]
    is_wide = picture.dtype.itemsize > 1 or not plan.steps
    if is_wide and _is_plain(picture, plan.layout) and _is_linear(plan):
        means = block_means(picture, side)
        return render(means[None], plan)[0][0] if plan.steps else means
    values = render(stored, plan)[0][0]
    if values.dtype.type not in _CV2_TYPES:
        return None
    return block_means(values, side)


def finer(
    samples: Samples, side: int, shape: tuple[int, int], values: Pixels
) -> Pixels | None:
    """Return the means of squares, interpolated between samples that lie further apart.

    Args:
        samples: What the codec gave.
        side: Of the squares, in full samples; at most what lies between two samples.
        shape: (rows, columns) of the full picture.
        values: What the samples mean, (rows, columns).

    Returns:
        (rows, columns) over `side`, each rounded up; None if the values are of a type
        that is not interpolated.
    """
    if values.dtype.type not in _CV2_TYPES:
        return None
    if samples.apart == side:
        return values if samples.are_means else _moved_to_the_middle(values)
    rows, columns = (-(-n // side) for n in shape)
    scale = side / samples.apart
    first = (samples.apart - 1) / 2 if samples.are_means else 0.0
    start = ((side - 1) / 2 - first) / samples.apart
    rule = cv2.INTER_LINEAR if samples.are_sharp else cv2.INTER_CUBIC
    return np.asarray(
        cv2.warpAffine(
            values,
            np.array([[scale, 0, start], [0, scale, start]]),
            (columns, rows),
            flags=rule | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


def block_means(picture: Pixels, side: int) -> Pixels:
    """Return the mean of each square of a picture, 8 bit as float32.

    Means of 16 bit values are rounded; those of 8 bit would lose too much by it.

    What is left of a row or column of squares at the far edges is averaged alone.

    Args:
        picture: (rows, columns), 8 or 16 bit or float32.
        side: Of the squares.

    Examples:
        >>> block_means(np.array([[1, 2, 9], [1, 2, 9]], np.uint8), 2)
        array([[1.5, 9. ]], dtype=float32)
    """
    if picture.dtype == np.uint8:
        picture = picture.astype(np.float32)
    rows, columns = picture.shape
    small = np.empty((-(-rows // side), -(-columns // side)), picture.dtype)
    for above, deep in _runs(rows, side):
        for across, wide in _runs(columns, side):
            means = small[above, across]
            size = (means.shape[1], means.shape[0])
            means[:] = cv2.resize(
                picture[deep, wide], size, interpolation=cv2.INTER_AREA
            )
    return small


def _moved_to_the_middle(values: Pixels) -> Pixels:
    """Interpolate every second sample half a full sample on, a quarter of their own.

    OpenCV's own cubics leave a straight slope only where both sides are equally far.
    """
    quarter = np.array(_CATMULL_ROM)
    border = cv2.BORDER_REPLICATE
    return np.asarray(
        cv2.sepFilter2D(values, -1, quarter, quarter, anchor=(1, 1), borderType=border)
    )


def _runs(length: int, side: int) -> list[tuple[slice, slice]]:
    """Return which means are made of which samples: whole squares, then the rest."""
    whole = length // side
    runs = [(slice(0, whole), slice(0, whole * side))] if whole else []
    if length % side:
        runs.append((slice(whole, whole + 1), slice(whole * side, length)))
    return runs


def _is_plain(picture: Pixels, layout: Layout) -> bool:
    """Say whether containers are the stored values: no sign, no other bits in them."""
    if layout.is_signed or layout.is_float or picture.dtype.type not in _CV2_TYPES:
        return False
    return bool(cv2.minMaxLoc(picture)[1] < 1 << layout.stored)


def _is_linear(plan: GreyPlan) -> bool:
    """Say whether the mean of meanings is the meaning of the mean."""
    if not plan.steps:
        return True
    low, high = stored_range(plan.layout)
    rises = np.diff(plan(np.arange(low, high + 1, dtype=np.float64)))
    return bool(np.ptp(rises) <= _SMALLEST_STEP * max(1.0, float(np.abs(rises).max())))
