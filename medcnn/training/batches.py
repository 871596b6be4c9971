"""From the cache to batches that a network can learn from."""

from collections.abc import Iterator
from os import cpu_count

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from medcnn.planning.recipe import Recipe
from medcnn.training.augmentation import at_side, augment, generator
from medcnn.training.cache import Pixels
from medcnn.training.sampler import Item

__all__ = ["Batch", "TrainingImages", "full_batches", "loader", "side_shape"]

Batch = tuple[torch.Tensor, torch.Tensor]
"""Images in 0..1, (B, C, ...), and truths, (B, L), NaN where unknown."""


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
    """

    def __init__(
        self, pixels: Pixels, truth: npt.NDArray[np.float32], recipe: Recipe
    ) -> None:
        self.pixels = pixels
        self.truth = truth
        self.recipe = recipe

    def __getitem__(self, item: Item) -> Batch:
        """Return one image (C, ...) in 0..1 and its truth (L,)."""
        epoch, side, index = item
        shape = side_shape(self.recipe.input.shape, side)
        image = at_side(np.asarray(self.pixels[index]), shape)
        rng = generator(self.recipe.seed, epoch, index)
        varied = augment(image, self.recipe.augmentation, rng)
        return torch.from_numpy(varied), torch.from_numpy(self.truth[index])


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


def full_batches(
    pixels: Pixels, indices: npt.NDArray[np.intp], size: int
) -> Iterator[torch.Tensor]:
    """Yield unvaried images at the full shape, (B, C, ...) in 0..1."""
    top = np.float32(np.iinfo(pixels.dtype).max)
    for start in range(0, len(indices), size):
        chosen = pixels[indices[start : start + size]]
        yield torch.from_numpy(chosen.astype(np.float32) / top)
