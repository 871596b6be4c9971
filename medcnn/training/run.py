"""Train a model: from labelled images to a bundle, in one call."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Fabric

from medcnn.dataset import (
    SPLITS,
    CaseTable,
    assign_folds,
    content_hashes,
    data_sha256,
)
from medcnn.networks import Classifier, build, load_pretrained
from medcnn.networks.pretrained import load_bundle_weights
from medcnn.planning import Plan, Recipe, parse_settings
from medcnn.training.claim import claim, work_folder
from medcnn.training.devices import crowd_for, fabric_for
from medcnn.training.finish import finish
from medcnn.training.fitting import refuse_output_within, refuse_small_pictures
from medcnn.training.loop import LAST, Loop
from medcnn.training.material import Material
from medcnn.training.members import Folds, Member, Trained, members
from medcnn.training.papers import Data
from medcnn.training.places import Places, build_places
from medcnn.training.planned import Wishes, choose_place, plan_wishes, told
from medcnn.training.prepare import Place, Prepared, prepare, refuse_early, write_splits
from medcnn.training.probe import start_head
from medcnn.training.reporter import Listener, Reporter
from medcnn.training.start import bundle_of
from medcnn.training.together import Failures, agree

__all__ = ["train"]


def train(  # noqa: PLR0913 - each is one choice of the caller
    data: str | Path,
    *,
    output: str | Path,
    recipe: str | Path | Recipe | None = None,
    settings: Sequence[str] | Mapping[str, Any] = (),
    device: str = "auto",
    weights: str | Path | None = None,
    allow_leak: bool = False,
    progress: bool | Listener = True,
) -> Path:
    """Train a model on labelled images and write its bundle.

    The state is kept in a folder beside the output, named like it with `.work`
    appended. Called again with the same data, recipe and output after it was stopped,
    it goes on where it stood. The history of the training (history.csv, curves.png)
    stays there.

    Args:
        data: A table or a folder, see `medcnn.dataset.read_cases`.
        output: The bundle's directory.
        recipe: A TOML file or a Recipe; what it gives overrides the plan that is made
            of the data's fingerprint.
        settings: `key=value` texts, or values by dotted key; they override both.
        device: "auto" (a GPU if there is one; it is said), "cpu", "cuda", "cuda:1" or
            "mps".
        weights: File of pretrained weights, in place of the recipe's.
        allow_leak: Train although patients or images are in several splits; the card
            says so.
        progress: Whether to show progress on stderr; or a function that is told (done,
            total, words) in its place.

    Returns:
        The bundle's directory.

    Raises:
        DataError: If the data is wrong or unreadable; LeakageError if a patient or an
            image is in more than one split.
        RecipeError: If the recipe is wrong, or the training diverges.
        BundleError: If the network or its pretrained weights do not fit.
        EngineError: If the device is not there.
        OutputError: If the output is taken, another process trains into it, it lies in
            the folder of the images, or it cannot be written.
    """
    target = Path(output)
    refuse_output_within(Path(data), target)
    wishes = Wishes(data, recipe, _said(settings, weights), device)
    place = choose_place(device)
    crowd = crowd_for(place, wishes.devices)
    ready = agree(crowd, lambda: _ready(wishes, allow_leak=allow_leak))
    chosen, data_sum = ready.plan.recipe, ready.checksum
    fabric = fabric_for(place, chosen)
    fabric.launch()
    reporter = _reporter(progress, is_first=fabric.is_global_zero)
    reporter.say(_where(fabric, place))
    reporter.say(told(ready.plan.fingerprint))
    with ExitStack() as held:
        agree(fabric, lambda: str(held.enter_context(claim(target, chosen, data_sum))))
        spot = Place(work_folder(target), fabric, reporter)
        held.enter_context(Failures.of(fabric, spot.work).shared())
        _train_all(wishes.table(), ready, spot, target, allow_leak=allow_leak)
        fabric.barrier()
    reporter.say(f"The model is in {target}.")
    return target


@dataclass(frozen=True)
class _Ready:
    """What the first process found out before the training, for all of them.

    Attributes:
        plan: What is to be done.
        hashes: The cases' `content_hashes`.
        checksum: Of all of the data.
    """

    plan: Plan
    hashes: Sequence[str]
    checksum: str


def _ready(wishes: Wishes, *, allow_leak: bool) -> _Ready:
    """Plan, and refuse what can be refused before images are decoded."""
    planned = plan_wishes(wishes)
    table = planned.table
    hashes = content_hashes(table)
    refuse_early(table, hashes, allow_leak=allow_leak)
    return _Ready(planned.plan, hashes, data_sha256(table, hashes))


def _train_all(
    table: CaseTable, ready: _Ready, place: Place, target: Path, *, allow_leak: bool
) -> None:
    """Decode the images, train all networks, and finish the model."""
    recipe, reporter, fabric = ready.plan.recipe, place.reporter, place.fabric
    prepared, pixels = prepare(
        table, ready.hashes, recipe, place, allow_leak=allow_leak
    )
    folds = _folds(prepared, recipe)
    reporter.say(_learning(prepared.table))
    if fabric.is_global_zero:
        write_splits(prepared.table, place.work)
    places = _places(prepared, ready.hashes, recipe, place)
    material = Material(
        recipe, prepared.table, pixels, place.work, fabric, reporter, places
    )
    trained = [_train_one(one) for one in members(material, folds)]
    if fabric.is_global_zero:
        plan = ready.plan.model_copy(update={"notes": prepared.notes})
        seen = Data(ready.checksum, ready.hashes, prepared, plan)
        finish(trained, material, folds, output=target, data=seen)


def _train_one(member: Member) -> Trained:
    """Train a network, or go on training it, or see that it is trained."""
    material = member.material
    recipe, reporter = material.recipe, material.reporter
    material.work.mkdir(exist_ok=True)
    if member.name:
        reporter.say(f"Training {member.name}.")
    network = _network(recipe, material.table.labels, reporter)
    refuse_small_pictures(network, recipe)
    if recipe.optimiser.probe and not (material.work / LAST).is_file():
        start_head(network, material)
    record = Loop(network, material).run()
    best = f"epoch {record.best_epoch + 1}, AUC {record.best_score:.4f}"
    reporter.say(f"Best: {best}.")
    return Trained(member, record)


def _said(
    settings: Sequence[str] | Mapping[str, Any], weights: str | Path | None
) -> dict[str, Any]:
    """Return all that the caller says, by dotted key."""
    said = settings if isinstance(settings, Mapping) else parse_settings(settings)
    start = {} if weights is None else {"network.pretrained": Path(weights)}
    return {**said, **start}


def _reporter(progress: bool | Listener, *, is_first: bool) -> Reporter:
    """Return who tells how the training goes: the first process only."""
    if not callable(progress):
        return Reporter(visible=progress and is_first)
    return Reporter(visible=False, listener=progress if is_first else None)


def _learning(table: CaseTable) -> str:
    """Say what is learnt from how many images."""
    counts = Counter(table.column("split"))
    images = ", ".join(f"{counts[name]} {name}" for name in SPLITS if counts[name])
    return f"Learning {', '.join(table.labels)}. Images: {images}."


def _where(fabric: Fabric, place: str) -> str:
    """Say where and how the training runs."""
    threads = f" with {torch.get_num_threads()} threads" if place == "cpu" else ""
    world = fabric.world_size
    told = f"Training on {place}{threads}"
    told += f", {world} processes" if world > 1 else ""
    half = fabric.strategy.precision.precision == "bf16-mixed"
    return f"{told}, in {'bfloat16 where it suffices' if half else '32 bits'}."


def _places(
    prepared: Prepared, hashes: Sequence[str], recipe: Recipe, place: Place
) -> Places | None:
    """Return where labels are, if that is taught; the first process writes it."""
    if not recipe.loss.places:
        return None
    fabric, table = place.fabric, prepared.table
    if not fabric.is_global_zero:
        fabric.barrier()
    places = build_places(table, hashes, recipe, place.work / "cache")
    if fabric.is_global_zero:
        fabric.barrier()
    train = np.array([case.split == "train" for case in table.cases])
    known = (places.rows >= 0)[train]
    told = f"{known.sum()} places in {known.any(1).sum()} images of train"
    place.reporter.say(f"Teaching where labels are: {told}.")
    return places


def _folds(prepared: Prepared, recipe: Recipe) -> Folds | None:
    """Deal the cases into folds, where the recipe asks for them."""
    if recipe.folds == 1:
        return None
    rng = np.random.default_rng((recipe.seed, 4))
    return assign_folds(prepared.table, prepared.same, folds=recipe.folds, rng=rng)


def _network(recipe: Recipe, labels: tuple[str, ...], reporter: Reporter) -> Classifier:
    """Build the network with its starting weights."""
    torch.manual_seed(recipe.seed)  # noqa: TID251
    network = build(
        recipe.network.name,
        dims=recipe.input.dims,
        in_channels=recipe.input.channels,
        labels=len(labels),
        shape=recipe.input.shape,
        **recipe.network.arguments,
    )
    start = recipe.network.pretrained
    if start is not None:
        bundle = bundle_of(start)
        if bundle is None:
            report = load_pretrained(network, start)
        else:
            report = load_bundle_weights(network, bundle, labels=labels)
        took = f"{report.loaded} tensors of {report.path.name}"
        reporter.say(f"Starting from {took} ({report.key_map} names).")
    return network
