"""The means of cells of samples, from all of them.

Where the meaning is linear in the stored value the order makes no difference, and only
the few averages are given their meaning. Where it is not (a window that clips, a curve)
every sample gets its meaning first.
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from medcnn.io.dicom.pixels.bends import is_linear
from medcnn.io.dicom.pixels.cells import Grid
from medcnn.io.dicom.pixels.grey import GreyPlan
from medcnn.io.dicom.pixels.layout import Layout
from medcnn.io.dicom.pixels.render import render

__all__ = ["averaged", "block_means"]

Pixels = npt.NDArray[Any]

_CV2_TYPES = (np.uint8, np.uint16, np.int16, np.float32)


def averaged(stored: Pixels, plan: GreyPlan, grid: Grid) -> Pixels | None:
    """Return what cells of samples mean on average.

    Args:
        stored: Containers as decoded, (1, rows, columns).
        plan: What they mean; without padding.
        grid: The cells: squares, or such as divide the picture.

    Returns:
        (rows, columns) of the grid; None if the values are of a type that is not
        averaged, such as 32 bit integers.
    """
    picture = stored[0]
    is_wide = picture.dtype.itemsize > 1 or not plan.steps
    if is_wide and _is_plain(picture, plan.layout) and is_linear(plan):
        means = _means(picture, grid)
        return render(means[None], plan)[0][0] if plan.steps else means
    values = render(stored, plan)[0][0]
    if values.dtype.type not in _CV2_TYPES:
        return None
    return _means(values, grid)


def _means(picture: Pixels, grid: Grid) -> Pixels:
    """Return the mean of each cell."""
    side = int(grid.cell[0])
    if grid == Grid.of_squares(side, picture.shape):
        return block_means(picture, side)
    rows, columns = grid.shape
    if picture.dtype == np.uint8:
        picture = picture.astype(np.float32)
    size, rule = (columns, rows), cv2.INTER_AREA
    return np.asarray(cv2.resize(picture, size, interpolation=rule))


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
