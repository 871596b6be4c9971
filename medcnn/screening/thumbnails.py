"""Small pictures of an image, as a radiologist expects to see it."""

import cv2
import numpy as np
import numpy.typing as npt

from medcnn.display import grey_picture
from medcnn.image import Image
from medcnn.preprocessing.resample import resize

__all__ = ["LONGEST", "Stack", "stack_of"]

LONGEST = 384
"""Longest side of a picture, in pixels."""

_MOST_SLICES = 32
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 88)

Stack = tuple[tuple[bytes, ...], npt.NDArray[np.float64], tuple[int, int, int]]


def stack_of(image: Image) -> Stack:
    """Return small JPEG pictures of an image, and where they lie in it.

    A picture gives one; a volume up to 32 slices at equal distances, axial if its
    geometry says where that is, seen from the feet.

    Returns:
        The pictures; (4, 4) from (column, row, picture, 1) to voxel (i, j, k, 1); and
        (columns, rows, pictures).
    """
    array, padding, to_voxel = _as_displayed(image)
    shape = array.shape[1:]
    full = shape if image.full_shape is None else image.full_shape
    scale = min(1.0, LONGEST / max(full[:2]))
    columns, rows = (max(1, round(n * scale)) for n in full[:2])
    slices = min(shape[2], _MOST_SLICES)
    small = (columns, rows, slices)
    shrink = np.eye(4)
    for axis in range(3):
        ratio = shape[axis] / small[axis]
        shrink[axis, axis], shrink[axis, 3] = ratio, (ratio - 1) / 2
    places = [
        min(int((n + 0.5) * shape[2] / slices), shape[2] - 1) for n in range(slices)
    ]
    pictures = []
    for place in places:
        hidden = None if padding is None else padding[..., place]
        pictures.append(_jpeg(array[..., place], hidden, (rows, columns)))
    return tuple(pictures), to_voxel @ shrink, small


def _as_displayed(
    image: Image,
) -> tuple[
    npt.NDArray[np.generic], npt.NDArray[np.bool_] | None, npt.NDArray[np.float64]
]:
    """Return the array and padding turned to L, P, S if it is a volume on a grid."""
    array, padding = image.array, image.padding
    if image.dims == 2 or image.geometry is None:
        return array, padding, np.eye(4)
    turn = image.geometry.reorientation_to("LPS")
    array = array.transpose(0, *(axis + 1 for axis in turn.axes))
    padding = None if padding is None else padding.transpose(turn.axes)
    for new, flip in enumerate(turn.flips):
        if flip:
            array = np.flip(array, new + 1)
            padding = None if padding is None else np.flip(padding, new)
    return array, padding, turn.to_old(image.shape)


def _jpeg(
    planes: npt.NDArray[np.generic],
    padding: npt.NDArray[np.bool_] | None,
    shape: tuple[int, int],
) -> bytes:
    """Shrink one slice, (C, columns, rows), to (rows, columns), and code it."""
    small = resize(_halved(planes.transpose(0, 2, 1), shape), shape)
    hidden = None
    if padding is not None:
        share = resize(padding.T[None].astype(np.float32), shape)[0]
        hidden = (share > 0.5).T[..., None]
    pixels = small[0] if len(small) == 1 else np.moveaxis(small[:3], 0, 2)
    picture = grey_picture(Image.from_picture(pixels, padding=hidden))
    if len(small) == 1:
        coded = cv2.imencode(".jpg", picture[..., 0], _JPEG)[1]
    else:
        coded = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), _JPEG)[1]
    return bytes(coded)


def _halved(
    planes: npt.NDArray[np.generic], shape: tuple[int, int]
) -> npt.NDArray[np.generic]:
    """Halve (C, rows, columns) while it stays twice as large as it will be.

    Averaging two by two is several times as fast as averaging over odd areas; a last
    odd row or column is left out.
    """
    while all(n >= 4 * m for n, m in zip(planes.shape[1:], shape, strict=True)):
        rows, columns = (n // 2 for n in planes.shape[1:])
        planes = resize(planes[:, : 2 * rows, : 2 * columns], (rows, columns))
    return planes
