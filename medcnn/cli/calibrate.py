"""medcnn calibrate: a model's probabilities and thresholds for a site."""

from pathlib import Path
from typing import Annotated

import typer

import medcnn
from medcnn.cli.console import answer, printable, progress_bar, say, show
from medcnn.cli.evaluate import SplitOrAll
from medcnn.cli.options import Device, Engine, Json, Model, NewModel, Quiet, Workers

__all__ = ["calibrate"]


def calibrate(
    data: Annotated[
        Path,
        typer.Argument(
            help="Labelled images of the site: a table or a folder of classes.",
            metavar="DATA",
            show_default=False,
        ),
    ],
    *,
    output: NewModel,
    model: Model = "chest-xray",
    split: SplitOrAll = None,
    flag: Annotated[
        str | None,
        typer.Option(
            help="Rule of the flag threshold: youden, 'sensitivity 0.95' or "
            "'specificity 0.9'.",
            show_default="the model's",
        ),
    ] = None,
    review: Annotated[
        str | None,
        typer.Option(help="The same for review.", show_default="the model's"),
    ] = None,
    marks: Annotated[
        Path | None,
        typer.Option(
            help="Marks exported from a screening report; DATA is then the run's "
            "output folder, or the folder that was screened.",
            show_default=False,
        ),
    ] = None,
    device: Device = "auto",
    engine: Engine = "auto",
    workers: Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Refit calibration and thresholds to a site; weights stay.

    At least 20 patients with and 20 without the main label are needed.
    """
    from medcnn.assessment import Run

    with progress_bar("Reading", unit="images", quiet=quiet) as advance:
        run = Run(engine=engine, device=device, workers=workers, progress=advance)
        found = medcnn.calibrate(
            model,
            data,
            output=output,
            split=split,
            flag=flag,
            review=review,
            marks=marks,
            run=run,
        )
    for words in found.warnings:
        say(f"note: {words}", quiet=quiet)
    for label, why in found.kept.items():
        say(f"note: {label} keeps what it had: {why}.", quiet=quiet)
    if as_json:
        answer(found.bundle.spec.model_dump(mode="json"))
        return
    site = found.site
    patients = "" if site.patients is None else f" of {site.patients:,} patients"
    show(f"Fitted {', '.join(site.labels)} to {site.cases:,} cases{patients}.")
    typer.echo(printable(str(output)))
