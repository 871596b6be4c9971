"""Refuse before the training what would only be noticed after it."""

from pathlib import Path

import torch

from medcnn.dataset import CaseTable
from medcnn.errors import OutputError, RecipeError
from medcnn.networks import Classifier
from medcnn.planning import Fingerprint
from medcnn.planning.recipe import Recipe
from medcnn.training.batches import side_shape

__all__ = [
    "map_sizes",
    "refuse_other_dims",
    "refuse_output_within",
    "refuse_small_pictures",
    "refuse_unfit",
]


def refuse_unfit(recipe: Recipe, table: CaseTable) -> None:
    """Refuse a recipe that names what the data or the disk do not hold.

    What is used late is looked at here, so that it is refused before images are read.

    Raises:
        DataError: If a column is named that is not there.
        RecipeError: If a label, or the image of the self-test, is not there.
    """
    report = recipe.report
    extra = report.extra_truth
    for column in (*report.subgroups, *(part.column for part in extra.values())):
        table.column(column)
    if recipe.sampling.column is not None:
        table.column(recipe.sampling.column)
    for where in (recipe.operating_point.where, recipe.select.where):
        table.matching(where or {})
    chosen = () if recipe.select.label is None else (recipe.select.label,)
    named = {"report.labels": report.labels, "select.label": chosen} | {
        f"report.extra_truth.{name}.label": (part.label,)
        for name, part in extra.items()
        if part.label is not None
    }
    for key, labels in named.items():
        for label in labels:
            if label not in table.labels:
                there = ", ".join(table.labels)
                msg = f"{key} names {label!r}, the labels are {there}"
                raise RecipeError(msg)
    if recipe.selftest is not None and not recipe.selftest.is_file():
        msg = f"selftest names {recipe.selftest}, and there is no such file"
        raise RecipeError(msg, hint="The path is taken relative to the recipe.")


def refuse_other_dims(recipe: Recipe, found: Fingerprint) -> None:
    """Refuse an input of pictures for volumes, and of volumes for pictures.

    Raises:
        RecipeError: If they do not go together.
    """
    if recipe.input.dims == found.dims:
        return
    kinds = {2: "pictures", 3: "volumes"}
    shape = " x ".join(map(str, recipe.input.shape))
    msg = f"input.shape {shape} is for {kinds[recipe.input.dims]}, "
    msg += f"and the images are {kinds[found.dims]}"
    meant = {2: "(rows, columns)", 3: "(slices, rows, columns)"}[found.dims]
    raise RecipeError(msg, hint=f"Of {kinds[found.dims]} it is {meant}.")


def refuse_output_within(data: Path, output: Path) -> None:
    """Refuse an output in the folder of the images: it would be read as a class.

    Raises:
        OutputError: If it is there.
    """
    if data.is_dir() and output.resolve().is_relative_to(data.resolve()):
        msg = f"{output} lies in the folder of the images, {data}"
        raise OutputError(msg, hint="Choose an output beside it.")


def refuse_small_pictures(network: Classifier, recipe: Recipe) -> None:
    """Refuse pictures so small that nothing of them reaches the last feature map.

    Raises:
        RecipeError: If the network cannot take one of the recipe's sizes.
    """
    for side in _sides(recipe):
        _features(network, recipe, side)


def map_sizes(network: Classifier, recipe: Recipe) -> dict[int, tuple[int, ...]]:
    """Return the size of the last feature map by the picture's longest side.

    Raises:
        RecipeError: If the network keeps no places, or cannot take a size.
    """
    found = {side: _features(network, recipe, side) for side in _sides(recipe)}
    if not all(found.values()):
        msg = f"loss.places teaches a feature map, and {recipe.network.name} has none"
        raise RecipeError(msg, hint="Take a convolutional network.")
    return found


def _sides(recipe: Recipe) -> set[int]:
    return {max(recipe.input.shape[-2:]), *(side for _, side in recipe.progressive)}


def _features(network: Classifier, recipe: Recipe, side: int) -> tuple[int, ...]:
    """Return the size of the last feature map, () if it has no places.

    Raises:
        RecipeError: If the network cannot take pictures of this side.
    """
    was = network.training
    network.eval()
    shape = side_shape(recipe.input.shape, side)
    place = network.head.weight.device
    blank = torch.zeros(1, recipe.input.channels, *shape, device=place)
    try:
        with torch.inference_mode():
            _, features = network.with_features(blank)
    except RuntimeError as error:
        msg = f"pictures of {shape} are too small for {recipe.network.name}"
        raise RecipeError(msg, hint="Enlarge input.shape or the side.") from error
    network.train(was)
    return tuple(features.shape[2:])
