"""The rows of a table or folder as text, before anybody asks what they mean."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from medcnn.errors import DataError, MissingDependencyError

__all__ = ["Numbered", "Origin", "Row", "folder_rows", "table_rows"]

Row = Mapping[str, str]
Numbered = tuple[int, Row]


_SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What folders of splits are called, in small letters."""


@dataclass(frozen=True)
class Origin:
    """Where rows come from, to name them in errors."""

    path: Path
    pattern: str

    def at(self, number: int, column: str = "") -> str:
        """Name a row, or a cell of it."""
        place = f"{self.path}{self.pattern.format(number)}"
        return f"{place}, column {column!r}" if column else place


def table_rows(path: Path) -> list[Numbered]:
    """Read a table's rows, numbered as a spreadsheet numbers them.

    Raises:
        DataError: If it cannot be read as a table with a `path` column.
    """
    suffix = path.suffix.lower()
    if suffix not in {".csv", ".tsv", ".parquet"}:
        msg = f"{path} is no table that is read: expected .csv, .tsv or .parquet"
        raise DataError(msg)
    if suffix == ".parquet":
        header, raw = _parquet(path)
    else:
        header, raw = _separated(path, "\t" if suffix == ".tsv" else ",")
    if "path" not in header:
        msg = f"{path} has no column 'path', its header is {header}"
        raise DataError(msg)
    if len(set(header)) < len(header):
        msg = f"{path} has two columns of the same name, its header is {header}"
        raise DataError(msg)
    return list(_cleaned(path, raw))


def _cleaned(
    path: Path, raw: Iterable[tuple[int, Mapping[Any, Any]]]
) -> Iterable[Numbered]:
    """Yield rows without spaces around their cells, paths relative to the table.

    Raises:
        DataError: If a row has more or fewer cells than the header.
    """
    for number, row in raw:
        if None in row or None in row.values():
            msg = f"{path}, row {number}: not as many cells as the header's"
            raise DataError(msg)
        cells = {name: cell.strip() for name, cell in row.items()}
        cells["path"] = str(path.parent / cells["path"]) if cells["path"] else ""
        yield number, cells


def _separated(
    path: Path, delimiter: str
) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Read a CSV or TSV: its header, and rows with their numbers.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path} cannot be read as a table: {error}"
        raise DataError(msg) from error
    return list(reader.fieldnames or []), rows


def _parquet(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Read a Parquet table as text: its header, and rows counted from 1.

    Raises:
        DataError: If it cannot be read.
        MissingDependencyError: If pyarrow is not installed.
    """
    try:
        pa: Any = import_module("pyarrow")
        parquet: Any = import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        msg = f"{path} is a Parquet table, and pyarrow is not installed"
        hint = "Add it: pip install 'medcnn-imaging[parquet]', or give a CSV."
        raise MissingDependencyError(msg, hint=hint) from error
    try:
        table = parquet.read_table(path)
    except (OSError, pa.ArrowException) as error:
        msg = f"{path} cannot be read as a table: {error}"
        raise DataError(msg) from error
    header = [str(name) for name in table.column_names]
    columns = [[_as_text(cell) for cell in column.to_pylist()] for column in table]
    rows = zip(*columns, strict=True)
    return header, [
        (number, dict(zip(header, row, strict=True)))
        for number, row in enumerate(rows, start=1)
    ]


def _as_text(cell: Any) -> str:
    """Return a cell as a CSV would hold it; nothing and NaN are blank."""
    # only NaN differs from itself
    if cell is None or cell != cell:
        return ""
    return str(int(cell)) if isinstance(cell, bool) else str(cell)


def folder_rows(path: Path) -> list[Numbered]:
    """Read one sub-folder for each class, below train, val and test if there are.

    Raises:
        DataError: If folders of splits lie beside others.
    """
    rows: list[Numbered] = []
    for root, split in _roots(path):
        for folder in _folders(root):
            for file in sorted(folder.rglob("*")):
                if file.is_file() and not file.name.startswith("."):
                    row = {"path": str(file), "label": folder.name}
                    rows.append((0, row | ({"split": split} if split else {})))
    return rows


def _roots(path: Path) -> list[tuple[Path, str]]:
    """Return the folders that hold the classes' folders, and the split of each.

    Raises:
        DataError: If folders of splits lie beside others.
    """
    folders = _folders(path)
    splits = {p: _SPLIT_FOLDERS.get(p.name.lower(), "") for p in folders}
    if not any(splits.values()):
        return [(path, "")]
    others = [p.name for p, split in splits.items() if not split]
    if others:
        named = ", ".join(p.name for p, split in splits.items() if split)
        msg = f"{path} holds splits ({named}) beside {others[0]!r}"
        hint = "Move what is no split out of it; classes are folders below the splits."
        raise DataError(msg, hint=hint)
    return list(splits.items())


def _folders(path: Path) -> list[Path]:
    """Return the folders in a folder, but for hidden ones and those of archivers."""
    return sorted(
        p
        for p in path.iterdir()
        if p.is_dir() and not p.name.startswith((".", "__MACOSX"))
    )
