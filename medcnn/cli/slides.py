"""Slides on the command line: screened tile by tile, one answer and two maps each."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import medcnn
from medcnn.cli.console import complain, error_facts, progress_bar
from medcnn.cli.images import Problems
from medcnn.errors import MedcnnError, ReadError

__all__ = [
    "SlideChoices",
    "explain_slide",
    "slide_row",
    "slide_rows",
    "slides_among",
]

_THUMBNAIL = 1024


@dataclass(frozen=True)
class SlideChoices:
    """How slides are screened.

    Attributes:
        um: Micrometres of a tile's pixel; None keeps the slide's finest.
        overlap: Pixels that neighbouring tiles share.
        all_tiles: Screen tiles that show only glass, too.
        rule: How tiles' probabilities become the slide's.
        quiet: Show no progress.
    """

    um: float | None
    overlap: int
    all_tiles: bool
    rule: Literal["max", "top-mean"]
    quiet: bool


def slides_among(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """Tell whole slides from other images.

    Returns:
        The slides, and the others; what cannot be looked at is among the others.
    """
    from medcnn.io.slide import slide_kind

    slides: list[Path] = []
    others: list[Path] = []
    for path in paths:
        try:
            is_slide = bool(slide_kind(path))
        except ReadError:
            is_slide = False
        (slides if is_slide else others).append(path)
    return slides, others


def slide_rows(
    model: "medcnn.Model",
    paths: list[Path],
    choices: SlideChoices,
    problems: Problems,
) -> list[dict[str, Any]]:
    """Screen slides; what cannot be read is added to `problems`, and told."""
    rows = []
    for path in paths:
        try:
            result, _ = _screen(model, path, choices, labels=(), with_picture=False)
        except MedcnnError as error:
            complain(error)
            problems.append(error_facts(str(path), error))
            continue
        rows.append(slide_row(model, result))
    return rows


def slide_row(model: "medcnn.Model", result: "medcnn.SlideResult") -> dict[str, Any]:
    """Return one slide's answer as JSON values."""
    is_in_scope = not result.prediction.out_of_scope
    return {
        "path": str(result.path),
        "status": "ok" if is_in_scope else "out_of_scope",
        "band": str(model.band(result.prediction)) if is_in_scope else None,
        **result.to_json(),
    }


def explain_slide(
    model: "medcnn.Model",
    path: Path,
    labels: tuple[str, ...],
    output: Path,
    choices: SlideChoices,
) -> tuple["medcnn.SlideResult", list[Path]]:
    """Screen a slide and write its maps on a small picture, and its table of tiles.

    Args:
        model: An open model.
        path: The slide.
        labels: Whose maps are written.
        output: A folder, which is made.
        choices: How it is screened.

    Returns:
        The result, and the files that were written.

    Raises:
        MedcnnError: If the slide cannot be read or screened, or nothing be written.
    """
    from medcnn.cli.heatmap_files import file_stem, write_heatmap
    from medcnn.outputs import make_folder, write_whole
    from medcnn.slides import lay_on

    result, shown = _screen(model, path, choices, labels=labels, with_picture=True)
    make_folder(output)
    files = []
    for number, heatmap in enumerate(result.heatmaps):
        if heatmap.label not in labels or shown is None:
            continue
        laid = lay_on(result, number, shown[0], shown[1])
        suffix = f".{heatmap.method.replace(' ', '-')}"
        files += write_heatmap(output, shown[0], laid, result.prediction, suffix=suffix)
    if len(result.tiles):
        files.append(output / f"{file_stem(path)}.tiles.csv")
        write_whole(files[-1], _table(result))
    return result, files


def _screen(
    model: "medcnn.Model",
    path: Path,
    choices: SlideChoices,
    *,
    labels: tuple[str, ...],
    with_picture: bool,
) -> tuple["medcnn.SlideResult", tuple["medcnn.Image", tuple[int, int]] | None]:
    """Screen one slide in a worker process; return also its picture and size."""
    from medcnn.isolation import open_slide_safely
    from medcnn.slides import screen_slide

    with (
        open_slide_safely(path) as slide,
        progress_bar(path.name, unit="tiles", quiet=choices.quiet) as advance,
    ):
        result = screen_slide(
            model,
            slide,
            spacing_mm=None if choices.um is None else choices.um / 1000,
            overlap=choices.overlap,
            tissue=not choices.all_tiles,
            rule=choices.rule,
            cam=labels,
            progress=advance,
        )
        picture = slide.thumbnail(_THUMBNAIL) if with_picture else None
        return result, None if picture is None else (picture, slide.shape)


def _table(result: "medcnn.SlideResult") -> bytes:
    """Return every tile that was looked at as CSV."""
    rows = list(result.tiles.rows())
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
