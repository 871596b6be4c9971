"""medcnn predict: probabilities, or anomaly scores, for a few images."""

from typing import Any

import medcnn
from medcnn.cli.console import (
    answer,
    complain,
    end,
    error_facts,
    printable,
    say,
    show,
    table_of,
)
from medcnn.cli.images import Problems, images_in
from medcnn.cli.open_model import open_model
from medcnn.cli.options import (
    AllowGaps,
    AllTiles,
    Device,
    Engine,
    Json,
    Model,
    Paths,
    PrecisionOption,
    Quiet,
    ResampleTilt,
    SlideRule,
    TileOverlap,
    TileUm,
)
from medcnn.cli.slides import SlideChoices, slide_rows, slides_among
from medcnn.errors import MedcnnError

__all__ = ["predict"]

_BAR_CELLS = 12
_DECISIONS = {
    "flag": "flag: at or above the flag threshold",
    "review": "review: between the two thresholds",
    "no-flag": "no flag: below the review threshold",
}


def predict(
    paths: Paths,
    *,
    model: Model = "chest-xray",
    device: Device = "auto",
    engine: Engine = "auto",
    precision: PrecisionOption = "fp32",
    as_json: Json = False,
    resample_tilt: ResampleTilt = False,
    allow_gaps: AllowGaps = False,
    tile_um: TileUm = None,
    tile_overlap: TileOverlap = 0,
    all_tiles: AllTiles = False,
    slide_rule: SlideRule = "max",
    quiet: Quiet = False,
) -> None:
    """Give the probability of every label for a few images.

    A detector of the unusual gives an anomaly score: the share of normal images that
    look less unusual, no probability of disease.

    A folder stands for all images in it; a whole slide is screened tile by tile. For
    many images, with heatmaps and a report: medcnn screen.
    """
    from medcnn.io.options import ReadOptions

    options = ReadOptions(resample_tilt=resample_tilt, allow_gaps=allow_gaps)
    errors: Problems = []
    images: list[dict[str, Any]] = []
    slides, others = slides_among(paths)
    with medcnn.SafeReader() as reader:  # its start and the model's go on side by side
        opened = open_model(
            model, engine=engine, device=device, quiet=quiet, precision=precision
        )
        for image in images_in(reader, others, errors, options):
            try:
                prediction = opened.predict(image)
            except MedcnnError as error:
                complain(error, image.source)
                errors.append(error_facts(str(image.source), error))
                continue
            images.append(_row(opened, image, prediction))
            if not as_json:
                _show(opened, images[-1])
    choices = SlideChoices(tile_um, tile_overlap, all_tiles, slide_rule, quiet)
    for row in slide_rows(opened, slides, choices, errors):
        images.append(row)
        if not as_json:
            _show(opened, row)
    if as_json:
        answer(
            {
                "model": opened.spec.name,
                "model_sha256": opened.bundle.sha256,
                "engine": opened.engine.name,
                "device": opened.engine.device,
                "images": images,
                "errors": errors,
            }
        )
    else:
        say("For research use only: no diagnosis.", quiet=quiet or not images)
    end(answers=len(images), problems=len(errors))


def _row(
    model: "medcnn.Model", image: "medcnn.Image", prediction: "medcnn.Prediction"
) -> dict[str, Any]:
    """Return one image's answer as JSON values."""
    is_in_scope = not prediction.out_of_scope
    return {
        "path": str(image.source),
        "status": "ok" if is_in_scope else "out_of_scope",
        "band": str(model.band(prediction)) if is_in_scope else None,
        **prediction.to_json(),
        "warnings": list(image.warnings),
    }


def _show(model: "medcnn.Model", row: dict[str, Any]) -> None:
    """Show one image's answer as a small table."""
    from rich.text import Text

    review = {p.label: p.review for p in model.spec.operating_points}
    head = Text(printable(row["path"]), style="bold")
    table = table_of("label", row.get("kind", ""), "", "review from", "flag from")
    for label, probability in row.get("probabilities", {}).items():
        flag = row["thresholds"][label]
        hot = probability >= flag and row["band"] is not None
        table.add_row(
            Text(label, style="bold" if label == row["label"] else ""),
            f"{probability:.3f}",
            Text(_bar(probability), style="red" if hot else "cyan"),
            f"{review[label]:.3f}",
            f"{flag:.3f}",
        )
    show(head)
    if table.row_count:
        show(table)
    show(_decision(row))
    if "tiles" in row:
        show(Text(_tiles_in_words(row), style="dim"))
    for warning in row["warnings"]:
        show(Text(f"note: {printable(warning)}", style="yellow"))
    show("")


def _decision(row: dict[str, Any]) -> Any:
    """Return the decision in words."""
    from rich.text import Text

    if row["band"] is None:
        words = f"out of scope, do not use these numbers: {row['out_of_scope']}"
        return Text(printable(words), style="yellow")
    style = {"flag": "bold red", "review": "bold yellow"}.get(row["band"], "green")
    return Text(f"{_DECISIONS[row['band']]} of {row['label']}", style=style)


def _tiles_in_words(row: dict[str, Any]) -> str:
    """Say how the tiles of a slide became its numbers."""
    tiles = row["tiles"]
    words = f"{tiles['total']} tiles: {tiles['screened']} screened, "
    words += f"{tiles['without_tissue']} without tissue, "
    words += f"{tiles['out_of_scope']} out of scope"
    return f"{row['rule']}; {words}" if row["rule"] else words


def _bar(probability: float) -> str:
    """Draw a probability of 0 to 1 as a bar of text."""
    filled = round(probability * _BAR_CELLS)
    return "━" * filled + "╌" * (_BAR_CELLS - filled)
