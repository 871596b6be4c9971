"""Where a map is hottest, as an outline on one slice."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["HOT_SHARE", "Region", "hot", "hottest_region", "whole_slice"]

HOT_SHARE = 0.5
"""Hot is what has at least this share of the map's highest level."""

_MOST_POINTS = 128


@dataclass(frozen=True, eq=False)
class Region:
    """An outline on one slice.

    Attributes:
        k: Which slice.
        outline: (column, row) of corners in pixels, the first again at the end; 0, 0
            is the outer corner of the first pixel, (N, 2).
        is_hot: Whether it is where the map is hottest, not the whole slice.

    References:
        [1] DICOM PS3.3 C.10.5.1.2: the corner of the first pixel is 0, 0.
    """

    k: int
    outline: npt.NDArray[np.float64]
    is_hot: bool


def hot(levels: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Return where a map is hot, (I, J, K); nowhere if all of it is 0."""
    top = float(levels.max())
    return np.asarray(levels >= HOT_SHARE * top) & (levels > 0)


def hottest_region(
    levels: npt.NDArray[np.float32], peak: tuple[int, int, int]
) -> Region | None:
    """Return the outline of the hot patch around a map's highest place.

    Args:
        levels: A map on the scale of the screen, (I, J, K).
        peak: Its highest voxel.

    Returns:
        None if nothing is hot.
    """
    i, j, k = peak
    mask = hot(levels)[:, :, k].T.astype(np.uint8)  # (rows, columns)
    if not mask[j, i]:
        return None
    _, parts = cv2.connectedComponents(np.ascontiguousarray(mask), connectivity=4)
    patch = (parts == parts[j, i]).astype(np.uint8)
    # every pixel as 2 x 2, so that the outline runs around the pixels, not through them
    doubled = np.pad(patch.repeat(2, 0).repeat(2, 1), 1)
    found, _ = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    corners = _fewer(np.asarray(max(found, key=len), np.int32))
    outline = np.clip(np.rint((corners - 0.5) / 2), 0, patch.shape[::-1])
    return Region(k, _closed(outline.astype(np.float64)), is_hot=True)


def whole_slice(shape: tuple[int, int, int], k: int) -> Region:
    """Return the outline of a whole slice."""
    columns, rows, _ = shape
    corners = [(0, 0), (columns, 0), (columns, rows), (0, rows)]
    return Region(k, _closed(np.array(corners, np.float64)), is_hot=False)


def _fewer(contour: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """Return a contour's points, thinned until there are not too many, (N, 2)."""
    tolerance = 0.5
    points = contour
    while len(points) > _MOST_POINTS or tolerance == 0.5:
        points = np.asarray(cv2.approxPolyDP(contour, tolerance, closed=True))
        tolerance *= 2
    return points[:, 0].astype(np.float64)


def _closed(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return points with the first one again at the end, none twice in a row."""
    kept = [points[0]]
    for point in points[1:]:
        if not np.array_equal(point, kept[-1]):
            kept.append(point)
    if not np.array_equal(kept[0], kept[-1]):
        kept.append(kept[0])
    return np.array(kept)
