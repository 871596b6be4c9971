"""medcnn compare: two models on the same cases."""

from pathlib import Path
from typing import Annotated, Any

import typer

import medcnn
from medcnn.cli.console import answer, printable, progress_bar, say, show, table_of
from medcnn.cli.evaluate import Data, Split, number_words
from medcnn.cli.options import Device, Engine, Json, Quiet, Workers

__all__ = ["compare"]


def compare(
    data: Data = None,
    *,
    model: Annotated[
        list[str] | None,
        typer.Option(help="A model; give it twice, for A and B."),
    ] = None,
    predictions: Annotated[
        list[Path] | None,
        typer.Option(help="Or a table of predictions, twice; see evaluate."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for comparison.json."),
    ] = None,
    split: Split = None,
    scores: Annotated[
        bool,
        typer.Option("--scores", help="The predictions are scores, no probabilities."),
    ] = False,
    device: Device = "auto",
    engine: Engine = "auto",
    workers: Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare two models on the same cases by DeLong's paired test."""
    pair = _pair(data, model, predictions)
    from medcnn.assessment import Run

    with progress_bar("Reading", unit="images", quiet=quiet) as advance:
        run = Run(engine=engine, device=device, workers=workers, progress=advance)
        found = medcnn.compare(
            *pair, data, split=split, scores=scores, output=output, run=run
        )
    for words in found.warnings:
        say(f"warning: {words}", quiet=quiet)
    if as_json:
        answer(found.model_dump(mode="json"))
    else:
        _show(found)


def _pair(
    data: Path | None, model: list[str] | None, predictions: list[Path] | None
) -> tuple[str | Path, str | Path]:
    """Return what is compared.

    Raises:
        BadParameter: If it is not two of one kind.
    """
    models, tables = model or [], predictions or []
    if data is not None and len(models) == 2 and not tables:
        return models[0], models[1]
    if data is None and len(tables) == 2 and not models:
        return tables[0], tables[1]
    msg = "give DATA and --model twice, or --predictions twice"
    raise typer.BadParameter(msg)


def _show(found: Any) -> None:
    """Show each label's areas and their difference."""
    from rich.text import Text

    patients = "" if found.patients is None else f" of {found.patients:,} patients"
    show(f"A = {found.a}, B = {found.b}; {found.cases:,} cases{patients}")
    difference = "A less B (95 % interval)"
    table = table_of("label", "AUC A", "AUC B", difference, "p", "p (Holm)")
    for label, one in found.labels.items():
        if one.difference is None:
            table.add_row(Text(printable(label)), "", "", Text(printable(one.note)))
            continue
        table.add_row(
            Text(printable(label)),
            f"{one.auroc_a:.3f}",
            f"{one.auroc_b:.3f}",
            number_words(one.difference.value, one.difference.ci95),
            _p(one.p_value),
            _p(one.p_holm),
        )
    show(table)
    show(found.method)


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"
