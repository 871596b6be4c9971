"""What a training works on, and which cases it sees when."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from lightning import Fabric

from medcnn.dataset import CaseTable
from medcnn.planning.recipe import Recipe
from medcnn.training.cache import Pixels
from medcnn.training.places import Places
from medcnn.training.reporter import Reporter
from medcnn.training.sampler import EpochPlan

__all__ = ["Material", "epoch_plan", "side_of"]


@dataclass(frozen=True, eq=False)
class Material:
    """What a training works on.

    Attributes:
        recipe: The recipe.
        table: All cases, with their splits.
        pixels: Their cache, in the same order.
        work: Folder of the training's state.
        fabric: Lightning's hand on the device, or on this process's device.
        reporter: Where progress goes.
        places: Where labels are, if that is taught.
    """

    recipe: Recipe
    table: CaseTable
    pixels: Pixels
    work: Path
    fabric: Fabric
    reporter: Reporter
    places: Places | None = None

    @property
    def device(self) -> str:
        """The device of this process: "cpu", "cuda:0" or "mps:0"."""
        return str(self.fabric.device)

    def indices(self, split: str) -> npt.NDArray[np.intp]:
        """Return which cases are in a split."""
        return np.flatnonzero([case.split == split for case in self.table.cases])


def epoch_plan(
    recipe: Recipe, table: CaseTable, train: npt.NDArray[np.intp]
) -> EpochPlan:
    """Plan the order of the training cases `train`, their indices in the table."""
    name = recipe.sampling.column
    column = table.column(name) if name else ("",) * len(table.cases)
    return EpochPlan.make(
        recipe.sampling,
        [column[index] for index in train],
        train,
        batch_size=recipe.optimiser.batch_size,
        seed=recipe.seed,
    )


def side_of(recipe: Recipe, epoch: int) -> int:
    """Return the picture's longest side in an epoch, from 0."""
    for epochs, side in recipe.progressive:
        if epoch < epochs:
            return side
        epoch -= epochs
    return max(recipe.input.shape[-2:])
