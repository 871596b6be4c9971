"""medcnn export: a model for other programs, or with an 8-bit network."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from medcnn.cli.console import answer, printable, progress_bar, say, show
from medcnn.cli.options import Json, Model, Quiet, Workers

__all__ = ["export"]


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
            help="Labelled images: what changes in area under the ROC curve is told. "
            "openvino-int8 needs them, and measures ranges on their split train.",
            show_default=False,
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Split of the data it is verified on, or all.",
            show_default="val, else test, else all",
        ),
    ] = None,
    workers: Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a model for other programs, or with an 8-bit network.

    Each is run and compared with the model; one that answers otherwise, or loses more
    than 0.005 of area under the ROC curve on the data, is refused.
    """
    if form == "openvino-int8":
        _refuse_missing(data)
    from medcnn.assessment import Run
    from medcnn.exporting import export as write
    from medcnn.exporting import quantise

    with progress_bar("Verifying", unit="images", quiet=quiet or not data) as advance:
        run = Run(workers=workers, progress=advance)
        if form != "openvino-int8":
            write(model, form=form, output=output, data=data, split=split, run=run)
        else:
            made = quantise(model, data or "", output=output, split=split, run=run)
    if form != "openvino-int8":
        _tell_form(output, as_json=as_json, quiet=quiet)
    else:
        _tell_rounded(made, as_json=as_json, quiet=quiet)


def _refuse_missing(data: Path | None) -> None:
    """Refuse to round without images to measure ranges on.

    Raises:
        BadParameter: If there are none.
    """
    if data is None:
        msg = "--format openvino-int8 needs --data"
        raise typer.BadParameter(msg)


def _tell_rounded(made: Any, *, as_json: bool, quiet: bool) -> None:
    """Say what the 8 bits cost."""
    folder = str(made.bundle.path)
    for words in made.warnings:
        say(f"note: {words}", quiet=quiet)
    if as_json:
        answer(made.facts.model_dump(mode="json") | {"output": folder})
        return
    _show_rounded(made.facts)
    typer.echo(printable(folder))


def _tell_form(folder: Path, *, as_json: bool, quiet: bool) -> None:
    """Say how far the answers of another form are from the model's."""
    from medcnn.exporting import AGREEMENT

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
    if found["areas"] is not None:
        _show_areas(found["areas"], "exported", found["areas"]["changes"])
    elif not quiet:
        _say_without_data(found["selftest"])
    typer.echo(printable(str(folder)))


def _say_without_data(selftest: dict[str, Any] | None) -> None:
    """Say what one image tells, and that it tells nothing of an area."""
    if selftest is not None:
        other = selftest["decided_otherwise"]
        told = f"decided otherwise for {', '.join(other)}" if other else "decided alike"
        say(f"The self-test's image is {told}.", quiet=False)
    say(
        "The change in AUC is not measured: random numbers and a single image have "
        "none. Name labelled images: --data.",
        quiet=False,
    )


def _show_rounded(facts: Any) -> None:
    """Show what the 8 bits cost."""
    rows = [
        one.model_dump() | {"change": one.change, "auroc_exported": one.auroc_int8}
        for one in facts.changes
    ]
    _show_areas(facts.model_dump(), "at 8 bits", rows)
    if facts.heatmap_correlation is not None:
        show(f"Heatmaps correlate by {facts.heatmap_correlation:.3f} (median).")


def _show_areas(facts: dict[str, Any], form: str, rows: list[dict[str, Any]]) -> None:
    """Show areas under the ROC curve before and after, and how sure that is."""
    from rich.table import Table

    patients = (
        "" if facts["patients"] is None else f" of {facts['patients']:,} patients"
    )
    split = f", split {facts['split']}" if facts.get("split", "all") != "all" else ""
    data = printable(facts["data"])
    show(f"Areas of {facts['cases']:,} cases{patients} of {data}{split}.")
    table = Table(box=None, pad_edge=False)
    for name in ("label", "with / without", "AUC", form, "change (95 %)", "flipped"):
        table.add_column(name, justify="left" if name == "label" else "right")
    for one in rows:
        low, high = one["ci95"]
        table.add_row(
            one["label"],
            f"{one['n_positive']} / {one['n_negative']}",
            f"{one['auroc']:.4f}",
            f"{one['auroc_exported']:.4f}",
            f"{one['change']:+.4f} ({low:+.4f} to {high:+.4f})",
            f"{one['flipped']:.1%}",
        )
    show(table)
