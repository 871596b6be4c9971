"""Read a table, or folders of classes, into cases."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from medcnn.dataset.cases import SPLITS, Case, CaseTable, Kind
from medcnn.dataset.data_set import read_data_set
from medcnn.dataset.order import in_order
from medcnn.dataset.place_columns import is_place, read_places, refuse_unknown_places
from medcnn.dataset.rows import Numbered, Origin, Row, folder_rows, table_rows
from medcnn.errors import DataError, ReadError
from medcnn.io import status_of
from medcnn.io.data_set import is_data_set
from medcnn.pseudonyms import refuse_mixed

__all__ = ["read_cases"]

_RESERVED = ("path", "patient_id", "split", "label")
_TRUTHS = {"1": 1.0, "1.0": 1.0, "0": 0.0, "0.0": 0.0, "": None}
_PATIENT_WORDS = {"patientid", "patient", "subjectid", "subject"}


def read_cases(
    data: str | Path,
    *,
    labels: Sequence[str] = (),
    attributes: Sequence[str] = (),
) -> CaseTable:
    """Read a table, a folder with one sub-folder for each class, or a data set.

    Args:
        data: A table (CSV, TSV, Parquet) with `path` (relative to it) and either one
            column for each label (1, 0, blank = unknown) or one `label` column with
            class names; optionally patient_id and split, and bbox:<label> and
            mask:<label> that say where in the image a label is (see
            `medcnn.dataset.place_columns`); other columns become attributes. Or a
            folder, or a .npz with train_images, train_labels and so on, as MedMNIST's.
        labels: The labels or classes to use, the main one first; none means all: each
            column that holds nothing but 1, 0 and blanks, or all class names.
        attributes: Columns that are no labels although they hold only 1, 0 and blanks.

    Raises:
        DataError: If something is missing or wrong; the message names row and column.
    """
    path = Path(data)
    if is_data_set(path):
        return read_data_set(path, labels=labels)
    if path.is_dir():
        rows, origin = folder_rows(path), Origin(path, "")
    elif path.is_file():
        rows, origin = table_rows(path), Origin(path, ", row {}")
    else:
        msg = f"{path} is neither a table nor a folder"
        hint = "Give a CSV, TSV or Parquet table, a folder of classes, or a .npz."
        raise DataError(msg, hint=hint)
    if not rows:
        msg = f"{path} holds no case"
        raise DataError(msg)
    _refuse_hidden_patients(origin, rows[0][1], attributes)
    names, activation = _choose_labels(origin, rows, labels, attributes)
    header = rows[0][1]
    classes = {row.get("label", "") for _, row in rows}
    refuse_unknown_places(origin, header, (*names, *header, *sorted(classes - {""})))
    parse = _class_truth if activation == "softmax" else _column_truth
    taken = {*_RESERVED, *(names if activation == "sigmoid" else ())}
    taken |= set(filter(is_place, header))
    cases = [
        _make_case(origin, number, row, parse(origin, number, row, names), taken)
        for number, row in rows
    ]
    _refuse_twice(origin, cases)
    refuse_mixed((case.patient_id for case in cases), origin.path)
    kind: Kind = "table" if path.is_file() else "folder"
    return CaseTable(path, names, activation, tuple(cases), kind=kind)


def _choose_labels(
    origin: Origin,
    rows: Sequence[Numbered],
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
        order = in_order(sorted(found))
        return _known(origin, labels, order, "class"), "softmax"
    candidates = tuple(
        name for name in header if name not in _RESERVED[:3] and not is_place(name)
    )
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
    origin: Origin, labels: Sequence[str], there: tuple[str, ...], kind: str
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


def _is_label(origin: Origin, name: str, rows: Sequence[Numbered]) -> bool:
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
    origin: Origin, number: int, row: Row, labels: Sequence[str]
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
    origin: Origin, number: int, row: Row, labels: Sequence[str]
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
    origin: Origin, number: int, row: Row, truth: _Truth, taken: set[str]
) -> Case:
    """Make a case of a row.

    Raises:
        DataError: If its file is not there, or its split is none.
    """
    if not row["path"] or not _is_there(Path(row["path"])):
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
        places=read_places(origin, number, row, tuple(truth), is_there=_is_there),
    )


def _is_there(path: Path) -> bool:
    """Say whether a path names something, be it in an archive or a data set."""
    try:
        return path.exists() or bool(status_of(path))
    except (OSError, ValueError, ReadError):
        return False


def _refuse_hidden_patients(
    origin: Origin, header: Row, attributes: Sequence[str]
) -> None:
    """Refuse a column that names patients under another name than patient_id.

    Taken for a mere attribute, it would let a patient be in train and in test.

    Raises:
        DataError: If there is one.
    """
    if "patient_id" in header:
        return
    for name in header:
        plain = "".join(c for c in name.lower() if c.isalnum())
        if plain in _PATIENT_WORDS and name not in attributes:
            msg = f"{origin.path} has a column {name!r} and none 'patient_id'"
            hint = "Rename it; if it names no patients, list it in `attributes`."
            raise DataError(msg, hint=hint)


def _refuse_twice(origin: Origin, cases: Sequence[Case]) -> None:
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
