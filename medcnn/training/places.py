"""Where labels are, as the network sees it: cached once, and moved with each image.

Boxes and masks of a table become shares inside on the network's input grid by the same
preprocessing as the pixels. In training they are turned, shifted and zoomed by the same
draws as their image, and averaged over the cells of the last feature map.
"""

import hashlib
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.dataset import CaseTable, data_sha256
from medcnn.errors import DataError, MedcnnError, OutputError, RecipeError
from medcnn.io import load
from medcnn.planning.recipe import Recipe
from medcnn.preprocessing.resample import resize
from medcnn.training.augmentation import at_side, generator, moved

__all__ = ["Places", "build_places"]

_NAMED = 5
_LEAST = 0.5
"""Pixels in the fullest cell below which nothing of a place is left in the picture."""


@dataclass(frozen=True, eq=False)
class Places:
    """Where labels are in the images that show them.

    Attributes:
        shares: How much of each pixel is inside, 255 is all; (M, rows, columns) or
            (M, slices, rows, columns).
        rows: Which of them is of which case and label, (N, L); -1 where it is not
            known where, or the label is not there.
    """

    shares: npt.NDArray[Any]
    rows: npt.NDArray[np.intp]

    def cells(
        self,
        index: int,
        *,
        epoch: int,
        shape: tuple[int, ...],
        grid: tuple[int, ...],
        recipe: Recipe,
    ) -> npt.NDArray[np.float32]:
        """Return how much of each cell of a feature map is inside, (L, *grid).

        The result is a pure function of the recipe's seed, the epoch and the index, as
        the varied image is, and lies where that shows the place.

        Args:
            index: The case.
            epoch: From 0.
            shape: The picture's size in this epoch.
            grid: The feature map's size.
            recipe: Its seed and augmentation.

        Returns:
            0 to 1, the cell that holds most of a place is 1; NaN for labels of which
            nothing is known, or left in the picture.
        """
        rows = self.rows[index]
        cells = np.full((len(rows), *grid), np.nan, dtype=np.float32)
        known = np.flatnonzero(rows >= 0)
        if not known.size:
            return cells
        shares = at_side(np.asarray(self.shares[rows[known]]), shape)
        rng = generator(recipe.seed, epoch, index)
        inside = resize(moved(shares, recipe.augmentation, rng), grid)
        most = inside.reshape(len(known), -1).max(1)
        seen = most > _LEAST * math.prod(grid) / math.prod(shape)
        scale = most[seen].reshape(-1, *(1 for _ in grid))
        cells[known[seen]] = inside[seen] / scale
        return cells


def build_places(
    table: CaseTable, hashes: Sequence[str], recipe: Recipe, folder: Path
) -> Places:
    """Return where labels are in the images to learn from, as the network sees it.

    Only labels that are there count, so a box on a negative teaches nothing. The cache
    is named by a checksum of images, places and preprocessing, as that of the pixels.

    Args:
        table: Cases with their splits; those of test are left out.
        hashes: Their `content_hashes`.
        recipe: Its input says what the network sees.
        folder: Where the cache lies.

    Raises:
        DataError: If a place does not fit its image; the first are named.
        OutputError: If the cache cannot be written.
        RecipeError: If nothing says where a label is.
    """
    pairs = [
        (index, column)
        for index, case in enumerate(table.cases)
        for column, label in enumerate(table.labels)
        if case.split in {"train", "val"} and case.truth[label] == 1
        if label in case.places and not case.places[label].is_nowhere
    ]
    if not any(table.cases[index].split == "train" for index, _ in pairs):
        msg = f"loss.places is {recipe.loss.places:g}, and no positive image of train "
        msg += "says where its label is"
        hint = "Add columns bbox:<label> or mask:<label>, or set loss.places to 0."
        raise RecipeError(msg, hint=hint)
    steps = recipe.input.unit_range().geometric()
    facts = (data_sha256(table, hashes), steps.model_dump_json(), "places 1")
    name = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]
    path = folder / f"{name}.places.npy"
    if not path.is_file():
        _write(path, table, pairs, recipe)
    rows = np.full((len(table.cases), len(table.labels)), -1, dtype=np.intp)
    for number, pair in enumerate(pairs):
        rows[pair] = number
    return Places(np.load(path, mmap_mode="r"), rows)


def _write(
    path: Path, table: CaseTable, pairs: Sequence[tuple[int, int]], recipe: Recipe
) -> None:
    """Fill a new cache under another name, and give it its own when it is whole.

    Raises:
        DataError: If places do not fit their images.
        OutputError: If the disk refuses.
    """
    steps = recipe.input.unit_range()
    shape = (len(pairs), *recipe.input.shape)
    partial = path.with_suffix(".partial")
    numbers: dict[int, list[int]] = {}
    for number, (index, _) in enumerate(pairs):
        numbers.setdefault(index, []).append(number)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        target = np.lib.format.open_memmap(partial, "w+", dtype=np.uint8, shape=shape)

        def fill(index: int) -> str:
            case = table.cases[index]
            try:
                image = load(case.path)
                for number in numbers[index]:
                    inside = case.places[table.labels[pairs[number][1]]].on(image)
                    target[number] = np.rint(steps.carry(inside, image) * 255)
            except MedcnnError as error:
                return f"{case.path}: {error}"
            return ""

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            bad = [problem for problem in pool.map(fill, numbers) if problem]
        target.flush()
    except OSError as error:
        partial.unlink(missing_ok=True)
        msg = f"the cache of places cannot be written: {error.strerror}"
        raise OutputError(msg, hint="Free space, or choose another output.") from error
    if bad:
        partial.unlink()
        msg = f"places of {len(bad)} images cannot be used: {'; '.join(bad[:_NAMED])}"
        raise DataError(msg, hint="Mend these rows, or leave their cells blank.")
    partial.rename(path)
