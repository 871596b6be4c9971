"""Plain measures of an image: how bright, how varied, what shape, and small pixels.

They need no training and no GPU. On small pictures a learner that knows nothing but
them is hard to beat.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medcnn.preprocessing.resample import resize

__all__ = ["image_features"]

Values = npt.NDArray[np.float32]
_LONGEST = {2: 64, 3: 32}
_SMALL = {2: (7, 7), 3: (7, 7, 7)}
_BINS = 16
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_DEPTHS = (50, 75, 90, 97)


def image_features(
    pixels: npt.NDArray[Any], *, tick: Callable[[int], None] = lambda _: None
) -> Values:
    """Return one row of measures for each image.

    An image is first averaged down to at most 64 pixels (32 voxels) a side, so that the
    cost does not depend on its size.

    Args:
        pixels: Unsigned integers, 0 is 0 and the largest is 1: (N, C, rows, columns) or
            (N, C, slices, rows, columns).
        tick: Told how many more are done.

    Returns:
        float32, (N, D), all finite. For each channel: a histogram of 16 bins, mean,
        deviation, percentiles, skewness, kurtosis, local variance, the pixels of the
        image at 7 a side, as they are and standardised. For the image: volume, surface,
        extents, moments, depth and pieces of its bright part (above Otsu's threshold).
    """
    rows = []
    for image in pixels:
        rows.append(_of_one(np.asarray(image)))
        tick(1)
    if not rows:
        return np.zeros((0, 0), np.float32)
    return np.asarray(np.nan_to_num(np.stack(rows)), np.float32)


def _of_one(image: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    dims = image.ndim - 1
    scale = min(1.0, _LONGEST[dims] / max(image.shape[1:]))
    shape = tuple(max(1, round(scale * length)) for length in image.shape[1:])
    if shape != image.shape[1:]:
        image = resize(image, shape)
    unit = image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)
    parts = [part for channel in unit for part in _of_channel(channel)]
    parts.append(_of_shape(unit.mean(0)))
    return np.concatenate([np.ravel(part) for part in parts])


def _of_channel(unit: Values) -> list[npt.NDArray[Any]]:
    """Measure the values of one channel, (rows, columns) or (slices, ...)."""
    mean, deviation = float(unit.mean()), float(unit.std()) + 1e-6
    standard = (unit - mean) / deviation
    near = ndimage.uniform_filter(unit, 3)
    local = np.maximum(ndimage.uniform_filter(unit * unit, 3) - near * near, 0)
    small = resize(unit[None], _SMALL[unit.ndim])[0]
    numbers = [mean, deviation, (standard**3).mean(), (standard**4).mean()]
    numbers += [local.mean(), local.std(), local.max()]
    parts = [
        np.histogram(unit, _BINS, (0, 1))[0] / unit.size,
        np.percentile(unit, _PERCENTILES),
        np.array(numbers),
        small,
        (small - mean) / deviation,
    ]
    if unit.ndim == 2:
        parts.append(resize(local[None].astype(np.float32), _SMALL[2])[0])
        parts.append(resize(standard[None], (14, 14))[0])
    return parts


def _of_shape(unit: Values) -> npt.NDArray[np.float64]:
    """Measure the bright part: how much, how long, how deep, in how many pieces."""
    grey = np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8)
    level, _ = cv2.threshold(
        grey.reshape(1, -1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU
    )
    bright = grey > level
    count = int(bright.sum())
    if not count:
        return np.zeros(23 + len(_DEPTHS) + 4 * unit.ndim)
    places = np.argwhere(bright).astype(np.float64)
    centred = places - places.mean(0)
    moments = np.sort(np.linalg.eigvalsh(centred.T @ centred / count))[::-1]
    depth = ndimage.distance_transform_edt(np.pad(bright, 1))
    inside = depth[depth > 0]
    connected = ndimage.label(bright, np.ones((3,) * unit.ndim))[0]
    sizes = np.bincount(connected.ravel())[1:]
    surface = int((inside <= 1).sum())
    radius = np.linalg.norm(centred, axis=1) / np.linalg.norm(unit.shape)
    numbers = [level / 255, count / unit.size, surface / count, len(sizes)]
    numbers += [sizes.max() / count, inside.max(), inside.mean(), inside.std()]
    numbers += [(inside > 1.5).mean(), (inside > 2.5).mean(), radius.max()]
    return np.concatenate(
        [
            numbers,
            np.histogram(radius, 12, (0, 0.6))[0] / count,
            np.percentile(inside, _DEPTHS),
            moments,
            moments / (moments.sum() + 1e-6),
            places.mean(0) / unit.shape,
            np.ptp(places, axis=0) / unit.shape,
        ]
    )
