"""medcnn inspect: what is in files and folders, and what would be done to them."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

import medcnn
from medcnn.cli.console import answer, end, printable, progress_bar, say, show
from medcnn.cli.images import Problems, descriptions_in, image_of
from medcnn.cli.options import AllowGaps, Json, Paths, Quiet, ResampleTilt

__all__ = ["inspect"]

_MOST_IN_DETAIL = 3


def inspect(
    paths: Paths,
    *,
    details: Annotated[
        bool | None,
        typer.Option(
            "--details/--table",
            help="Everything that is known of each image, or one line for each; "
            f"default: details for up to {_MOST_IN_DETAIL} images.",
            show_default=False,
        ),
    ] = None,
    preview: Annotated[
        Path | None,
        typer.Option(
            help="Folder for a PNG of each image, which is decoded for it.",
            show_default=False,
        ),
    ] = None,
    resample_tilt: ResampleTilt = False,
    allow_gaps: AllowGaps = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what is in these files and folders; no model is used.

    Series, geometry, units, every step that is applied to the stored pixels, warnings.
    Only headers are read, unless previews are asked for.
    """
    from medcnn.io.options import ReadOptions

    options = ReadOptions(resample_tilt=resample_tilt, allow_gaps=allow_gaps)
    errors: Problems = []
    with medcnn.SafeReader() as reader:
        found = list(descriptions_in(reader, paths, errors, options, quiet=quiet))
        rows = [description.to_json() for description in found]
        if preview is not None:
            images = partial(image_of, reader, problems=errors, options=options)
            with progress_bar("Previews", unit="images", quiet=quiet) as advance:
                _write_previews(preview, found, rows, images, advance)
    if as_json:
        answer({"images": rows, "errors": errors})
    elif details or (details is None and len(found) <= _MOST_IN_DETAIL):
        for description in found:
            _show_details(description)
    else:
        _show_table(found)
    if not as_json:
        say(_in_total(found, errors), quiet=quiet)
    end(answers=len(found), problems=len(errors))


def _write_previews(
    folder: Path,
    found: list["medcnn.Description"],
    rows: list[dict[str, Any]],
    read: Callable[["medcnn.Description"], "medcnn.Image | None"],
    advance: Callable[[int, int | None], None],
) -> None:
    """Decode each image and draw it; note the file in its row."""
    from medcnn.cli.preview import write_preview
    from medcnn.outputs import make_folder

    make_folder(folder)
    for number, (description, row) in enumerate(zip(found, rows, strict=True), start=1):
        image = read(description)
        advance(number, len(found))
        if image is None:
            continue
        path = folder / f"{number:04d}.png"
        head = f"{number}. {_name(description)}"
        facts = ", ".join(words for _, words in _lines(description)[1:5])
        write_preview(path, image, (head, facts))
        row["preview"] = str(path)


def _show_table(found: list["medcnn.Description"]) -> None:
    """Show one line for each image, and every warning with how often it is given."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("", justify="right", style="dim", no_wrap=True)
    root = _shared_folder([one.source for one in found])
    table.add_column("image", overflow="fold")
    for title in ("modality", "size", "spacing mm", "axes", "unit", "notes"):
        table.add_column(title, no_wrap=True)
    warnings: dict[str, int] = {}
    for number, one in enumerate(found, start=1):
        for warning in one.warnings:
            warnings[warning] = warnings.get(warning, 0) + 1
        cells = (
            str(number),
            Text(printable(_name(one, root))),
            one.modality or "",
            " x ".join(str(n) for n in one.shape if n > 1 or one.shape[2] > 1)
            + (" RGB" if one.channels > 1 else ""),
            _spacing(one, unit="", frame=" {frame}"),
            one.orientation or "",
            one.unit or "",
            str(len(one.warnings) or ""),
        )
        table.add_row(*cells)
    if root is not None:
        show(f"in {root}")
    show(table)
    for warning, count in warnings.items():
        show(Text(f"{count} x {printable(warning)}", style="yellow"))


def _show_details(description: "medcnn.Description") -> None:
    """Show one image as a table of two columns."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, words in _lines(description):
        style = "yellow" if name == "warning" else ""
        table.add_row(name, Text(printable(words), style=style))
    show(Text(printable(_name(description)), style="bold"))
    show(table)
    show("")


def _shared_folder(paths: list[Path]) -> Path | None:
    """Return the folder that all of several paths lie in; None if there is none."""
    try:
        shared = Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError:  # none, or on several drives
        return None
    return shared if len(shared.parts) > 1 else None


def _name(found: "medcnn.Description", root: Path | None = None) -> str:
    """Return the file or folder of an image, and which part of it it is."""
    path = found.source if root is None else found.source.relative_to(root)
    which = f", part {found.part} of {found.parts}" if found.parts > 1 else ""
    title = f": {found.title}" if found.title and found.parts > 1 else ""
    return f"{path}{which}{title}"


def _lines(found: "medcnn.Description") -> list[tuple[str, str]]:
    """Return name and value of everything that is known of an image."""
    columns, rows, slices = found.shape
    size = f"{columns} columns x {rows} rows"
    size += f" x {slices} slices" if slices > 1 else ""
    files = f", {found.files} files" if found.files > 1 else ""
    lines = [
        ("format", f"{found.kind}{files}"),
        ("modality", found.modality or "modality not stated"),
        ("size", f"{size}, {found.channels} channel{'s' * (found.channels > 1)}"),
        ("spacing", _spacing(found) or "not stated"),
        ("orientation", found.orientation or "not stated"),
        ("unit", found.unit or "not stated"),
    ]
    lines += [(key.replace("_", " "), text) for key, text in found.facts.items()]
    if found.series_uid:
        lines.append(("series", found.series_uid))
    lines += [(f"step {n}", step) for n, step in enumerate(found.steps, start=1)]
    return lines + [("warning", warning) for warning in found.warnings]


def _spacing(
    found: "medcnn.Description", *, unit: str = " mm", frame: str = " at the {frame}"
) -> str:
    """Return the spacing in words, and where its millimetres are true."""
    if found.spacing_mm is None:
        return ""
    numbers = found.spacing_mm if found.shape[2] > 1 else found.spacing_mm[:2]
    words = " x ".join(f"{mm:.4g}" for mm in numbers) + unit
    is_true = found.frame == "patient"
    return words if is_true else words + frame.format(frame=found.frame)


def _in_total(found: list["medcnn.Description"], errors: Problems) -> str:
    """Say how much there was."""
    files = sum(description.files for description in found)
    words = f"{len(found)} image{'s' * (len(found) != 1)} in {files} file"
    words += "s" * (files != 1)
    return f"{words}; {len(errors)} could not be read." if errors else f"{words}."
