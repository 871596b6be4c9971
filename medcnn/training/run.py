"""Train a model: from labelled images to a bundle, in one call."""

from collections import Counter
from pathlib import Path

import numpy as np
import torch

from medcnn.dataset import (
    SPLITS,
    CaseTable,
    assign_splits,
    content_hashes,
    data_sha256,
    read_cases,
    refuse_leakage,
)
from medcnn.engines.torch import choose_device
from medcnn.networks import Classifier, build, load_pretrained
from medcnn.planning.recipe import Recipe, read_recipe
from medcnn.training.cache import Pixels, build_cache
from medcnn.training.claim import claim
from medcnn.training.finish import finish
from medcnn.training.fitting import (
    refuse_output_within,
    refuse_small_pictures,
    refuse_unfit,
)
from medcnn.training.loop import LAST, Loop, Material
from medcnn.training.probe import start_head
from medcnn.training.reporter import Reporter

__all__ = ["train"]


def train(
    data: str | Path,
    *,
    output: str | Path,
    recipe: str | Path | Recipe | None = None,
    device: str = "auto",
    weights: str | Path | None = None,
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
    reporter = Reporter(visible=progress)
    place = _device(choose_device(torch, device))
    threads = f" with {torch.get_num_threads()} threads" if place == "cpu" else ""
    reporter.say(f"Training on {place}{threads}.")
    target = Path(output)
    refuse_output_within(Path(data), target)
    table, hashes = _read_data(Path(data), chosen)
    refuse_unfit(chosen, table)
    checksum = data_sha256(table, hashes)
    counts = Counter(table.column("split"))
    images = ", ".join(f"{counts[name]} {name}" for name in SPLITS if counts[name])
    reporter.say(f"Learning {', '.join(table.labels)}. Images: {images}.")
    with claim(target, chosen, checksum) as work:
        pixels = _cache(table, hashes, chosen, work, reporter)
        material = Material(chosen, table, pixels, work, place, reporter)
        network = _network(chosen, len(table.labels), reporter)
        refuse_small_pictures(network, chosen)
        if chosen.optimiser.probe and not (work / LAST).is_file():
            start_head(network, material)
        record = Loop(network, material).run()
        best = f"epoch {record.best_epoch + 1}, AUC {record.best_score:.4f}"
        reporter.say(f"Best: {best}. Measuring it.")
        finish(network, material, record, output=target, data=checksum)
    reporter.say(f"The model is in {target}.")
    return target


def _read(recipe: str | Path | None) -> Recipe:
    return Recipe() if recipe is None else read_recipe(recipe)


def _device(name: str) -> str:
    return "cuda:0" if name == "cuda" else name


def _read_data(data: Path, recipe: Recipe) -> tuple[CaseTable, tuple[str, ...]]:
    """Read the cases and give each its split."""
    table = read_cases(data, labels=recipe.labels, attributes=recipe.attributes)
    hashes = content_hashes(table)
    rng = np.random.default_rng((recipe.seed, 0))
    table = assign_splits(table, hashes, rng=rng, val_share=recipe.val_share)
    refuse_leakage(table, hashes)
    return table, hashes


def _cache(
    table: CaseTable,
    hashes: tuple[str, ...],
    recipe: Recipe,
    work: Path,
    reporter: Reporter,
) -> Pixels:
    with reporter.bar("reading images", len(table.cases)) as tick:
        folder = work / "cache"
        return build_cache(
            table, hashes, recipe.input, folder, tick=lambda more: tick(more, "")
        )


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
