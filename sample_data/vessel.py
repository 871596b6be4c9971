"""A piece of a brain artery as a mask, with an aneurysm or without."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

__all__ = ["VESSEL_MM", "vessel"]

VESSEL_MM = 0.5
"""Side of a voxel."""

_SIDE = 28
_TRUNK = ((2.0, 8.0, 12.0), (9.0, 11.0, 15.0), (16.0, 12.0, 14.0), (25.0, 19.0, 16.0))
_BRANCH = ((16.0, 12.0, 14.0), (20.0, 7.0, 11.0), (22.0, 3.0, 8.0))
_TRUNK_RADIUS, _BRANCH_RADIUS = 2.0, 1.3
_SAC, _SAC_RADIUS = (12.0, 15.5, 17.5), 4.2


def vessel(*, aneurysm: bool) -> npt.NDArray[np.uint8]:
    """Return a mask of 255 inside a vessel and 0 outside, (28, 28, 28).

    Args:
        aneurysm: Whether a sac bulges out of the trunk.
    """
    grid = np.indices((_SIDE,) * 3).reshape(3, -1).T.astype(np.float64)
    inside = _near(grid, _TRUNK, _TRUNK_RADIUS) | _near(grid, _BRANCH, _BRANCH_RADIUS)
    if aneurysm:
        inside |= np.linalg.norm(grid - _SAC, axis=1) < _SAC_RADIUS
    return (255 * inside).astype(np.uint8).reshape((_SIDE,) * 3)


def _near(
    grid: npt.NDArray[np.float64], corners: tuple[tuple[float, ...], ...], radius: float
) -> npt.NDArray[np.bool_]:
    """Say which points lie nearer to a line through these corners than a radius."""
    near = np.zeros(len(grid), dtype=bool)
    for start, end in pairwise(corners):
        first, along = np.array(start), np.array(end) - start
        at = np.clip((grid - first) @ along / (along @ along), 0, 1)[:, None]
        near |= np.linalg.norm(grid - first - at * along, axis=1) < radius
    return near
