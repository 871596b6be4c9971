"""Train a model: from labelled images to a bundle, in one call."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from lightning import Fabric

from medcnn.dataset import (
    SPLITS,
    assign_folds,
    content_hashes,
    data_sha256,
    read_cases,
)
from medcnn.engines.torch import choose_device
from medcnn.networks import Classifier, build, load_pretrained
from medcnn.planning.recipe import Recipe, read_recipe
from medcnn.training.claim import claim, work_folder
from medcnn.training.devices import fabric_for
from medcnn.training.finish import Data, finish
from medcnn.training.fitting import (
    refuse_output_within,
    refuse_small_pictures,
    refuse_unfit,
)
from medcnn.training.loop import LAST, Loop
from medcnn.training.material import Material
from medcnn.training.members import Folds, Member, Trained, members
from medcnn.training.prepare import Place, Prepared, prepare
from medcnn.training.probe import start_head
from medcnn.training.reporter import Reporter

__all__ = ["train"]


def train(  # noqa: PLR0913 - each is one choice of the caller
    data: str | Path,
    *,
    output: str | Path,
    recipe: str | Path | Recipe | None = None,
    device: str = "auto",
    weights: str | Path | None = None,
    allow_leak: bool = False,
    progress: bool = True,
) -> Path:
    """Train a model on labelled images and write its bundle.

    The state is kept in a folder beside the output, named like it with `.work`
    appended. Called again with the same data, recipe and output after it was stopped,
    it goes on where it stood. The history of the training (history.csv, curves.png)
    stays there.

    Args:
        data: A table or a folder, see `medcnn.dataset.read_cases`.
        output: The bundle's directory.
        recipe: A TOML file or a Recipe; None means the defaults.
        device: "auto" (a GPU if there is one; it is said), "cpu", "cuda", "cuda:1" or
            "mps".
        weights: File of pretrained weights, in place of the recipe's.
        allow_leak: Train although patients or images are in several splits; the card
            says so.
        progress: Whether to show progress on stderr.

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
    chosen = recipe if isinstance(recipe, Recipe) else _read(recipe)
    if weights is not None:
        start = chosen.network.model_copy(update={"pretrained": Path(weights)})
        chosen = chosen.model_copy(update={"network": start})
    place = _device(choose_device(torch, device))
    fabric = fabric_for(place, chosen)
    fabric.launch()
    reporter = Reporter(visible=progress and fabric.is_global_zero)
    reporter.say(_where(fabric, place))
    target = Path(output)
    refuse_output_within(Path(data), target)
    table = read_cases(data, labels=chosen.labels, attributes=chosen.attributes)
    refuse_unfit(chosen, table)
    hashes = content_hashes(table)
    checksum = data_sha256(table, hashes)
    with _claimed(target, chosen, checksum, fabric) as work:
        place_of = Place(work, fabric, reporter)
        prepared, pixels = prepare(
            table, hashes, chosen, place_of, allow_leak=allow_leak
        )
        table = prepared.table
        folds = _folds(prepared, chosen)
        counts = Counter(table.column("split"))
        images = ", ".join(f"{counts[name]} {name}" for name in SPLITS if counts[name])
        reporter.say(f"Learning {', '.join(table.labels)}. Images: {images}.")
        material = Material(chosen, table, pixels, work, fabric, reporter)
        trained = [_train_one(one) for one in members(material, folds)]
        if fabric.is_global_zero:
            seen = Data(checksum, hashes, prepared.checksums)
            finish(trained, material, folds, output=target, data=seen)
        fabric.barrier()
    reporter.say(f"The model is in {target}.")
    return target


def _train_one(member: Member) -> Trained:
    """Train a network, or go on training it, or see that it is trained."""
    material = member.material
    recipe, reporter = material.recipe, material.reporter
    material.work.mkdir(exist_ok=True)
    if member.name:
        reporter.say(f"Training {member.name}.")
    network = _network(recipe, len(material.table.labels), reporter)
    refuse_small_pictures(network, recipe)
    if recipe.optimiser.probe and not (material.work / LAST).is_file():
        start_head(network, material)
    record = Loop(network, material).run()
    best = f"epoch {record.best_epoch + 1}, AUC {record.best_score:.4f}"
    reporter.say(f"Best: {best}.")
    return Trained(member, record)


def _read(recipe: str | Path | None) -> Recipe:
    return Recipe() if recipe is None else read_recipe(recipe)


def _device(name: str) -> str:
    return "cuda:0" if name == "cuda" else name


def _where(fabric: Fabric, place: str) -> str:
    """Say where and how the training runs."""
    threads = f" with {torch.get_num_threads()} threads" if place == "cpu" else ""
    world = fabric.world_size
    told = f"Training on {place}{threads}"
    told += f", {world} processes" if world > 1 else ""
    half = fabric.strategy.precision.precision == "bf16-mixed"
    return f"{told}, in {'bfloat16 where it suffices' if half else '32 bits'}."


@contextmanager
def _claimed(output: Path, recipe: Recipe, data: str, fabric: Fabric) -> Iterator[Path]:
    """Hold the work folder: the first process claims it for all of them."""
    if fabric.is_global_zero:
        with claim(output, recipe, data) as work:
            fabric.barrier()
            yield work
    else:
        fabric.barrier()
        yield work_folder(output)


def _folds(prepared: Prepared, recipe: Recipe) -> Folds | None:
    """Deal the cases into folds, where the recipe asks for them."""
    if recipe.folds == 1:
        return None
    rng = np.random.default_rng((recipe.seed, 4))
    return assign_folds(prepared.table, prepared.same, folds=recipe.folds, rng=rng)


def _network(recipe: Recipe, labels: int, reporter: Reporter) -> Classifier:
    """Build the network with its starting weights."""
    torch.manual_seed(recipe.seed)  # noqa: TID251
    network = build(
        recipe.network.name,
        dims=recipe.input.dims,
        in_channels=recipe.input.channels,
        labels=labels,
        shape=recipe.input.shape,
        **recipe.network.arguments,
    )
    if recipe.network.pretrained is not None:
        report = load_pretrained(network, recipe.network.pretrained)
        took = f"{report.loaded} tensors of {report.path.name}"
        reporter.say(f"Starting from {took} ({report.key_map} names).")
    return network
