"""medcnn inspect: what is in files and folders, and what would be done to them."""

from typing import Any

import medcnn
from medcnn.cli.console import answer, end, printable, show
from medcnn.cli.images import Problems, descriptions_in
from medcnn.cli.options import Json, Paths

__all__ = ["inspect"]


def inspect(paths: Paths, *, as_json: Json = False) -> None:
    """Say what is in these files and folders; no model is used.

    Series, geometry, units, every step that is applied to the stored pixels, warnings.
    """
    errors: Problems = []
    images: list[dict[str, Any]] = []
    for description in descriptions_in(paths, errors):
        images.append(description.to_json())
        if not as_json:
            _show(description)
    if as_json:
        answer({"images": images, "errors": errors})
    end(answers=len(images), problems=len(errors))


def _show(description: "medcnn.Description") -> None:
    """Show one image as a table of two columns."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, words in _lines(description):
        table.add_row(name, Text(printable(words)))
    show(Text(printable(str(description.source)), style="bold"))
    show(table)
    show("")


def _lines(found: "medcnn.Description") -> list[tuple[str, str]]:
    """Return name and value of everything that is known of an image."""
    columns, rows, slices = found.shape
    size = f"{columns} columns x {rows} rows"
    size += f" x {slices} slices" if slices > 1 else ""
    files = f", {found.files} files" if found.files > 1 else ""
    lines = [
        ("format", f"{found.kind}{files}"),
        ("modality", found.modality or "not stated"),
        ("size", f"{size}, {found.channels} channel{'s' * (found.channels > 1)}"),
        ("spacing", _spacing(found)),
        ("orientation", found.orientation or "not stated"),
        ("unit", found.unit or "not stated"),
    ]
    lines += [(key.replace("_", " "), text) for key, text in found.facts.items()]
    if found.series_uid:
        lines.append(("series", found.series_uid))
    lines += [(f"step {n}", step) for n, step in enumerate(found.steps, start=1)]
    return lines + [("warning", warning) for warning in found.warnings]


def _spacing(found: "medcnn.Description") -> str:
    """Return the spacing in words, and where its millimetres are true."""
    if found.spacing_mm is None:
        return "not stated"
    numbers = found.spacing_mm if found.shape[2] > 1 else found.spacing_mm[:2]
    words = " x ".join(f"{mm:.4g}" for mm in numbers) + " mm"
    return f"{words} at the detector" if found.frame == "detector" else words
