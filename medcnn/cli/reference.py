"""medcnn reference: what a model's later screening runs are compared with."""

from pathlib import Path
from typing import Annotated

import typer

from medcnn.cli.console import answer, printable, progress_bar, say, show
from medcnn.cli.evaluate import SplitOrAll
from medcnn.cli.options import Device, Engine, Json, Model, NewModel, Quiet, Workers

__all__ = ["reference"]


def reference(
    data: Annotated[
        Path,
        typer.Argument(
            help="Held-out images with the model's labels: a table, a folder of "
            "classes, or a data set.",
            metavar="DATA",
            show_default=False,
        ),
    ],
    *,
    output: NewModel,
    model: Model = "chest-xray",
    split: SplitOrAll = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="column=value of the table: only such cases; repeatable.",
            show_default=False,
        ),
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            "--leave-out",
            help="What is not to be compared, such as rows where these images are "
            "reduced copies; repeatable.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    device: Device = "auto",
    engine: Engine = "auto",
    workers: Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Store what later runs of a model are compared with for drift.

    Scores, the gate's distance and how images were acquired, of at least 50 patients
    that training has not seen. Weights and thresholds stay.
    """
    from medcnn.assessment import Run, refer

    with progress_bar("Reading", unit="images", quiet=quiet) as advance:
        run = Run(engine=engine, device=device, workers=workers, progress=advance)
        found = refer(
            model,
            data,
            output=output,
            split=split,
            where=tuple(where or ()),
            leave_out=tuple(leave_out or ()),
            run=run,
        )
    for words in found.warnings:
        say(f"note: {words}", quiet=quiet)
    if as_json:
        answer(found.sample.model_dump(mode="json"))
        return
    sample = found.sample
    show(f"Stored {sample.units:,} of {sample.images:,} images: {sample.source}.")
    typer.echo(printable(str(output)))
