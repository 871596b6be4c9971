"""worklist.csv and errors.csv: one line for each image, ranked.

The worklist holds no times, so that a run that was broken
off and continued gives the same bytes as an unbroken one.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from medcnn.errors import DataError
from medcnn.outputs import whole_file
from medcnn.results import Band, CaseResult, Status

__all__ = [
    "ErrorRow",
    "WorklistRow",
    "columns",
    "plain_text",
    "rank_key",
    "read_errors",
    "read_worklist",
    "safe_cell",
    "write_errors",
    "write_worklist",
]

_PREFIX = "probability:"
_ERROR_COLUMNS = ("path", "stage", "error", "hint")
_COLUMNS = (
    "rank",
    "path",
    "status",
    "band",
    "probability",
    "threshold",
    "label",
    "ood_score",
    "reason",
    "patient_id",
    "study_uid",
    "series_uid",
    "sop_uid",
    "heatmap",
    "model",
    "model_sha256",
    "thumbnail",
)
_GROUPS = {Band.FLAG: 0, Band.REVIEW: 1, Band.NO_FLAG: 2}
_OUT_OF_SCOPE, _ERROR = 3, 4
_FORMULA = (
    *"=+-@\t\r\n'",
    "\N{FULLWIDTH EQUALS SIGN}",
    "\N{FULLWIDTH PLUS SIGN}",
    "\N{FULLWIDTH HYPHEN-MINUS}",
    "\N{FULLWIDTH COMMERCIAL AT}",
)
"""How a cell begins that a spreadsheet would execute, or that we prefixed already."""


@dataclass(frozen=True)
class WorklistRow:
    """One line of worklist.csv: what became of one image.

    Attributes:
        rank: 1 for the most urgent.
        path: Relative to the run's root where it lies below it; see `RunRecord.root`.
        status: ok, out_of_scope or error.
        band: flag, review or no-flag; None unless the status is ok.
        probability: The main label's, 0 to 1; None where the network was not run.
        threshold: The main label's flag threshold; None likewise.
        label: The main label; empty likewise.
        ood_score: Distance from the training images; None where not measured.
        reason: Why it is out of scope or an error; empty if ok.
        patient_id: As the file says, or a pseudonym, see `RunRecord.patients`; empty
            if the file says none.
        study_uid: As the file says, or empty; so are the two others.
        heatmap: Overlay below the output folder, such as "heatmaps/3f....jpg", or "".
        model: Name of the bundle.
        model_sha256: Checksum of its weights.
        thumbnail: Small picture below the output folder, or "". The heatmap, where
            there is one, has the same size and lies exactly on it.
        probabilities: Every label's; empty where the network was not run.
    """

    rank: int
    path: str
    status: Status
    model: str
    model_sha256: str
    band: Band | None = None
    probability: float | None = None
    threshold: float | None = None
    label: str = ""
    ood_score: float | None = None
    reason: str = ""
    patient_id: str = ""
    study_uid: str = ""
    series_uid: str = ""
    sop_uid: str = ""
    heatmap: str = ""
    thumbnail: str = ""
    probabilities: Mapping[str, float] | None = None

    @classmethod
    def of(cls, case: CaseResult, *, rank: int, model: str, model_sha256: str) -> Self:
        """Make the line of one case."""
        found = case.prediction
        scores: dict[str, Any] = {}
        if found is not None:
            scores = {
                "probability": found.probability,
                "threshold": found.thresholds[found.label],
                "label": found.label,
                "ood_score": found.ood_score,
                "probabilities": dict(found.probabilities),
            }
        return cls(
            rank=rank,
            path=case.path,
            status=case.status,
            band=case.band,
            reason=case.reason,
            heatmap=case.heatmap,
            thumbnail=case.thumbnail,
            model=model,
            model_sha256=model_sha256,
            patient_id=case.identity.get("patient_id") or "",
            study_uid=case.identity.get("study_uid") or "",
            series_uid=case.identity.get("series_uid") or "",
            sop_uid=case.identity.get("sop_uid") or "",
            **scores,
        )


@dataclass(frozen=True)
class ErrorRow:
    """One line of errors.csv: a file that could not be read, and what to do."""

    path: str
    stage: str
    error: str
    hint: str


def columns(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the column names of worklist.csv for a model's labels.

    Examples:
        >>> columns(["abnormal"])[-2:]
        ('thumbnail', 'probability:abnormal')
    """
    return (*_COLUMNS, *(_PREFIX + label for label in labels))


def rank_key(case: CaseResult) -> tuple[int, float, str]:
    """Return what the worklist is sorted by, rising.

    Flag, review, no-flag, each by falling probability; then out of scope; then errors;
    ties by path. Probabilities count as printed, to six decimals.
    """
    if case.status is Status.ERROR:
        return _ERROR, 0.0, case.path
    if case.status is Status.OUT_OF_SCOPE or case.band is None:
        return _OUT_OF_SCOPE, 0.0, case.path
    probability = 0.0 if case.prediction is None else case.prediction.probability
    return _GROUPS[case.band], -round(probability, 6), case.path


def safe_cell(text: str) -> str:
    """Return text that no spreadsheet executes as a formula.

    An apostrophe goes before text that begins like a formula, as spreadsheets do
    themselves, and before an apostrophe, so that `plain_text` can take it off again.

    Examples:
        >>> safe_cell("=HYPERLINK(1)")
        "'=HYPERLINK(1)"
        >>> plain_text(safe_cell("'tis"))
        "'tis"
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def plain_text(cell: str) -> str:
    """Return the text that `safe_cell` was given."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_FORMULA) else cell


def write_worklist(
    path: Path, rows: Iterable[WorklistRow], *, labels: Iterable[str]
) -> None:
    """Write worklist.csv whole or not at all, one row at a time.

    Raises:
        OutputError: If it cannot be written.
    """
    names = tuple(labels)
    with whole_file(path) as binary:
        file = _csv_text(binary)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(safe_cell(name) for name in columns(names))
        for row in rows:
            writer.writerow(_cells(row, names))
        file.detach()


def read_worklist(path: Path) -> Iterator[WorklistRow]:
    """Yield the rows of worklist.csv, from the most urgent on.

    Raises:
        DataError: If it is missing, or a row is not as `write_worklist` writes it.
    """
    for number, cells in _csv_rows(path, _COLUMNS):
        try:
            yield _row(cells)
        except (KeyError, ValueError) as error:
            msg = f"{path} line {number} is not a worklist row: {error}"
            raise DataError(msg, hint="Make it again: medcnn report DIR.") from error


def write_errors(path: Path, rows: Iterable[ErrorRow]) -> None:
    """Write errors.csv whole or not at all.

    Raises:
        OutputError: If it cannot be written.
    """
    with whole_file(path) as binary:
        file = _csv_text(binary)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_ERROR_COLUMNS)
        for row in rows:
            cells = (row.path, row.stage, row.error, row.hint)
            writer.writerow(safe_cell(cell) for cell in cells)
        file.detach()


def read_errors(path: Path) -> Iterator[ErrorRow]:
    """Yield the rows of errors.csv.

    Raises:
        DataError: If it is missing or has other columns.
    """
    for _, cells in _csv_rows(path, _ERROR_COLUMNS):
        yield ErrorRow(*(cells[name] for name in _ERROR_COLUMNS))


def _csv_text(binary: IO[bytes]) -> io.TextIOWrapper:
    return io.TextIOWrapper(binary, "utf-8", newline="", write_through=True)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _cells(row: WorklistRow, labels: tuple[str, ...]) -> list[str]:
    """Return the cells of a row in the order of `columns`."""
    texts = {name: safe_cell(str(getattr(row, name) or "")) for name in _COLUMNS}
    for name in ("probability", "threshold", "ood_score"):
        texts[name] = _number(getattr(row, name))
    scores = row.probabilities or {}
    return [*texts.values(), *(_number(scores.get(label)) for label in labels)]


def _row(cells: Mapping[str, str]) -> WorklistRow:
    """Turn the cells of a line back into a row."""
    parts: dict[str, Any] = {name: cells[name] for name in _COLUMNS}
    for name in ("probability", "threshold", "ood_score"):
        parts[name] = float(parts[name]) if parts[name] else None
    parts["rank"] = int(parts["rank"])
    parts["status"] = Status(parts["status"])
    parts["band"] = Band(parts["band"]) if parts["band"] else None
    scores = {
        name.removeprefix(_PREFIX): float(cell)
        for name, cell in cells.items()
        if name.startswith(_PREFIX) and cell
    }
    return WorklistRow(**parts, probabilities=scores)


def _csv_rows(
    path: Path, expected: tuple[str, ...]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, plain cells by column name) of a CSV file of ours.

    Raises:
        DataError: If it is missing, broken, or lacks a column.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file, strict=True)
            names = [plain_text(cell) for cell in next(reader, [])]
            missing = [name for name in expected if name not in names]
            if missing:
                msg = f"{path} lacks the columns {', '.join(missing)}."
                raise DataError(msg, hint="Make it again: medcnn report DIR.")
            for cells in reader:
                texts = (plain_text(cell) for cell in cells)
                yield reader.line_num, dict(zip(names, texts, strict=True))
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}."
        raise DataError(msg, hint="Is this the output of medcnn screen?") from error
    except (csv.Error, UnicodeDecodeError, ValueError) as error:
        msg = f"{path} is broken: {error}."
        raise DataError(msg, hint="Make it again: medcnn report DIR.") from error
