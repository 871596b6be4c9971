"""From the cache to batches that a network can learn from."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from medcnn.planning.recipe import Recipe
from medcnn.training.augmentation import at_side, augment, generator
from medcnn.training.cache import Pixels
from medcnn.training.device_augmentation import augment_batch, draws_of
from medcnn.training.places import Places
from medcnn.training.sampler import Item

__all__ = ["Batch", "TrainingImages", "feed", "full_images", "loader", "side_shape"]

Batch = tuple[torch.Tensor, ...]
"""Images in 0..1, (B, C, ...), and truths, (B, L), NaN where unknown.

Where places are taught, also how much of each cell of the last feature map is inside,
(B, L, ...), NaN where unknown.
"""


def side_shape(shape: tuple[int, ...], side: int) -> tuple[int, ...]:
    """Return an input shape scaled so that its longest in-plane side is `side`."""
    scale = side / max(shape[-2:])
    return tuple(max(1, round(length * scale)) for length in shape)


class TrainingImages(Dataset[Batch]):
    """Augmented training images, each a pure function of its `Item`.

    Args:
        pixels: The cache.
        truth: (N, L), NaN where unknown.
        recipe: The recipe.
        places: Where labels are, if that is taught.
        grids: The feature map's size by the picture's side, if it is.
    """

    def __init__(
        self,
        pixels: Pixels,
        truth: npt.NDArray[np.float32],
        recipe: Recipe,
        *,
        places: Places | None = None,
        grids: Mapping[int, tuple[int, ...]] | None = None,
    ) -> None:
        self.pixels = pixels
        self.truth = truth
        self.recipe = recipe
        self.places = places
        self.grids = grids or {}

    def __getitem__(self, item: Item) -> Batch:
        """Return one image (C, ...) in 0..1, its truth (L,), and its cells."""
        epoch, side, index = item
        shape = side_shape(self.recipe.input.shape, side)
        image = at_side(np.asarray(self.pixels[index]), shape)
        rng = generator(self.recipe.seed, epoch, index)
        varied = augment(image, self.recipe.augmentation, rng)
        truth = torch.from_numpy(self.truth[index])
        return torch.from_numpy(varied), truth, *self.cells(item)

    def cells(self, item: Item) -> tuple[torch.Tensor, ...]:
        """Return how much of each cell is inside, (L, ...), if places are taught."""
        if self.places is None:
            return ()
        epoch, side, index = item
        inside = self.places.cells(
            index,
            epoch=epoch,
            shape=side_shape(self.recipe.input.shape, side),
            grid=self.grids[side],
            recipe=self.recipe,
        )
        return (torch.from_numpy(inside),)

    @property
    def top(self) -> float:
        """The integer that means 1."""
        return float(np.iinfo(self.pixels.dtype).max)

    def gathered(self, items: Sequence[Item], device: str) -> Batch:
        """Return a batch's images as the cache holds them, truths, and varied cells."""
        chosen = [index for _, _, index in items]
        pixels = torch.from_numpy(self.pixels[chosen])
        if device.startswith("cuda"):
            pixels = pixels.pin_memory()
        cells = [
            torch.stack(same) for same in zip(*map(self.cells, items), strict=True)
        ]
        return pixels, torch.from_numpy(self.truth[chosen]), *cells


def loader(
    images: TrainingImages, batches: list[list[Item]], *, device: str
) -> DataLoader[Batch]:
    """Return a loader of these batches; the number of workers changes nothing."""
    wanted = images.recipe.run.workers
    most = 0 if device == "cpu" else min(8, cpu_count() or 1)
    return DataLoader(
        images,
        batch_sampler=batches,
        num_workers=most if isinstance(wanted, str) else wanted,
        pin_memory=device.startswith("cuda"),
    )


def feed(
    images: TrainingImages, batches: list[list[Item]], *, device: str
) -> Iterator[Batch]:
    """Yield these batches, varied, on the device."""
    wanted = images.recipe.run.augment
    if wanted == "workers" or (wanted == "auto" and not device.startswith("cuda")):
        for batch in loader(images, batches, device=device):
            yield tuple(part.to(device, non_blocking=True) for part in batch)
        return
    recipe, seed = images.recipe.augmentation, images.recipe.seed
    with ThreadPoolExecutor(1) as ahead:
        waiting = [ahead.submit(images.gathered, b, device) for b in batches[:1]]
        for number, items in enumerate(batches):
            pixels, *others = waiting.pop().result()
            if number + 1 < len(batches):
                following = batches[number + 1]
                waiting.append(ahead.submit(images.gathered, following, device))
            unit = pixels.to(device, non_blocking=True).float() / images.top
            shape = side_shape(images.recipe.input.shape, items[0][1])
            if tuple(unit.shape[2:]) != shape:
                unit = functional.interpolate(unit, shape, mode="area")
            drawn = draws_of(seed, items, recipe)
            varied = augment_batch(unit, recipe, drawn)
            told = (part.to(device, non_blocking=True) for part in others)
            yield varied, *told


def full_images(pixels: Pixels, indices: npt.NDArray[np.intp]) -> torch.Tensor:
    """Return unvaried images at the full shape, (B, C, ...) in 0..1."""
    top = np.float32(np.iinfo(pixels.dtype).max)
    return torch.from_numpy(pixels[indices].astype(np.float32) / top)
