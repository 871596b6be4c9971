"""From data and wishes to a plan on this machine, before anything is trained."""

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from medcnn.dataset import CaseTable, read_cases
from medcnn.engines.torch import choose_device
from medcnn.networks import build
from medcnn.planning import (
    Fingerprint,
    Machine,
    Plan,
    Recipe,
    fingerprint,
    make_plan,
    parse_settings,
    read_recipe,
)
from medcnn.training.devices import half_precision
from medcnn.training.fitting import refuse_other_dims, refuse_unfit

__all__ = [
    "Estimate",
    "Planned",
    "Wishes",
    "choose_place",
    "estimate",
    "plan_training",
    "plan_wishes",
    "told",
]

_TIMED_STEPS = 3
_TIMED_IMAGES = 64
"""More images in a step are counted as so many times the time of these."""

_LOOKED_AT = 1 / 3
"""Time to judge a case by the time to learn from it: no way back."""


@dataclass(frozen=True, eq=False)
class Planned:
    """What is to be trained on what.

    Attributes:
        table: Cases as read, without drawn splits.
        plan: What is to be done, and why.
        device: "cpu", "cuda:0" or "mps".
    """

    table: CaseTable
    plan: Plan
    device: str


@dataclass(frozen=True)
class Estimate:
    """How long a training will take about, measured by a few steps.

    Attributes:
        step_seconds: One step, the mean of three after a first one.
        steps: Steps of an epoch.
        reading_seconds: To decode all images once.
        epoch_seconds: One epoch with its validation.
        seconds: All epochs of all networks, if none stops early.
    """

    step_seconds: float
    steps: int
    reading_seconds: float
    epoch_seconds: float
    seconds: float

    def words(self) -> str:
        """Say it in a sentence."""
        return (
            f"About {_duration(self.seconds)} here: {_duration(self.epoch_seconds)} an "
            f"epoch of {self.steps} steps ({self.step_seconds:.2f} s a step, measured "
            f"on noise), {_duration(self.reading_seconds)} to read the images once; "
            "less if it stops early, more while the computer does other work."
        )


def plan_training(
    data: str | Path,
    *,
    recipe: str | Path | Recipe | None = None,
    settings: Sequence[str] | Mapping[str, Any] = (),
    device: str = "auto",
) -> Planned:
    """Read a data set once and decide how to train on it.

    Args:
        data: A table, a folder or a data set, see `medcnn.dataset.read_cases`.
        recipe: A TOML file or a Recipe; what it gives overrides the plan.
        settings: `key=value` texts, or values by dotted key; they override both.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".

    Raises:
        DataError: If the data is wrong, or an image of the sample cannot be read.
        RecipeError: If the recipe or a setting is wrong.
        EngineError: If the device is not there.
    """
    said = dict(settings) if isinstance(settings, Mapping) else parse_settings(settings)
    return plan_wishes(Wishes(data, recipe, said, device))


@dataclass(frozen=True)
class Wishes:
    """What a caller wants a training to be.

    Attributes:
        data: A table, a folder or a data set.
        recipe: A TOML file or a Recipe; what it gives overrides the plan.
        settings: Values by dotted key; they override both.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
    """

    data: str | Path
    recipe: str | Path | Recipe | None
    settings: Mapping[str, Any]
    device: str

    @cached_property
    def given(self) -> Recipe:
        """The recipe, or one that says nothing."""
        if self.recipe is None:
            return Recipe()
        if isinstance(self.recipe, Recipe):
            return self.recipe
        return read_recipe(self.recipe)

    @property
    def devices(self) -> int:
        """How many processes are wanted on this machine."""
        return int(self.settings.get("run.devices", self.given.run.devices))

    def table(self) -> CaseTable:
        """Read the cases.

        Raises:
            DataError: If they are wrong.
        """
        said, first = self.settings, self.given
        return read_cases(
            self.data,
            labels=said.get("labels", first.labels),
            attributes=said.get("attributes", first.attributes),
        )


def choose_place(device: str) -> str:
    """Return "cpu", "cuda:0" or "mps" for what a caller says.

    Raises:
        EngineError: If the device is not there.
    """
    place = choose_device(torch, device)
    return "cuda:0" if place == "cuda" else place


def plan_wishes(wishes: Wishes) -> Planned:
    """Read a data set once and decide how to train on it.

    Raises:
        DataError: If the data is wrong, or an image of the sample cannot be read.
        RecipeError: If the recipe or a setting is wrong.
        EngineError: If the device is not there.
    """
    said, first = wishes.settings, wishes.given
    place = choose_place(wishes.device)
    table = wishes.table()
    found = fingerprint(
        table,
        modality=said.get("modality", first.modality),
        seed=said.get("seed", first.seed),
    )
    wanted = said.get("run.precision", first.run.precision)
    machine = _machine(place, wanted, math.prod(found.sizes.median))
    plan = make_plan(found, machine, recipe=wishes.given, settings=said)
    refuse_other_dims(plan.recipe, found)
    refuse_unfit(plan.recipe, table)
    return Planned(table, plan, place)


def estimate(planned: Planned) -> Estimate:
    """Time a few steps of the planned network on noise, and count.

    What is left out: drawing curves, measuring the finished model and its baselines.
    """
    plan, place = planned.plan, torch.device(planned.device)
    recipe, found = plan.recipe, plan.fingerprint
    size = min(recipe.optimiser.batch_size, max(found.to_learn, 1))
    network = build(
        recipe.network.name,
        dims=recipe.input.dims,
        in_channels=recipe.input.channels,
        labels=len(planned.table.labels),
        shape=recipe.input.shape,
        **recipe.network.arguments,
    ).to(place)
    kind, shape_cells = place.type, math.prod(recipe.input.shape)
    half = half_precision(kind, recipe.run.precision, shape_cells)
    timed = min(size, _TIMED_IMAGES)
    shape = (timed, recipe.input.channels, *recipe.input.shape)
    images = torch.rand(shape, device=place)
    taken = [_step(network, images, half=half) for _ in range(_TIMED_STEPS + 1)]
    step = sum(taken[1:]) / _TIMED_STEPS * size / timed
    steps = max(1, found.to_learn // size)
    held = found.splits.get("val", 0) or round(found.to_learn * recipe.val_share)
    epoch = step * steps + step / size * held * _LOOKED_AT
    reading = found.seconds_each * found.cases / plan.machine.cores
    networks = recipe.folds * recipe.seeds
    total = reading + epoch * recipe.optimiser.epochs * networks
    return Estimate(step, steps, reading, epoch, total)


def _step(network: nn.Module, images: torch.Tensor, *, half: bool) -> float:
    """Return the seconds of one step."""
    started = time.perf_counter()
    kind = images.device.type
    with torch.autocast(kind, dtype=torch.bfloat16, enabled=half):
        loss = network(images).float().square().mean()
    network.zero_grad(set_to_none=True)
    loss.backward()
    if kind == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _machine(place: str, precision: str, cells: float) -> Machine:
    """Return what this machine is, for images of so many pixels or voxels."""
    kind, _, number = place.partition(":")
    if kind == "cuda":
        size = torch.cuda.get_device_properties(int(number or 0)).total_memory
    else:
        size = _memory_bytes()
    return Machine(
        device=kind,
        memory_gb=round(size / 1e9, 1),
        cores=os.cpu_count() or 1,
        half=half_precision(kind, precision, int(cells)),
    )


def _memory_bytes() -> int:
    """Return the computer's memory; 8 GB where the system does not say it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 * 10**9


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def told(found: Fingerprint) -> str:
    """Say what a data set is, in a sentence."""
    kind = "volumes" if found.dims == 3 else "pictures"
    colour = "colour" if found.colour else "grey"
    i, j, k = (f"{n:g}" for n in found.sizes.median)
    size = f"{i} x {j}" + (f" x {k}" if found.dims == 3 else "")
    what = f", {found.modality}" if found.modality else ""
    return f"{found.cases} {colour} {kind} of about {size}{what}; {found.task}."
