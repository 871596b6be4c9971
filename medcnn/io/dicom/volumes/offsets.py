"""Frames of a multi-frame object without functional groups: dose grids.

References:
    [1] DICOM PS3.3 C.8.8.3.2, Grid Frame Offset Vector.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medcnn.io.dicom.tags import numbers
from medcnn.io.dicom.volumes.records import Plane

__all__ = ["offset_planes"]

_AXIAL = 1 - 1e-6
_SAME_MM = 1e-3


def offset_planes(dataset: Dataset, first: Plane, count: int) -> tuple[Plane, ...]:
    """Return every frame, placed where (3004,000C) says how far each lies.

    Offsets count along the cross product of row and column direction, from the first
    frame (its offset is 0); or they are the z of axial frames (the first one's is that
    of its position). Other frames are given no place.

    Args:
        dataset: The header.
        first: Its first frame.
        count: How many frames it has.
    """
    offsets = numbers(dataset, "GridFrameOffsetVector")
    is_placed = bool(first.position and first.cosines)
    step = np.zeros(3)
    if is_placed and len(offsets) == count:
        step = _step(first, offsets[0])
    if not step.any():
        none = replace(first, position=(), cosines=())
        return tuple(replace(none, frame=at) for at in range(count))
    start = np.array(first.position)
    return tuple(
        replace(
            first,
            frame=at,
            position=tuple((start + step * (offset - offsets[0])).tolist()),
        )
        for at, offset in enumerate(offsets)
    )


def _step(first: Plane, offset: float) -> npt.NDArray[np.float64]:
    """Return the way in LPS mm that an offset of 1 mm means; 0 if it means nothing.

    Args:
        first: The first frame.
        offset: Its offset.
    """
    normal = np.cross(first.cosines[:3], first.cosines[3:])
    if offset == 0:
        return np.asarray(normal, np.float64)
    is_axial = abs(normal[2]) > _AXIAL and abs(offset - first.position[2]) < _SAME_MM
    return np.array([0.0, 0.0, float(is_axial)])
