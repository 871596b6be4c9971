"""medcnn train: from labelled images to a model with its card."""

from pathlib import Path
from typing import Annotated

import typer

import medcnn
from medcnn.cli.console import answer, printable
from medcnn.cli.options import Device, Json, Quiet

__all__ = ["train"]


def train(
    data: Annotated[
        Path,
        typer.Argument(
            help="A table with path and labels, or a folder with one sub-folder for "
            "each class.",
            metavar="DATA",
            show_default=False,
        ),
    ],
    *,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The model's folder.", show_default=False),
    ],
    recipe: Annotated[
        Path | None,
        typer.Option(help="A TOML file that says how.", show_default="built in"),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Pretrained weights, in place of the recipe's."),
    ] = None,
    device: Device = "auto",
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Start of all random numbers; default: the recipe's."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a model on labelled images, and write it with its card.

    Stopped at any moment, the same command goes on where it stood.
    """
    train_now = medcnn.train
    from medcnn.training import Recipe, read_recipe

    chosen = Recipe() if recipe is None else read_recipe(recipe)
    if seed is not None:
        chosen = chosen.model_copy(update={"seed": seed})
    bundle = train_now(
        data,
        output=output,
        recipe=chosen,
        device=device,
        weights=weights,
        progress=not quiet,
    )
    if as_json:
        answer(medcnn.open_bundle(bundle).spec.model_dump(mode="json"))
    else:
        typer.echo(printable(str(bundle)))
