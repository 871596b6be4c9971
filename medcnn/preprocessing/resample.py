"""Bring arrays to another size, and carry maps back to the grid they came from."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = ["resample_onto", "resize"]

Values = npt.NDArray[Any]
FloatArray = npt.NDArray[Any]

_PARALLEL = 1e-9
"""Voxels along another axis for each voxel, below which two grids are parallel."""

_COARSE = 64, 128
"""Longest side of a plane's and a volume's values for which products are faster."""

_CV2_DTYPES = (np.uint8, np.uint16, np.int16, np.float32)


def resize(values: Values, shape: tuple[int, ...]) -> Values:
    """Return the last axes of `values` brought to `shape`.

    An axis that shrinks is averaged over the area of the old pixels, so that nothing
    aliases; an axis that grows is interpolated linearly. Edges align with edges.

    Args:
        values: (C, rows, columns) or (C, slices, rows, columns).
        shape: The new (rows, columns) or (slices, rows, columns).
    """
    if values.dtype.type not in _CV2_DTYPES:
        values = values.astype(np.float32)
    if len(shape) == 2:
        return np.stack([_resize_plane(plane, shape) for plane in values])
    slices, rows, columns = shape
    in_plane = np.stack(
        [np.stack([_resize_plane(p, (rows, columns)) for p in v]) for v in values]
    )
    if in_plane.shape[1] == slices:
        return in_plane
    return np.stack(
        [
            np.stack(
                [_resize_plane(v[:, row], (slices, columns)) for row in range(rows)],
                axis=1,
            )
            for v in in_plane
        ]
    )


def _resize_plane(plane: Values, shape: tuple[int, ...]) -> Values:
    """Resize one (rows, columns) plane, each axis by the rule that suits it."""
    for axis, size in enumerate(shape):
        if plane.shape[axis] == size:
            continue
        target = [plane.shape[0], plane.shape[1]]
        target[axis] = size
        both = plane.shape[1 - axis] != shape[1 - axis]
        shrinks = size < plane.shape[axis]
        if both and shrinks == (shape[1 - axis] < plane.shape[1 - axis]):
            target = list(shape)
        rule = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        contiguous = np.ascontiguousarray(plane)
        plane = cv2.resize(contiguous, (target[1], target[0]), interpolation=rule)
    return plane


def resample_onto(
    values: npt.NDArray[np.float32],
    shape: tuple[int, int, int],
    to_values: FloatArray,
) -> npt.NDArray[np.float32]:
    """Return `values` looked up, linearly, at every voxel of another grid.

    Args:
        values: (A, B, C).
        shape: The other grid's (I, J, K).
        to_values: (4, 4), from that grid's (i, j, k, 1) to indices into `values`.

    Returns:
        (I, J, K); the nearest value within half a voxel of the border, 0 beyond.
    """
    is_plane = shape[2] == 1 and values.shape[2] == 1
    if max(values.shape) <= (_COARSE[0] if is_plane else _COARSE[1]):
        along = np.abs(to_values[:3, :3]) > _PARALLEL
        if (along.sum(axis=0) == 1).all() and (along.sum(axis=1) == 1).all():
            return _along_axes(values, shape, to_values)
    if is_plane:
        return _resample_plane(values[..., 0], shape, to_values)[..., None]
    looked_up = ndimage.affine_transform(
        values,
        to_values[:3, :3],
        offset=to_values[:3, 3],
        output_shape=shape,
        order=1,
        mode="nearest",
    )
    return _cleared(looked_up, values.shape, to_values)


def _along_axes(
    values: npt.NDArray[np.float32],
    shape: tuple[int, int, int],
    to_values: FloatArray,
) -> npt.NDArray[np.float32]:
    """Do it axis after axis, as three matrix products: many times as fast."""
    order = np.abs(to_values[:3, :3]).argmax(
        axis=0
    )  # the values' axis for each voxel's
    x, y, z = (
        _shares(shape[n], values.shape[axis], *to_values[axis, [n, 3]])
        for n, axis in enumerate(order)
    )
    if shape[2] == 1 and values.shape[2] == 1:
        z = np.ones((1, 1), np.float32)  # a picture has no place across
    turned = values.transpose(order).astype(np.float32, copy=False)
    wide = y @ (turned @ z.T)  # (A, J, K), small still
    found = x @ wide.reshape(len(wide), -1)
    return np.asarray(found.reshape(shape), dtype=np.float32)


def _shares(count: int, size: int, step: float, begin: float) -> FloatArray:
    """Return what each of `size` values adds to each of `count` voxels of a row."""
    place = begin + step * np.arange(count)
    inside = (place >= -0.5 - 1e-6) & (place <= size - 0.5 + 1e-6)
    apart = np.abs(np.clip(place, 0, size - 1)[:, None] - np.arange(size))
    return np.where(inside[:, None], np.maximum(1 - apart, 0), 0).astype(np.float32)


def _resample_plane(
    plane: npt.NDArray[np.float32],
    shape: tuple[int, int, int],
    to_values: FloatArray,
) -> npt.NDArray[np.float32]:
    """Do it for a picture, where OpenCV is ten times as fast."""
    # cv2 counts (x, y) = (second, first) index of its array
    matrix = to_values[np.ix_([1, 0], [1, 0, 3])]
    padded = cv2.copyMakeBorder(plane, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    shifted = matrix + np.array([[0, 0, 1], [0, 0, 1]])
    looked_up = cv2.warpAffine(
        padded,
        shifted,
        (shape[1], shape[0]),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return _cleared(looked_up, plane.shape, to_values)


def _cleared(
    looked_up: Values, size: tuple[int, ...], to_values: FloatArray
) -> npt.NDArray[np.float32]:
    """Put 0 where the values, of `size`, do not reach; nothing is done if they do."""
    ends = np.meshgrid(*((0, n - 1) for n in looked_up.shape), indexing="ij")
    if _reached(ends, size, to_values).all():  # affine: what holds at corners holds
        return np.asarray(looked_up, dtype=np.float32)
    places = np.indices(looked_up.shape, sparse=True)
    inside = _reached(places, size, to_values)
    return np.asarray(np.where(inside, looked_up, 0), dtype=np.float32)


def _reached(
    places: Sequence[npt.NDArray[np.int_]], size: tuple[int, ...], to_values: FloatArray
) -> npt.NDArray[np.bool_]:
    """Say which voxels lie within half a voxel of the values' border."""
    inside: npt.NDArray[np.bool_] = np.ones((), np.bool_)
    for axis, count in enumerate(size):
        place = to_values[axis, 3] + sum(
            to_values[axis, n] * along for n, along in enumerate(places)
        )
        inside = inside & (place >= -0.5 - 1e-6) & (place <= count - 0.5 + 1e-6)
    return inside
