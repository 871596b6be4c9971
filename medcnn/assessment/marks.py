"""Marks that readers made in a screening report, as labelled images."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from medcnn.bundle import BundleSpec
from medcnn.dataset import Case, CaseTable
from medcnn.errors import DataError, ReadError
from medcnn.io import discover
from medcnn.results import Band
from medcnn.screening.names import name_of, path_of
from medcnn.worklist import RUN, WORKLIST, plain_text, read_run, read_worklist

__all__ = ["Mark", "Marked", "marked_cases", "read_marks"]

_NEEDED = ("path", "band", "label", "mark")
_SEEN = (
    "Who marks sees the model's answer first: marks agree with it more often than "
    "labels of readers who do not."
)


@dataclass(frozen=True)
class Mark:
    """What a reader said of one image's result.

    Attributes:
        path: The image, as worklist.csv names it.
        sop_uid: Its SOP Instance UID; empty if the page did not hold it.
        truth: 1 if the main label is there, 0 if not; None where the mark does not
            tell: none was made, or the image has no band.
    """

    path: str
    sop_uid: str
    truth: int | None


@dataclass(frozen=True)
class Marked:
    """Images whose truth is known from marks.

    Attributes:
        table: The images.
        notes: What must be said beside any number made of them.
    """

    table: CaseTable
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Place:
    """Where an image is, and whose it is."""

    path: Path
    patient_id: str | None = None


def read_marks(path: Path, *, label: str) -> tuple[Mark, ...]:
    """Read the CSV that a report exports.

    Agreeing with a flag or a review says that the label is there, agreeing with no flag
    that it is not; disagreeing says the opposite.

    Args:
        path: The CSV.
        label: The main label of the model that is to be fitted.

    Raises:
        DataError: If it is no such file, of another label, or contradicts itself.
    """
    found: dict[str, Mark] = {}
    for number, row in _rows(path):
        where = f"{path}, row {number}"
        if row["label"] != label:
            msg = f"{where}: the mark is of {row['label']!r}; the model's is {label!r}"
            raise DataError(msg, hint="Name the model that was screened with.")
        mark = Mark(row["path"], row.get("sop_uid", ""), _truth(row, where))
        known = found.setdefault(mark.path, mark)
        if known.truth != mark.truth:
            msg = f"{where}: {mark.path} was marked before, and otherwise"
            raise DataError(msg, hint="Keep one line for each image.")
    return tuple(found.values())


def marked_cases(data: Path, marks: Path, spec: BundleSpec) -> Marked:
    """Return the marked images as cases of the model's main label.

    An image is found by its path, else by its SOP Instance UID where the run's
    worklist.csv and the marks have it.

    Args:
        data: The output folder of the run, or the folder that was screened.
        marks: The CSV that the report exported.
        spec: Of the model that is to be fitted.

    Raises:
        DataError: If the marks cannot be used, or are of other images.
    """
    if spec.activation == "softmax" and len(spec.labels) > 2:
        msg = f"marks tell {spec.labels[0]} or not; {spec.name} tells "
        msg += f"{len(spec.labels)} classes apart"
        raise DataError(msg, hint="Give it a table with a class for each image.")
    told = read_marks(marks, label=spec.labels[0])
    by_path, by_uid = _places(data)
    cases, strange = [], 0
    for mark in told:
        place = by_path.get(mark.path) or by_uid.get(mark.sop_uid)
        if place is None:
            strange += 1
        elif mark.truth is not None:
            truth = _truths(spec, mark.truth)
            cases.append(Case(place.path, truth, patient_id=place.patient_id))
    if not cases:
        msg = f"{marks} holds no mark that tells the truth of an image of {data}: "
        msg += f"{len(told)} marks, {strange} of them of other images"
        raise DataError(msg, hint="Name the output folder of the run as DATA.")
    labels = tuple(cases[0].truth)
    table = CaseTable(marks, labels, spec.activation, tuple(cases))
    return Marked(table, _notes(len(told), strange, len(cases)))


def _notes(told: int, strange: int, used: int) -> tuple[str, ...]:
    """Return what was left out, and what must be known."""
    notes = [_SEEN]
    if strange:
        notes.append(f"{strange} marks are of no image that is there.")
    if told - strange > used:
        notes.append(f"{told - strange - used} marks say nothing of the label.")
    return tuple(notes)


def _truths(spec: BundleSpec, truth: int) -> dict[str, float | None]:
    """Return the truth of each label that a mark of the main one tells."""
    if spec.activation == "softmax":
        return dict(zip(spec.labels, (float(truth), 1.0 - truth), strict=True))
    return {spec.labels[0]: float(truth)}


def _truth(row: Mapping[str, str], where: str) -> int | None:
    """Return what a line says of the label.

    Raises:
        DataError: If it is no mark, or says another truth than it follows from.
    """
    mark = row["mark"]
    if mark not in {"agree", "disagree", ""}:
        msg = f"{where}: expected agree, disagree or nothing, got {mark!r}"
        raise DataError(msg)
    if not mark or row["band"] not in set(Band):
        return None
    truth = int((row["band"] != Band.NO_FLAG) == (mark == "agree"))
    if row.get("truth", "") not in {"", str(truth)}:
        msg = f"{where}: truth is {row['truth']}, but to {mark} with {row['band']} "
        msg += f"is {truth}"
        raise DataError(msg, hint="Export the marks again.")
    return truth


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the numbered lines of a CSV of marks.

    Raises:
        DataError: If it cannot be read or lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", strict=True)
            missing = [x for x in _NEEDED if x not in (reader.fieldnames or [])]
            if missing:
                msg = f"{path} is no export of marks: it lacks {', '.join(missing)}"
                raise DataError(msg, hint="Export them in report.html: Marks.")
            for row in reader:
                cells = {k: plain_text(v) for k, v in row.items() if k}
                yield reader.line_num, cells
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path} cannot be read as a table: {error}"
        raise DataError(msg) from error


def _places(data: Path) -> tuple[dict[str, _Place], dict[str, _Place]]:
    """Return the images by path, and by SOP Instance UID where that is known.

    Raises:
        DataError: If there are none.
    """
    if (data / RUN).is_file():
        return _of_run(data)
    try:
        found = {f.path for f in discover([data]) if not f.problem}
    except ReadError as error:
        raise DataError(error.message, hint=error.hint) from error
    root = data.resolve()
    return {name_of(p, data).removeprefix(f"{root}/"): _Place(p) for p in found}, {}


def _of_run(output: Path) -> tuple[dict[str, _Place], dict[str, _Place]]:
    """Return the images of a run.

    Raises:
        DataError: If they are no longer where they were.
    """
    text = read_run(output / RUN).root
    root = path_of(text, None) if text else None
    if root is not None and not root.exists():
        msg = f"The images of {output} were in {text}, which is not there."
        raise DataError(msg, hint="Name the folder where they are now as DATA.")
    by_path: dict[str, _Place] = {}
    by_uid: dict[str, _Place] = {}
    for row in read_worklist(output / WORKLIST):
        place = _Place(path_of(row.path, root), row.patient_id or None)
        by_path[row.path] = place
        if row.sop_uid:
            by_uid[row.sop_uid] = place
    return by_path, by_uid
