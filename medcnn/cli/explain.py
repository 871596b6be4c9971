"""medcnn explain: what moved the score, drawn on the image."""

from pathlib import Path
from typing import Annotated

import typer

import medcnn
from medcnn.cli.console import answer, printable, say
from medcnn.cli.open_model import open_model
from medcnn.cli.options import (
    AllowGaps,
    AllTiles,
    Device,
    Engine,
    Json,
    Model,
    OutputFolder,
    Quiet,
    ResampleTilt,
    SlideRule,
    TileOverlap,
    TileUm,
)
from medcnn.cli.slides import SlideChoices, explain_slide, slide_row, slides_among

__all__ = ["explain"]


def explain(
    path: Annotated[
        Path,
        typer.Argument(
            help="An image or a series' folder.",
            metavar="PATH",
            readable=False,
            show_default=False,
        ),
    ],
    *,
    output: OutputFolder,
    label: Annotated[
        str | None,
        typer.Option(help="Which label; default: the main one; all: every label."),
    ] = None,
    part: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Which of several images in a file or series, as medcnn inspect "
            "lists them.",
        ),
    ] = None,
    resample_tilt: ResampleTilt = False,
    allow_gaps: AllowGaps = False,
    tile_um: TileUm = None,
    tile_overlap: TileOverlap = 0,
    all_tiles: AllTiles = False,
    slide_rule: SlideRule = "max",
    model: Model = "chest-xray",
    device: Device = "auto",
    engine: Engine = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write heatmaps: a PNG overlay, and NIfTI for volumes.

    They have the image's own geometry and resolution; those of a whole slide lie on a
    small picture of it, beside a table of its tiles. A heatmap shows what moved the
    score, not a lesion's outline.
    """
    from medcnn.cli.heatmap_files import write_heatmap
    from medcnn.outputs import make_folder

    if slides_among([path])[0]:
        opened = open_model(model, engine=engine, device=device, quiet=quiet)
        choices = SlideChoices(tile_um, tile_overlap, all_tiles, slide_rule, quiet)
        _explain_slide(opened, path, _labels(opened, label), output, choices, as_json)
        return
    with medcnn.SafeReader() as reader:  # its start and the model's go on side by side
        opened = open_model(model, engine=engine, device=device, quiet=quiet)
        image = reader.load(
            path, part=part, resample_tilt=resample_tilt, allow_gaps=allow_gaps
        )
    prediction, heatmaps = _explain(opened, image, label)
    make_folder(output)
    files = [
        file
        for heatmap in heatmaps
        for file in write_heatmap(output, image, heatmap, prediction)
    ]
    if prediction.out_of_scope:
        say(f"Out of scope, do not use it: {prediction.out_of_scope}")
    if as_json:
        answer(
            {
                "path": str(path),
                "files": [str(file) for file in files],
                "labels": [heatmap.label for heatmap in heatmaps],
                "method": heatmaps[0].method,
                "peaks": {h.label: list(h.peak) for h in heatmaps},
                "prediction": prediction.to_json(),
            }
        )
        return
    for file in files:
        typer.echo(printable(str(file)))


def _explain(
    model: "medcnn.Model", image: "medcnn.Image", label: str | None
) -> tuple["medcnn.Prediction", list["medcnn.Heatmap"]]:
    """Run the network once and make the maps of all wanted labels from it."""
    from medcnn.explanation import heatmap_of

    answer, prepared = model.answer(image)
    labels = _labels(model, label)
    maps = [heatmap_of(model, answer.features, prepared, label=n) for n in labels]
    heatmaps = [
        medcnn.Heatmap(array, image.geometry, name, "cam", model.spec.name)
        for name, array in zip(labels, maps, strict=True)
    ]
    return answer.prediction, heatmaps


def _labels(model: "medcnn.Model", label: str | None) -> tuple[str, ...]:
    """Return the labels whose maps are wanted."""
    return model.labels if label == "all" else (label or model.labels[0],)


def _explain_slide(
    model: "medcnn.Model",
    path: Path,
    labels: tuple[str, ...],
    output: Path,
    choices: SlideChoices,
    as_json: bool,
) -> None:
    """Write a slide's maps and its table of tiles."""
    result, files = explain_slide(model, path, labels, output, choices)
    if result.prediction.out_of_scope:
        say(f"Out of scope, do not use it: {result.prediction.out_of_scope}")
    if as_json:
        answer(slide_row(model, result) | {"files": [str(file) for file in files]})
        return
    for file in files:
        typer.echo(printable(str(file)))
