"""Read a table, or folders of classes, into cases."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from medcnn.dataset.cases import SPLITS, Case, CaseTable
from medcnn.errors import DataError

__all__ = ["read_cases"]

_RESERVED = ("path", "patient_id", "split", "label")
_TRUTHS = {"1": 1.0, "1.0": 1.0, "0": 0.0, "0.0": 0.0, "": None}
_HEALTHY = {"normal", "negative", "healthy", "no finding", "no_finding", "none", "0"}


def read_cases(
    data: str | Path,
    *,
    labels: Sequence[str] = (),
    attributes: Sequence[str] = (),
) -> CaseTable:
    """Read a table (CSV, TSV), or a folder with one sub-folder for each class.

    Args:
        data: A table with `path` (relative to it) and either one column for each label
            (1, 0, blank = unknown) or one `label` column with class names; optionally
            patient_id and split; other columns become attributes. Or a folder.
        labels: The labels or classes to use, the main one first; none means all: each
            column that holds nothing but 1, 0 and blanks, or all class names.
        attributes: Columns that are no labels although they hold only 1, 0 and blanks.

    Raises:
        DataError: If something is missing or wrong; the message names row and column.
    """
    path = Path(data)
    if path.is_dir():
        rows, origin = _folder_rows(path), _Origin(path, "")
    elif path.is_file():
        rows, origin = _table_rows(path), _Origin(path, ", row {}")
    else:
        msg = f"{path} is neither a table nor a folder"
        raise DataError(msg, hint="Give a CSV or TSV table, or a folder of classes.")
    if not rows:
        msg = f"{path} holds no case"
        raise DataError(msg)
    names, activation = _choose_labels(origin, rows, labels, attributes)
    parse = _class_truth if activation == "softmax" else _column_truth
    taken = {*_RESERVED, *(names if activation == "sigmoid" else ())}
    cases = [
        _make_case(origin, number, row, parse(origin, number, row, names), taken)
        for number, row in rows
    ]
    _refuse_twice(origin, cases)
    return CaseTable(path, names, activation, tuple(cases))


_Row = Mapping[str, str]
_Numbered = tuple[int, _Row]


@dataclass(frozen=True)
class _Origin:
    """Where rows come from, to name them in errors."""

    path: Path
    pattern: str

    def at(self, number: int, column: str = "") -> str:
        place = f"{self.path}{self.pattern.format(number)}"
        return f"{place}, column {column!r}" if column else place


def _table_rows(path: Path) -> list[_Numbered]:
    """Read a table's rows, numbered as a spreadsheet numbers them.

    Raises:
        DataError: If it cannot be read as a table with a `path` column.
    """
    if path.suffix.lower() not in {".csv", ".tsv"}:
        msg = f"{path} is no table that is read: expected .csv or .tsv"
        raise DataError(msg)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            raw = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path} cannot be read as a table: {error}"
        raise DataError(msg) from error
    header = reader.fieldnames or []
    if "path" not in header:
        msg = f"{path} has no column 'path', its header is {list(header)}"
        raise DataError(msg)
    if len(set(header)) < len(header):
        msg = f"{path} has two columns of the same name, its header is {list(header)}"
        raise DataError(msg)
    rows: list[_Numbered] = []
    for number, row in raw:
        if None in row or None in row.values():
            msg = f"{path}, row {number}: not as many cells as the header's"
            raise DataError(msg)
        cells = {name: cell.strip() for name, cell in row.items()}
        cells["path"] = str(path.parent / cells["path"]) if cells["path"] else ""
        rows.append((number, cells))
    return rows


def _folder_rows(path: Path) -> list[_Numbered]:
    """Read one sub-folder for each class, below train, val and test if there are."""
    folders = sorted(p for p in path.iterdir() if p.is_dir())
    if folders and all(p.name in SPLITS for p in folders):
        roots = [(folder, folder.name) for folder in folders]
    else:
        roots = [(path, "")]
    rows: list[_Numbered] = []
    for root, split in roots:
        for folder in sorted(p for p in root.iterdir() if p.is_dir()):
            for file in sorted(folder.rglob("*")):
                if file.is_file() and not file.name.startswith("."):
                    row = {"path": str(file), "label": folder.name}
                    rows.append((0, row | ({"split": split} if split else {})))
    return rows


def _choose_labels(
    origin: _Origin,
    rows: Sequence[_Numbered],
    labels: Sequence[str],
    attributes: Sequence[str],
) -> tuple[tuple[str, ...], Literal["sigmoid", "softmax"]]:
    """Decide which columns, or which classes, are the labels.

    Raises:
        DataError: If there are none, or those asked for are not there.
    """
    header = tuple(rows[0][1])
    by_name = "label" in header and not _is_binary(row["label"] for _, row in rows)
    if by_name and not set(labels) & set(header):
        found = {row["label"] for _, row in rows} - {""}
        # healthy classes go last: the main label is what is looked for
        order = sorted(found, key=lambda name: (name.lower() in _HEALTHY, name))
        return _known(origin, labels, tuple(order), "class"), "softmax"
    candidates = tuple(name for name in header if name not in _RESERVED[:3])
    if labels:
        return _known(origin, labels, candidates, "column"), "sigmoid"
    found_columns = tuple(
        name
        for name in candidates
        if name not in attributes and _is_label(origin, name, rows)
    )
    if not found_columns:
        msg = f"{origin.path} has no label: no column holds only 1, 0 and blanks"
        raise DataError(msg, hint="Add a column for each label, or one named 'label'.")
    return found_columns, "sigmoid"


def _known(
    origin: _Origin, labels: Sequence[str], there: tuple[str, ...], kind: str
) -> tuple[str, ...]:
    """Return the labels asked for, or all that are there.

    Raises:
        DataError: If one is not there.
    """
    missing = [label for label in labels if label not in there]
    if missing:
        msg = f"{origin.path} has no {kind} {missing[0]!r}, it has {', '.join(there)}"
        raise DataError(msg)
    return tuple(labels) or there


def _is_binary(cells: Iterable[str]) -> bool:
    found = set(cells)
    return found <= set(_TRUTHS) and found != {""}


def _is_label(origin: _Origin, name: str, rows: Sequence[_Numbered]) -> bool:
    """Say whether a column holds 1, 0 and blanks only.

    Raises:
        DataError: If it nearly does: most of its cells, and the others are no
            numbers. Such a column is a label with a slip of the pen; left out silently,
            it would never be learnt.
    """
    if _is_binary(row[name] for _, row in rows):
        return True
    wrong = [(number, row[name]) for number, row in rows if row[name] not in _TRUTHS]
    told = sum(row[name] != "" for _, row in rows) - len(wrong)
    if told > len(wrong) and not any(_is_number(cell) for _, cell in wrong):
        number, cell = wrong[0]
        msg = f"{origin.at(number, name)}: got {cell!r}, expected 1, 0 or nothing"
        hint = "Mend it; if the column is no label, name it in the recipe's attributes."
        raise DataError(msg, hint=hint)
    return False


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


_Truth = Mapping[str, float | None]


def _column_truth(
    origin: _Origin, number: int, row: _Row, labels: Sequence[str]
) -> _Truth:
    """Read 1, 0 or blank from each label's column.

    Raises:
        DataError: If a cell holds anything else.
    """
    for label in labels:
        if row[label] not in _TRUTHS:
            msg = f"{origin.at(number, label)}: got {row[label]!r}, expected 1, 0 or "
            raise DataError(msg + "nothing (unknown)")
    return MappingProxyType({label: _TRUTHS[row[label]] for label in labels})


def _class_truth(
    origin: _Origin, number: int, row: _Row, labels: Sequence[str]
) -> _Truth:
    """Turn a class name into 1 for it and 0 for all others.

    Raises:
        DataError: If the cell names no class that is used.
    """
    name = row["label"]
    if name and name not in labels:
        msg = f"{origin.at(number, 'label')}: got {name!r}, expected one of "
        raise DataError(msg + ", ".join(labels))
    return MappingProxyType({x: float(x == name) if name else None for x in labels})


def _make_case(
    origin: _Origin, number: int, row: _Row, truth: _Truth, taken: set[str]
) -> Case:
    """Make a case of a row.

    Raises:
        DataError: If its file is not there, or its split is none.
    """
    if not row["path"] or not Path(row["path"]).exists():
        msg = f"{origin.at(number, 'path')}: there is no file {row['path']!r}"
        raise DataError(msg)
    split = row.get("split") or None
    if split is not None and split not in SPLITS:
        msg = f"{origin.at(number, 'split')}: got {split!r}, expected "
        raise DataError(msg + ", ".join(SPLITS))
    return Case(
        path=Path(row["path"]),
        truth=truth,
        patient_id=row.get("patient_id") or None,
        split=split,
        attributes=MappingProxyType({k: v for k, v in row.items() if k not in taken}),
    )


def _refuse_twice(origin: _Origin, cases: Sequence[Case]) -> None:
    """Refuse a path that stands in two rows.

    Raises:
        DataError: If there is one.
    """
    seen: set[Path] = set()
    for case in cases:
        if case.path in seen:
            msg = f"{origin.path} names {case.path} twice"
            raise DataError(msg)
        seen.add(case.path)
