"""medcnn evaluate: a model on labelled images, or any tool's predictions, measured."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import medcnn
from medcnn.cli.console import answer, end, printable, progress_bar, say, show, table_of
from medcnn.cli.options import (
    Device,
    Engine,
    Json,
    OutputFolder,
    PrecisionOption,
    Quiet,
    Workers,
)

__all__ = ["Data", "Split", "SplitOrAll", "evaluate", "number_words"]

_SPLITS = "train, val or test; all for every case."

Data = Annotated[
    Path | None,
    typer.Argument(
        help="Labelled images: a table with path and labels, a folder with one "
        "sub-folder for each class, or a MedMNIST .npz.",
        metavar="[DATA]",
        show_default=False,
    ),
]
Split = Annotated[
    str | None,
    typer.Option(help=_SPLITS, show_default="test, if there is one"),
]
SplitOrAll = Annotated[str | None, typer.Option(help=_SPLITS, show_default="all")]


def evaluate(
    data: Data = None,
    *,
    output: OutputFolder,
    model: Annotated[
        str | None,
        typer.Option(
            help="Name of a model that medcnn models lists, or a model's folder.",
            show_default="chest-xray",
        ),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="A table with case, patient_id, split, truth:<label> and "
            "probability:<label>, of any tool; in place of DATA and --model."
        ),
    ] = None,
    split: Split = None,
    choose_on: Annotated[
        str | None,
        typer.Option(
            help="Split that decides the thresholds.",
            show_default="the model's own; else val",
        ),
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            help="A threshold stated beforehand: 0.3, or label=0.3. May be repeated."
        ),
    ] = None,
    prevalence: Annotated[
        list[float] | None,
        typer.Option(
            min=0,
            max=1,
            help="Also give PPV and NPV where such a share is diseased. May be "
            "repeated.",
        ),
    ] = None,
    scores: Annotated[
        bool,
        typer.Option("--scores", help="The predictions are scores, no probabilities."),
    ] = False,
    bootstrap: Annotated[
        int, typer.Option(min=0, max=100_000, help="Resampled sets of patients.")
    ] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of resampling.")] = 0,
    trust: Annotated[
        Literal["auto", "full", "off"],
        typer.Option(
            help="Judge the heatmaps: auto, against bbox:<label> and mask:<label> of "
            "DATA; full, also without them: deletion, insertion, shuffled weights.",
        ),
    ] = "auto",
    gallery: Annotated[
        bool,
        typer.Option(
            "--gallery/--no-gallery",
            help="Pictures of the worst errors, with heatmaps.",
        ),
    ] = True,
    update_card: Annotated[
        bool,
        typer.Option(
            "--update-card",
            help="Write the figures into the model's own CARD.md.",
        ),
    ] = False,
    device: Device = "auto",
    engine: Engine = "auto",
    precision: PrecisionOption = "fp32",
    workers: Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure a model: areas, operating points, calibration, report.

    Intervals take the images of a patient together. Thresholds are fixed before the
    measured cases are seen, or the report says loudly that they were not.
    """
    _refuse_both(data, model, predictions, update_card=update_card)
    from medcnn import assessment
    from medcnn.assessment import Run

    with progress_bar("Reading", unit="images", quiet=quiet) as advance:
        run = Run(
            engine=engine,
            device=device,
            precision=precision,
            workers=workers,
            gallery=gallery,
            progress=advance,
            say=lambda words: say(words, quiet=quiet),
        )
        found = medcnn.evaluate(
            None if predictions else model or "chest-xray",
            data,
            predictions=predictions,
            output=output,
            split=split,
            choose_on=choose_on,
            thresholds=tuple(threshold or ()),
            prevalences=tuple(prevalence or ()),
            scores=scores,
            bootstrap=bootstrap,
            seed=seed,
            trust=trust,
            run=run,
        )
    for words in found.warnings:
        say(f"warning: {words}", quiet=quiet)
    if update_card:
        bundle = assessment.update_card(model or "chest-xray", found)
        say(f"card      {bundle.path / 'CARD.md'}", quiet=quiet)
    if as_json:
        answer(found.model_dump(mode="json") | {"output": str(output)})
    else:
        _show(found, output)
    problems = 0 if predictions else found.data.errors
    end(answers=found.data.cases - found.data.errors, problems=problems)


def number_words(value: float | None, interval: tuple[float, float] | None) -> str:
    """Return a number with its interval."""
    if value is None:
        return "not defined"
    if interval is None:
        return f"{value:.3f}"
    return f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def _refuse_both(
    data: Path | None,
    model: str | None,
    predictions: Path | None,
    *,
    update_card: bool,
) -> None:
    """Refuse data beside predictions, and neither; and the card of nobody.

    Raises:
        BadParameter: If it is so.
    """
    if predictions is not None and (data is not None or model is not None):
        msg = "give DATA and --model, or --predictions, not both"
        raise typer.BadParameter(msg)
    if predictions is not None and update_card:
        msg = "--update-card needs DATA and --model: a table does not say whose it is"
        raise typer.BadParameter(msg)
    if predictions is None and data is None:
        msg = "give DATA, or --predictions"
        raise typer.BadParameter(msg)


def _show(found: Any, output: Path) -> None:
    """Show the headline figures, and where to look."""
    from rich.text import Text

    data = found.data
    patients = "" if data.patients is None else f" of {data.patients:,} patients"
    where = f", split {data.split}" if data.split else ""
    show(f"{data.cases:,} cases{patients}{where}")
    titles = ("label", "with / without", "AUC (95 % interval)", "at", "sens", "spec")
    table = table_of(*titles)
    for label, one in found.labels.items():
        area = one.auroc
        cells = [printable(label), f"{one.n_positive:,} / {one.n_negative:,}"]
        cells.append(number_words(area and area.value, area and area.ci95))
        if one.operating_points:
            point = one.operating_points[0]
            cells.append(f"{point.name} {point.threshold:.3f}")
            cells += [f"{p.value:.3f}" for p in (point.sensitivity, point.specificity)]
        table.add_row(*(Text(cell) for cell in cells))
    mean = found.macro.auroc
    if len(found.labels) > 1 and mean is not None:
        table.add_row("mean", "", number_words(mean.value, mean.ci95), style="bold")
    show(table)
    if found.multiclass is not None:
        show(f"right class {found.multiclass.accuracy.value:.3f}")
    _show_trust(found.trust)
    typer.echo(f"report    {printable(str(output / 'report.html'))}")
    typer.echo(f"numbers   {printable(str(output / 'evaluation.json'))}")


def _show_trust(trust: Any) -> None:
    """Show how far the heatmaps can be trusted, a sentence each."""
    if trust is None:
        return
    from medcnn.evaluation import trust_words

    show("heatmaps")
    lines = [trust_words.located_sentence(*item) for item in trust.located.items()]
    if trust.faithfulness is not None:
        lines.append(trust_words.faithfulness_sentence(trust.faithfulness))
    lines += [trust_words.randomised_sentence(one) for one in trust.randomised]
    lines += [trust_words.agreement_sentence(one) for one in trust.agreement]
    for line in (*lines, *trust.notes):
        typer.echo(f"  {printable(line)}")
