"""Frames of a multi-frame object without functional groups: dose grids.

References:
    [1] DICOM PS3.3 C.8.8.3.2, Grid Frame Offset Vector.
"""

from dataclasses import replace

import numpy as np
from pydicom.dataset import Dataset

from medcnn.io.dicom.records import Plane
from medcnn.io.dicom.tags import numbers

__all__ = ["offset_planes"]


def offset_planes(dataset: Dataset, first: Plane, count: int) -> tuple[Plane, ...]:
    """Return every frame, placed where (3004,000C) says how far each lies.

    Offsets count along the cross product of row and column direction, from the first
    frame (its offset is 0). Other frames are given no place.

    Args:
        dataset: The header.
        first: Its first frame.
        count: How many frames it has.
    """
    offsets = numbers(dataset, "GridFrameOffsetVector")
    is_placed = bool(first.position and first.cosines)
    if not is_placed or len(offsets) != count or offsets[0] != 0:
        none = replace(first, position=(), cosines=())
        return tuple(replace(none, frame=at) for at in range(count))
    normal = np.cross(first.cosines[:3], first.cosines[3:])
    return tuple(
        replace(
            first,
            frame=at,
            position=tuple((np.array(first.position) + normal * offset).tolist()),
        )
        for at, offset in enumerate(offsets)
    )
