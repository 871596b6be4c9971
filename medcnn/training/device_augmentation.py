"""Vary a whole batch at once, where the network runs.

The same draws as in `augmentation`, so an image is turned, shifted and shaded alike
whichever of the two does it; what differs is rounding, and the noise, which is hashed
here from the image's own number and the place in the image. It depends neither on the
other images of the batch nor on the device.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from medcnn.planning.sections import Augmentation
from medcnn.training.augmentation import DRAWS, affine, generator
from medcnn.training.sampler import Item

__all__ = ["Draws", "augment_batch", "draws_of"]

_MASK = 0xFFFFFFFF
_LEAST_BLUR = 0.1


@dataclass(frozen=True, eq=False)
class Draws:
    """What is drawn for each image of a batch.

    Attributes:
        values: Uniform in -1..1, (B, 16).
        varied: Whether the image is varied at all, (B,).
        noise: Where each image's noise starts, (B,).
    """

    values: npt.NDArray[np.float64]
    varied: npt.NDArray[np.bool_]
    noise: npt.NDArray[np.int64]


def draws_of(seed: int, items: Sequence[Item], recipe: Augmentation) -> Draws:
    """Draw for the images of a batch, each from its own generator."""
    values, varied, noise = [], [], []
    for epoch, _, index in items:
        rng = generator(seed, epoch, index)
        values.append(rng.uniform(-1, 1, DRAWS))
        varied.append(rng.uniform() < recipe.share)
        noise.append(rng.integers(1 << 31))
    return Draws(np.stack(values), np.array(varied), np.array(noise, np.int64))


def augment_batch(
    images: torch.Tensor, recipe: Augmentation, draws: Draws
) -> torch.Tensor:
    """Return a variant of each image.

    Args:
        images: In 0..1, (B, C, rows, columns) or (B, C, slices, rows, columns); all
            slices are turned and shifted alike.
        recipe: How much.
        draws: What was drawn for them.

    Returns:
        float32 in 0..1, same shape.
    """
    planes = images.flatten(1, -3)  # (B, P, rows, columns)
    d = torch.from_numpy(draws.values.astype(np.float32)).to(images.device)
    each = d.T[..., None, None, None]  # (16, B, 1, 1, 1)
    unit = functional.grid_sample(
        planes,
        _grid(recipe, draws, planes.shape[-2:], images.device),
        align_corners=False,
    )
    if recipe.gamma:
        unit = unit.clamp_min(0).pow((recipe.gamma * each[6]).exp())
    if recipe.contrast:
        mean = unit.mean((1, 2, 3), keepdim=True)
        unit = (unit - mean) * (1 + recipe.contrast * each[7]) + mean
    if recipe.brightness:
        unit = unit + recipe.brightness * each[8]
    if recipe.blur:
        unit = _blurred(unit, recipe.blur * d[:, 9].abs())
    if recipe.noise:
        starts = torch.from_numpy(draws.noise).to(images.device)
        noise = _normal(starts, unit[0].numel()).view_as(unit)
        unit = unit + recipe.noise * each[10].abs() * noise
    if recipe.cutout:
        unit = _cut_out(unit, recipe.cutout, d[:, 11:14])
    varied = torch.from_numpy(draws.varied).to(images.device)[:, None, None, None]
    unit = torch.where(varied, unit.clamp(0, 1), planes)
    return unit.reshape(images.shape)


def _grid(
    recipe: Augmentation, draws: Draws, shape: torch.Size, device: torch.device
) -> torch.Tensor:
    """Return where each new pixel comes from, (B, rows, columns, 2) in -1..1."""
    rows, columns = shape
    back = []
    for values in draws.values:
        whole = np.vstack([affine(recipe, values, (rows, columns)), [0, 0, 1]])
        back.append(np.linalg.inv(whole)[:2])
    matrices = torch.from_numpy(np.stack(back).astype(np.float32)).to(device)
    y, x = torch.meshgrid(
        torch.arange(rows, device=device, dtype=torch.float32),
        torch.arange(columns, device=device, dtype=torch.float32),
        indexing="ij",
    )
    places = torch.stack([x, y, torch.ones_like(x)])  # (3, rows, columns)
    found = torch.einsum("bij,jyx->byxi", matrices, places)
    size = torch.tensor([columns, rows], device=device, dtype=torch.float32)
    return (2 * found + 1) / size - 1


def _blurred(unit: torch.Tensor, deviation: torch.Tensor) -> torch.Tensor:
    """Blur each image by its own Gaussian, mirrored at the border, (B, P, h, w)."""
    count, planes, rows, columns = unit.shape
    radius = min(math.ceil(4 * float(deviation.max())), rows - 1, columns - 1)
    if radius < 1:
        return unit
    steps = torch.arange(-radius, radius + 1, device=unit.device)
    kernel = torch.exp(-0.5 * (steps / deviation[:, None].clamp_min(1e-3)) ** 2)
    still = (steps == 0).to(kernel.dtype)
    kernel = torch.where(deviation[:, None] < _LEAST_BLUR, still, kernel)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(planes, 0)
    flat = unit.reshape(1, count * planes, rows, columns)
    for shape, pad in (
        ((-1, 1, 2 * radius + 1, 1), (0, 0, radius, radius)),
        ((-1, 1, 1, 2 * radius + 1), (radius, radius, 0, 0)),
    ):
        padded = functional.pad(flat, pad, mode="reflect")
        flat = functional.conv2d(padded, kernel.view(shape), groups=count * planes)
    return flat.view(unit.shape)


def _normal(starts: torch.Tensor, count: int) -> torch.Tensor:
    """Return normal deviates hashed from a start and a place, (B, count).

    References:
        [1] Box & Muller, Ann. Math. Statist. 29 (1958) 610-611. [2] Appleby,
            MurmurHash3 (2011): the finaliser that mixes the bits.
    """
    place = torch.arange(count, device=starts.device)
    first = _hashed(place * 0x9E3779B1 + starts[:, None])
    second = _hashed(first + place * 0x85EBCA77 + 1)
    radius = (-2 * ((first + 0.5) / 2.0**32).log()).sqrt()
    turn = (second / 2.0**32 * (2 * math.pi)).cos()
    return (radius * turn).float()


def _hashed(value: torch.Tensor) -> torch.Tensor:
    """Mix the low 32 bits of integers."""
    value = value & _MASK
    value = (value ^ (value >> 16)) * 0x85EBCA6B & _MASK
    value = (value ^ (value >> 13)) * 0xC2B2AE35 & _MASK
    return value ^ (value >> 16)


def _cut_out(unit: torch.Tensor, share: float, draws: torch.Tensor) -> torch.Tensor:
    """Set one square of every plane to the image's mean."""
    rows, columns = unit.shape[-2:]
    side = share * draws[:, 0].abs()
    y = torch.arange(rows, device=unit.device)
    x = torch.arange(columns, device=unit.device)
    height, width = (side * rows).round(), (side * columns).round()
    top = ((draws[:, 1] + 1) / 2 * (rows - height)).round()
    left = ((draws[:, 2] + 1) / 2 * (columns - width)).round()
    tall = (y >= top[:, None]) & (y < (top + height)[:, None])  # (B, rows)
    wide = (x >= left[:, None]) & (x < (left + width)[:, None])
    inside = tall[:, None, :, None] & wide[:, None, None, :]
    return torch.where(inside, unit.mean((1, 2, 3), keepdim=True), unit)
