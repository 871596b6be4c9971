"""medcnn export: a model for other programs, or with an 8-bit network."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from medcnn.cli.console import answer, printable, progress_bar, say, show
from medcnn.cli.options import Json, Model, Quiet, Workers

__all__ = ["export"]

_INT8 = "openvino-int8"


def export(
    *,
    form: Annotated[
        Literal["onnx", "openvino", "torch-export", "monai-bundle", "openvino-int8"],
        typer.Option(
            "--format",
            help="onnx, openvino, torch-export: the network with its weights. "
            "monai-bundle: for python -m monai.bundle run. openvino-int8: the model "
            "with an 8-bit network beside the full one.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The new folder.", show_default=False),
    ],
    model: Model = "chest-xray",
    data: Annotated[
        Path | None,
        typer.Option(
            "--calibrate",
            help="openvino-int8: labelled images, to measure ranges and to verify.",
            metavar="DATA",
            show_default=False,
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="openvino-int8: split it is verified on, or all.",
            show_default="val, else test, else all",
        ),
    ] = None,
    workers: Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a model for other programs, or with an 8-bit network.

    Each is run and compared with the model; one that answers otherwise is refused. An
    8-bit network is refused if it loses more than 0.005 of area under the ROC curve.
    """
    _refuse_mismatch(data, form)
    if data is None:
        _export_whole(model, form, output, as_json=as_json, quiet=quiet)
        return
    from medcnn.assessment import Run
    from medcnn.exporting import quantise

    with progress_bar("Verifying", unit="images", quiet=quiet) as advance:
        run = Run(workers=workers, progress=advance)
        made = quantise(model, data, output=output, split=split, run=run)
    for words in made.warnings:
        say(f"note: {words}", quiet=quiet)
    if as_json:
        answer(made.facts.model_dump(mode="json") | {"output": str(output)})
        return
    _show(made.facts)
    typer.echo(printable(str(output)))


def _refuse_mismatch(data: Path | None, form: str) -> None:
    """Refuse an 8-bit network without data, and data for another form.

    Raises:
        BadParameter: If it is so.
    """
    if (data is None) == (form == _INT8):
        msg = f"--format {_INT8} needs --calibrate DATA, others do not take it"
        raise typer.BadParameter(msg)


def _export_whole(
    model: str, form: Any, output: Path, *, as_json: bool, quiet: bool
) -> None:
    """Write a model in another form, and say how far its answers are."""
    from medcnn.exporting import AGREEMENT
    from medcnn.exporting import export as write

    folder = write(model, form=form, output=output)
    found = json.loads((folder / AGREEMENT).read_text(encoding="utf-8"))
    files = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    )
    if as_json:
        answer({"output": str(folder), "files": files, "agreement": found})
        return
    say(
        f"Verified on {found['inputs']} inputs: probabilities differ from those of "
        f"{found['compared_with']} by at most "
        f"{found['max_difference_probability']:.1g}.",
        quiet=quiet,
    )
    typer.echo(printable(str(folder)))


def _show(facts: Any) -> None:
    """Show what the 8 bits cost."""
    from rich.table import Table

    patients = "" if facts.patients is None else f" of {facts.patients:,} patients"
    show(f"Verified on {facts.cases:,} cases{patients} of {printable(facts.data)}.")
    table = Table(box=None, pad_edge=False)
    for name in ("label", "AUC", "at 8 bits", "change (95 %)", "flipped"):
        table.add_column(name, justify="left" if name == "label" else "right")
    for one in facts.changes:
        low, high = one.ci95
        table.add_row(
            one.label,
            f"{one.auroc:.4f}",
            f"{one.auroc_int8:.4f}",
            f"{one.change:+.4f} ({low:+.4f} to {high:+.4f})",
            f"{one.flipped:.1%}",
        )
    show(table)
    if facts.heatmap_correlation is not None:
        show(f"Heatmaps correlate by {facts.heatmap_correlation:.3f} (median).")
