"""A table or folders of labelled images: cases, and splits that share no patient."""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from medcnn.errors import DataError, LeakageError

__all__ = [
    "SPLITS",
    "Case",
    "CaseTable",
    "assign_splits",
    "content_hashes",
    "data_sha256",
    "read_cases",
    "refuse_leakage",
]

SPLITS = ("train", "val", "test")
_RESERVED = ("path", "patient_id", "split", "label")
_TRUTHS = {"1": 1.0, "1.0": 1.0, "0": 0.0, "0.0": 0.0, "": None}
_HEALTHY = {"normal", "negative", "healthy", "no finding", "no_finding", "none", "0"}
_NAMED = 5


@dataclass(frozen=True)
class Case:
    """One labelled image.

    Attributes:
        path: The image, or the folder of a series.
        truth: 1 or 0 for each label, None where unknown; the main label first.
        patient_id: Whose image it is, None where nothing says.
        split: train, val or test; None where nothing says.
        attributes: The table's other columns: what subgroups are made of.
    """

    path: Path
    truth: Mapping[str, float | None]
    patient_id: str | None = None
    split: str | None = None
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class CaseTable:
    """Labelled images that belong together.

    Attributes:
        source: The table or folder they were read from.
        labels: The main label first.
        activation: "sigmoid" for labels that may occur together, "softmax" for classes
            of which exactly one is true.
        cases: In the order of the table.
    """

    source: Path
    labels: tuple[str, ...]
    activation: Literal["sigmoid", "softmax"]
    cases: tuple[Case, ...]

    def truth(self) -> npt.NDArray[np.float32]:
        """Return all truths, (N, L), NaN where unknown."""
        rows = [[case.truth[label] for label in self.labels] for case in self.cases]
        return np.array(rows, dtype=np.float32).reshape(-1, len(self.labels))

    def column(self, name: str) -> tuple[str, ...]:
        """Return one column's value of every case, "" where it has none.

        Raises:
            DataError: If no case has such a column.
        """
        if name == "split":
            return tuple(case.split or "" for case in self.cases)
        known = {key for case in self.cases for key in case.attributes}
        if name not in known:
            msg = f"{self.source} has no column {name!r} that is not a label"
            raise DataError(msg, hint=f"It has: {', '.join(sorted(known)) or 'none'}.")
        return tuple(case.attributes.get(name, "") for case in self.cases)

    def matching(self, where: Mapping[str, str]) -> npt.NDArray[np.bool_]:
        """Return which cases have these values in these columns, (N,).

        Raises:
            DataError: If there is no such column.
        """
        chosen = np.ones(len(self.cases), dtype=bool)
        for name, value in where.items():
            chosen &= np.array([v == value for v in self.column(name)], dtype=bool)
        return chosen

    def take(self, indices: Iterable[int]) -> "CaseTable":
        """Return the table of these cases, in this order."""
        return replace(self, cases=tuple(self.cases[n] for n in indices))

    def only(self, chosen: npt.NDArray[np.bool_]) -> "CaseTable":
        """Return the table of the chosen cases; `chosen` has shape (N,)."""
        return self.take(np.flatnonzero(chosen).tolist())

    def part(self, split: str) -> "CaseTable":
        """Return the table of one split's cases."""
        return self.only(np.array([case.split == split for case in self.cases]))


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


def content_hashes(table: CaseTable) -> tuple[str, ...]:
    """Return the SHA-256 of each case's file, or of all files of its folder."""
    return tuple(_content_hash(case.path) for case in table.cases)


def data_sha256(table: CaseTable, hashes: Sequence[str]) -> str:
    """Return one checksum of all contents, truths, patients and splits."""
    digest = hashlib.sha256(repr((table.labels, table.activation)).encode())
    for case, content in zip(table.cases, hashes, strict=True):
        facts = (content, sorted(case.truth.items()), case.patient_id, case.split)
        digest.update(repr((*facts, sorted(case.attributes.items()))).encode())
    return digest.hexdigest()


def refuse_leakage(table: CaseTable, hashes: Sequence[str]) -> None:
    """Refuse a patient or an image that is in more than one split.

    Raises:
        LeakageError: If there is one; it names patients, or both files.
    """
    splits = defaultdict(set)
    for case in table.cases:
        if case.patient_id is not None:
            splits[case.patient_id].add(case.split)
    shared = sorted(patient for patient, where in splits.items() if len(where) > 1)
    if shared:
        some = ", ".join(shared[:_NAMED]) + (", ..." if len(shared) > _NAMED else "")
        msg = f"{table.source}: {len(shared)} patients are in several splits: {some}"
        raise LeakageError(msg, hint="Give all images of a patient the same split.")
    first: dict[str, Case] = {}
    for case, content in zip(table.cases, hashes, strict=True):
        other = first.setdefault(content, case)
        if other.split != case.split:
            msg = (
                f"the same image is in two splits: {other.path} ({other.split}) "
                f"and {case.path} ({case.split})"
            )
            raise LeakageError(msg, hint="Remove one, or give both the same split.")


def assign_splits(
    table: CaseTable,
    hashes: Sequence[str],
    *,
    rng: np.random.Generator,
    val_share: float = 0.15,
) -> CaseTable:
    """Give every case a split; what the table says already is kept.

    Where there is no val, it is drawn from train by patients, so that each value of
    the main label (each class) gives about `val_share` of its cases. Images with the
    same content stay together whatever patient they are said to be of.

    Args:
        table: Cases.
        hashes: Their `content_hashes`.
        rng: Decides who goes where.
        val_share: Share of the cases that go to val, above 0 and below 1.

    Raises:
        DataError: If only some cases have a split, or too few are there to draw from.
    """
    stated = [case.split for case in table.cases]
    if any(stated) and not all(stated):
        path = table.cases[stated.index(None)].path
        msg = f"{table.source}: {stated.count(None)} cases have no split, as {path}"
        raise DataError(msg, hint="Fill the column for all cases, or leave it out.")
    if "val" in stated:
        if "train" not in stated:
            msg = f"{table.source} has no case with split train"
            raise DataError(msg)
        return table
    free = [n for n, split in enumerate(stated) if split in {None, "train"}]
    chosen = _draw(table, free, _groups(table, hashes), rng, val_share)
    if not chosen or len(chosen) == len(free):
        msg = f"{table.source}: {len(free)} cases are too few to set a val split apart"
        raise DataError(msg, hint="Add patients, or a split column.")
    cases = [
        replace(case, split="val" if n in chosen else case.split or "train")
        for n, case in enumerate(table.cases)
    ]
    return replace(table, cases=tuple(cases))


# ---------------------------------------------------------------- reading

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
        if name not in attributes and _is_binary(row[name] for _, row in rows)
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


def _content_hash(path: Path) -> str:
    """Return the SHA-256 of a file, or of all files of a folder in order."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    parts = sorted(p for p in path.rglob("*") if p.is_file())
    return hashlib.sha256("".join(map(_content_hash, parts)).encode()).hexdigest()


# ---------------------------------------------------------------- splitting


def _groups(table: CaseTable, hashes: Sequence[str]) -> list[int]:
    """Number the groups that must stay together: same patient or same content."""
    parent = list(range(len(table.cases)))

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    first: dict[tuple[str, str], int] = {}
    for n, (case, content) in enumerate(zip(table.cases, hashes, strict=True)):
        keys = [("content", content)]
        if case.patient_id is not None:
            keys.append(("patient", case.patient_id))
        for key in keys:
            parent[root(n)] = root(first.setdefault(key, n))
    return [root(n) for n in range(len(table.cases))]


def _draw(
    table: CaseTable,
    free: Sequence[int],
    groups: Sequence[int],
    rng: np.random.Generator,
    share: float,
) -> set[int]:
    """Choose whole groups until each stratum has given about its share."""
    members = defaultdict(list)
    for n in free:
        members[groups[n]].append(n)
    strata = defaultdict(list)
    of_case: Callable[[int], str] = _stratum_by(table)
    for group in members.values():
        strata[max(of_case(n) for n in group)].append(group)
    chosen: set[int] = set()
    for name in sorted(strata):
        candidates = strata[name]
        wanted = share * sum(map(len, candidates))
        got = 0
        for at in rng.permutation(len(candidates)):
            size = len(candidates[at])
            first = got == 0 and len(candidates) > 1
            if first or abs(got + size - wanted) < abs(got - wanted):
                chosen.update(candidates[at])
                got += size
    return chosen


def _stratum_by(table: CaseTable) -> Callable[[int], str]:
    """Return what names a case's stratum: its class, or the main label's value."""
    if table.activation == "softmax":
        names = [
            next((k for k, v in case.truth.items() if v), "") for case in table.cases
        ]
    else:
        names = [str(case.truth[table.labels[0]]) for case in table.cases]
    return names.__getitem__
