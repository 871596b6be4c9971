"""medcnn import: somebody else's classifier as a model."""

from pathlib import Path
from typing import Annotated

import typer

from medcnn.cli.console import answer, printable, say
from medcnn.cli.options import Json, Quiet

__all__ = ["import_model"]


def import_model(
    source: Annotated[
        Path,
        typer.Argument(
            help="A .onnx file, a file of weights, or a MONAI bundle's folder.",
            metavar="SOURCE",
            show_default=False,
        ),
    ],
    *,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The new model.", show_default=False),
    ],
    description: Annotated[
        Path | None,
        typer.Option(
            help="TOML or JSON: labels, preprocessing, activation. See docs/models.md. "
            "A MONAI bundle of medcnn export needs none.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a model of somebody else's classifier.

    No code of theirs runs. Both are run on the same numbers, and the model is refused
    if it answers otherwise than its source.
    """
    from medcnn.importing import import_model as make

    made = make(source, description=description, output=output)
    if as_json:
        answer(
            {
                "output": str(output),
                "labels": list(made.bundle.spec.labels),
                "heatmap": made.keeps_places,
                "max_difference": made.max_difference,
                "warnings": list(made.warnings),
            }
        )
        return
    say(f"Answers as its source within {made.max_difference:.1g}.", quiet=quiet)
    for words in made.warnings:
        say(f"note: {words}", quiet=quiet)
    typer.echo(printable(str(output)))
