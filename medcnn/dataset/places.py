"""Where in an image a label can be seen: boxes and masks, on the image's own grid."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medcnn.errors import DataError, ReadError
from medcnn.image import Image
from medcnn.io import load

__all__ = ["Box", "Place"]

Inside = npt.NDArray[np.bool_]
_SHIFT = 0.1
"""Voxels by which a mask's grid may miss the image's, from rounded positions."""


@dataclass(frozen=True)
class Box:
    """A box, in fractions of the image as it is loaded.

    Attributes:
        low: Where it begins along i (columns), j (rows) and, of a volume, k; 0 is the
            outer edge of the first voxel.
        high: Where it ends; 1 is the outer edge of the last voxel.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Place:
    """Where one label is in one image; without boxes and mask it is nowhere in it.

    Attributes:
        boxes: Each a part of the place.
        mask: An image on the same grid: 0 outside, one other value inside.
    """

    boxes: tuple[Box, ...] = ()
    mask: Path | None = None

    @property
    def is_nowhere(self) -> bool:
        """Whether it is known without looking into a mask that nothing is inside."""
        return not self.boxes and self.mask is None

    def on(self, image: Image) -> Inside:
        """Say which voxels of the image are inside, (I, J, K).

        A voxel is inside a box if its centre is; a box that holds no centre along an
        axis takes the one voxel there that its own middle is in.

        Raises:
            DataError: If boxes and image have different numbers of dimensions, or the
                mask cannot be read, is no mask or lies on another grid.

        Examples:
            >>> picture = Image.from_picture(np.zeros((4, 8), np.uint8))
            >>> Place((Box((0.5, 0), (1, 0.25)),)).on(picture)[..., 0].T.astype(int)
            array([[0, 0, 0, 0, 1, 1, 1, 1],
                   [0, 0, 0, 0, 0, 0, 0, 0],
                   [0, 0, 0, 0, 0, 0, 0, 0],
                   [0, 0, 0, 0, 0, 0, 0, 0]])
        """
        inside = np.zeros(image.shape, dtype=bool)
        for box in self.boxes:
            if len(box.low) != image.dims:
                wanted = "x0 y0 x1 y1" if image.dims == 2 else "x0 y0 z0 x1 y1 z1"
                kind = "picture" if image.dims == 2 else "volume"
                msg = f"a box of {2 * len(box.low)} numbers on a {kind} of "
                msg += f"{' x '.join(map(str, image.shape[: image.dims]))}"
                raise DataError(msg, hint=f"Write {wanted} for each box.")
            inside[tuple(map(_covered, box.low, box.high, image.shape))] = True
        return inside if self.mask is None else inside | _mask(self.mask, image)


def _covered(low: float, high: float, size: int) -> slice:
    """Return the voxels of an axis whose centres lie between two fractions."""
    # rounded: 0.35 * 10 - 0.5 is a hair below 3
    first = math.ceil(round(low * size - 0.5, 6))
    last = math.floor(round(high * size - 0.5, 6))
    if last < first:
        first = last = min(int((low + high) / 2 * size), size - 1)
    return slice(max(first, 0), min(last, size - 1) + 1)


def _mask(path: Path, image: Image) -> Inside:
    """Read a mask onto an image's grid.

    Raises:
        DataError: If it cannot be read, is no mask, or lies on another grid.
    """
    try:
        mask = load(path, values=True)
    except ReadError as error:
        msg = f"the mask {path} cannot be read: {error.message}"
        raise DataError(msg, hint=error.hint) from error
    found = np.unique(mask.array)
    if not np.isfinite(found).all() or np.count_nonzero(found) > 1:
        some = ", ".join(f"{value:g}" for value in found[:5].astype(float))
        msg = f"the mask {path} holds {len(found)} different values ({some}"
        msg += f"{', ...' if len(found) > 5 else ''}), expected 0 and one other"
        hint = "Write one mask for each label, in a format that loses nothing."
        raise DataError(msg, hint=hint)
    return _onto((mask.array != 0).any(0), mask, image)


def _onto(inside: Inside, mask: Image, image: Image) -> Inside:
    """Bring a mask's voxels to the image's, where one grid is a part of the other.

    Raises:
        DataError: If it is not.
    """
    if mask.geometry is None or image.geometry is None:
        if mask.shape == image.shape:
            return inside
        msg = f"the mask {mask.source} has {mask.shape} voxels, the image {image.shape}"
        raise DataError(msg, hint="Draw the mask on the image at its full size.")
    there = np.linalg.inv(image.geometry.affine) @ mask.geometry.affine
    if mask.shape[2] == image.shape[2] == 1:  # how thick a picture is means nothing
        there[:3, 2] = 0, 0, 1
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(mask.shape) - 1)
    ends = corners @ there[:3, :3].T + there[:3, 3]
    turn = np.abs(np.rint(there[:3, :3]))
    is_turn = (turn.sum(0) == 1).all() and (turn.sum(1) == 1).all()
    meets = np.abs(ends - np.rint(ends)).max() <= _SHIFT
    places = np.argwhere(inside) @ there[:3, :3].T + there[:3, 3]
    nearest = np.rint(places).astype(np.intp)
    within = ((nearest >= 0) & (nearest < image.shape)).all()
    if not (is_turn and meets and within):
        msg = f"the mask {mask.source} lies on another grid than its image"
        raise DataError(msg, hint="Resample the mask onto the image's grid.")
    found = np.zeros(image.shape, dtype=bool)
    found[tuple(nearest.T)] = True
    return found
