"""How an image is shown on a screen: grey levels, and which way round.

Axial slices are seen from the feet, coronal ones from the front, sagittal ones from the
left, whatever order the file keeps its voxels in.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.errors import GeometryError
from medcnn.image import Image

__all__ = ["VIEWS", "grey_levels", "grey_picture", "middle_slice"]

Bytes = npt.NDArray[np.uint8]
Pixels = npt.NDArray[Any]

_LOW, _HIGH = 0.5, 99.5
"""Percentiles of the acquired values that become black and white."""

_MOST_SAMPLES = 1 << 20

VIEWS = {
    "S": "LPS",
    "I": "LPI",
    "A": "LIA",
    "P": "LIP",
    "L": "PIL",
    "R": "PIR",
}
"""For where slices follow each other: what a slice's columns and rows run to."""


def grey_picture(
    image: Image, *, k: int = 0, levels: tuple[float, float] | None = None
) -> Bytes:
    """Return slice k as 8-bit colours for a screen, (rows, columns, 3).

    Args:
        image: The image.
        k: Which slice.
        levels: The values of black and white; by default the 0.5th and 99.5th
            percentile of the slice's acquired values. Colour images that are 8-bit
            already stay as they are.
    """
    picture = image.picture(k)
    if picture.ndim == 3 and picture.dtype == np.uint8:
        return np.ascontiguousarray(picture[..., :3])
    if levels is None:
        padding = None if image.padding is None else image.padding[..., k].T
        levels = _levels(picture, padding)
    return _as_bytes(picture, levels)


def grey_levels(image: Image) -> tuple[float, float]:
    """Return the values that become black and white in all of an image's slices.

    They are the 0.5th and 99.5th percentile of the acquired values, of about a million
    of them where there are more.
    """
    step = max(1, round((np.prod(image.shape) / _MOST_SAMPLES) ** (1 / 3)))
    thinned = (slice(None, None, step),) * 3
    padding = None if image.padding is None else image.padding[thinned]
    values = np.moveaxis(image.array[:, *thinned], 0, -1)
    return _levels(values if image.channels > 1 else values[..., 0], padding)


def middle_slice(
    image: Image, towards: str, levels: tuple[float, float]
) -> tuple[Bytes, tuple[float, float]]:
    """Return the slice through the middle of a volume, as a radiologist looks at it.

    Args:
        image: A volume with a geometry.
        towards: The direction that slices follow each other in: "S" for axial, "A"
            for coronal, "L" for sagittal.
        levels: The values of black and white.

    Returns:
        (rows, columns, 3), and the size of a pixel along columns and rows in mm.

    Raises:
        GeometryError: If the image has no geometry.
    """
    if image.geometry is None:
        msg = "an image without geometry has no anatomical planes"
        raise GeometryError(msg, hint="Show its slices as they are stored.")
    turn = image.geometry.reorientation_to(VIEWS[towards])
    along, down, through = turn.axes
    middle = image.shape[through] // 2
    if turn.flips[2]:
        middle = image.shape[through] - 1 - middle
    plane = np.take(image.array, middle, axis=through + 1)
    # what is left are the two other axes, in the order of the file
    plane = plane if along < down else plane.transpose(0, 2, 1)
    flips = tuple(n + 1 for n in range(2) if turn.flips[n])
    plane = np.flip(plane, flips).transpose(2, 1, 0)  # (rows, columns, C)
    picture = plane[..., 0] if image.channels == 1 else plane[..., :3]
    spacing = image.geometry.spacing_mm
    if picture.ndim == 3 and picture.dtype == np.uint8:
        return np.ascontiguousarray(picture), (spacing[along], spacing[down])
    return _as_bytes(picture, levels), (spacing[along], spacing[down])


def _levels(
    values: Pixels, padding: npt.NDArray[np.bool_] | None
) -> tuple[float, float]:
    """Return the percentiles of acquired, finite values; 0 and 1 if there are none."""
    acquired = values.astype(np.float32)
    if padding is not None and not padding.all():
        acquired = acquired[~padding]
    acquired = acquired[np.isfinite(acquired)]
    if not acquired.size:
        return 0.0, 1.0
    low, high = np.percentile(acquired, [_LOW, _HIGH])
    return float(low), float(high)


def _as_bytes(picture: Pixels, levels: tuple[float, float]) -> Bytes:
    """Stretch values between two levels to (rows, columns, 3)."""
    low, high = levels
    span = high - low if high > low else 1.0
    values = np.nan_to_num(picture.astype(np.float32), nan=low)
    shares = np.clip((values - low) / span, 0, 1)
    grey = np.rint(shares * 255).astype(np.uint8)
    return grey if grey.ndim == 3 else np.repeat(grey[..., None], 3, axis=2)
