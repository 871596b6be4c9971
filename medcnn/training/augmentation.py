"""Vary training images: a pure function of (seed, epoch, index).

Every image has its own generator, so neither the number of workers nor the other
images of a batch change what it becomes, and a resumed run sees what an unbroken one
would have seen.
"""

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from medcnn.planning.sections import Augmentation
from medcnn.preprocessing.resample import resize

__all__ = ["DRAWS", "affine", "at_side", "augment", "generator", "moved"]

Pixels = npt.NDArray[Any]
FloatImage = npt.NDArray[np.float32]
DRAWS = 16
"""Numbers that are drawn for every image, whatever the recipe uses of them."""


def generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Return the generator that belongs to one image in one epoch."""
    return np.random.default_rng((seed, epoch, index))


def at_side(image: Pixels, shape: tuple[int, ...]) -> Pixels:
    """Return an image (C, ...) brought to `shape`; itself if it has that already."""
    return image if image.shape[1:] == shape else resize(image, shape)


def augment(
    image: Pixels, recipe: Augmentation, rng: np.random.Generator
) -> FloatImage:
    """Return one variant of an image.

    Args:
        image: uint8 or uint16, (C, rows, columns) or (C, slices, rows, columns); all
            slices are turned and shifted alike.
        recipe: How much.
        rng: This image's own generator.

    Returns:
        float32 in 0..1, same shape.
    """
    top = np.float32(np.iinfo(image.dtype).max)
    draws = rng.uniform(-1, 1, DRAWS)  # always as many, so that recipes compare
    if rng.uniform() >= recipe.share:
        return image.astype(np.float32) / top
    rows, columns = image.shape[-2:]
    planes = image.reshape(-1, rows, columns)
    matrix = affine(recipe, draws, (rows, columns))
    moved = np.stack([_warp(plane, matrix) for plane in planes])
    unit = moved.astype(np.float32) / top
    unit = _grey_values(unit, recipe, draws)
    if recipe.blur:
        deviation = recipe.blur * abs(draws[9])
        unit = np.stack([_blurred(plane, deviation) for plane in unit])
    if recipe.noise:
        deviation = recipe.noise * abs(draws[10])
        unit += deviation * rng.standard_normal(unit.shape, dtype=np.float32)
    if recipe.cutout:
        _cut_out(unit, recipe.cutout, draws[11:14])
    np.clip(unit, 0, 1, out=unit)
    return unit.reshape(image.shape)


def moved(shares: Pixels, recipe: Augmentation, rng: np.random.Generator) -> FloatImage:
    """Return what marks places in an image, moved as `augment` moves the image.

    Args:
        shares: uint8, 255 is inside; (P, rows, columns) or (P, slices, rows, columns).
        recipe: How much.
        rng: The image's own generator, new.

    Returns:
        float32 in 0..1, same shape.
    """
    top = np.float32(np.iinfo(shares.dtype).max)
    draws = rng.uniform(-1, 1, DRAWS)
    unit = shares.astype(np.float32) / top
    if rng.uniform() >= recipe.share:
        return unit
    rows, columns = shares.shape[-2:]
    matrix = affine(recipe, draws, (rows, columns))
    planes = unit.reshape(-1, rows, columns)
    return np.stack([_warp(plane, matrix) for plane in planes]).reshape(shares.shape)


def affine(
    recipe: Augmentation, draws: npt.NDArray[np.float64], shape: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Compose flip, zoom, shear, turn and shift about the centre; (2, 3) for OpenCV."""
    rows, columns = shape
    angle = math.radians(recipe.rotation_deg * draws[0])
    shear = math.tan(math.radians(recipe.shear_deg * draws[1]))
    zoom = 1 + recipe.scale * draws[2]
    mirror = -1.0 if recipe.flip and draws[3] < 0 else 1.0
    turn = np.array(
        [
            [math.cos(angle), -math.sin(angle)],
            [math.sin(angle), math.cos(angle)],
        ]
    )
    linear = zoom * turn @ np.array([[mirror, shear], [0, 1]])
    centre = np.array([(columns - 1) / 2, (rows - 1) / 2])
    shift = recipe.translate * draws[4:6] * (columns, rows)
    return np.column_stack([linear, centre - linear @ centre + shift])


def _warp(plane: Pixels, matrix: npt.NDArray[np.float64]) -> Pixels:
    rows, columns = plane.shape
    return cv2.warpAffine(
        np.ascontiguousarray(plane),
        matrix,
        (columns, rows),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )


def _grey_values(
    unit: npt.NDArray[Any], recipe: Augmentation, draws: npt.NDArray[np.float64]
) -> FloatImage:
    """Apply gamma, contrast about the mean, and brightness."""
    if recipe.gamma:
        unit = np.power(unit, np.float32(math.exp(recipe.gamma * draws[6])))
    if recipe.contrast:
        factor = np.float32(1 + recipe.contrast * draws[7])
        mean = np.float32(unit.mean())
        unit = (unit - mean) * factor + mean
    if recipe.brightness:
        unit = unit + np.float32(recipe.brightness * draws[8])
    return np.asarray(unit, np.float32)


def _blurred(plane: FloatImage, deviation: float) -> FloatImage:
    if deviation < 0.1:
        return plane
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), deviation), np.float32)


def _cut_out(unit: FloatImage, share: float, draws: npt.NDArray[np.float64]) -> None:
    """Set one square of every plane to the image's mean, in place."""
    rows, columns = unit.shape[-2:]
    side = share * abs(draws[0])
    height, width = round(side * rows), round(side * columns)
    top = round((draws[1] + 1) / 2 * (rows - height))
    left = round((draws[2] + 1) / 2 * (columns - width))
    unit[:, top : top + height, left : left + width] = unit.mean()
