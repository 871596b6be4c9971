"""The networks of one training: one, or one for each fold and seed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from medcnn.dataset import fold_table
from medcnn.training.material import Material
from medcnn.training.state import Progress

__all__ = ["Folds", "Member", "Trained", "members"]

Folds = npt.NDArray[np.intp]
"""Each case's fold from 0, or -1 for test."""


@dataclass(frozen=True, eq=False)
class Member:
    """One network to train.

    Attributes:
        name: What it is called; "" if it is the only one.
        fold: Which fold is held out, from 0; None if val is.
        material: What it works on, in a work folder of its own.
    """

    name: str
    fold: int | None
    material: Material


@dataclass(frozen=True, eq=False)
class Trained:
    """A member, and how its training went."""

    member: Member
    record: Progress


def members(material: Material, folds: Folds | None) -> Sequence[Member]:
    """Return the networks that a recipe asks for.

    Args:
        material: What the whole training works on.
        folds: The fold of each case, where the recipe asks for folds.
    """
    recipe, found = material.recipe, []
    held = range(recipe.folds) if folds is not None else [None]
    if folds is None and recipe.seeds == 1:
        return [Member("", None, material)]
    for fold in held:
        for more in range(recipe.seeds):
            seed = recipe.seed + more
            parts = [f"fold {fold + 1}"] if fold is not None else []
            name = ", ".join([*parts, f"seed {seed}"])
            table = material.table
            if folds is not None:
                table = fold_table(table, folds, fold)
            one = replace(
                material,
                recipe=recipe.model_copy(update={"seed": seed}),
                table=table,
                work=material.work / name.replace(", ", "-").replace(" ", ""),
            )
            found.append(Member(name, fold, one))
    return found
