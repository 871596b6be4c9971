"""predictions.csv: read from any tool, refused by row and column; written whole."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from medcnn.errors import DataError
from medcnn.evaluation.predictions import Predictions, ScoreKind
from medcnn.outputs import write_whole
from medcnn.pseudonyms import refuse_mixed
from medcnn.worklist import plain_text, safe_cell

__all__ = ["PREDICTIONS", "read_predictions", "write_predictions"]

PREDICTIONS = "predictions.csv"

_TRUTH, _PROBABILITY, _SCORE = "truth:", "probability:", "score:"
_RESERVED = ("case", "patient_id", "split", "status", "reason")
_TRUTHS = {"1": 1.0, "1.0": 1.0, "0": 0.0, "0.0": 0.0, "": math.nan}
_SPLITS = ("", "train", "val", "test")
_STATUSES = ("ok", "out_of_scope", "error")
_SHAPE = "case,patient_id,split,truth:<label>,probability:<label>"


def read_predictions(path: str | Path, *, scores: bool = False) -> Predictions:
    """Read predictions of any tool.

    Args:
        path: A CSV or TSV table (semicolons with decimal commas will do) with `case`,
            for each label `truth:<label>` (1, 0, blank = unknown) and
            `probability:<label>` (0 to 1), and optionally `patient_id`, `split`,
            `status` (ok, out_of_scope, error) and `reason`. All other columns are what
            subgroups are made of.
        scores: Whether the values are no probabilities but any numbers of which higher
            means more likely. Columns named `score:<label>` say so themselves.

    Raises:
        DataError: If something is missing or wrong; it names row and column.
    """
    file = Path(path)
    header, lines = _lines(file)
    labels, prefix = _labels(file, header)
    kind: ScoreKind = "score" if scores or prefix == _SCORE else "probability"
    cells = _Cells(file, header, lines)
    cases = cells.column("case")
    _refuse_twice(file, cells, cases)
    patients = cells.column("patient_id")
    refuse_mixed(patients, file)
    statuses = cells.choices("status", _STATUSES, default="ok")
    truth = np.column_stack([cells.truth(f"{_TRUTH}{x}") for x in labels])
    values = [cells.score(f"{prefix}{x}", statuses, kind) for x in labels]
    taken = {*_RESERVED}
    taken |= {f"{start}{x}" for start in (_TRUTH, prefix) for x in labels}
    return Predictions(
        source=str(file),
        labels=labels,
        cases=cases,
        truth=truth,
        score=np.column_stack(values),
        kind=kind,
        patients=patients,
        splits=cells.choices("split", _SPLITS, default=""),
        statuses=statuses,
        reasons=cells.column("reason"),
        columns=MappingProxyType(
            {name: cells.column(name) for name in header if name not in taken}
        ),
    )


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write predictions.csv whole; reading it again gives the same.

    Words that a spreadsheet would execute get an apostrophe, which reading takes off.

    Raises:
        OutputError: If it cannot be written.
    """
    prefix = _PROBABILITY if predictions.kind == "probability" else _SCORE
    is_all_ok = bool(predictions.is_ok.all())
    header = ["case", "patient_id", "split"]
    columns: list[Sequence[str]] = [
        predictions.cases,
        predictions.patients,
        predictions.splits,
    ]
    if not is_all_ok:
        header += ["status", "reason"]
        columns += [predictions.statuses, predictions.reasons]
    for n, label in enumerate(predictions.labels):
        header += [f"{_TRUTH}{label}", f"{prefix}{label}"]
        columns.append([_truth_cell(v) for v in predictions.truth[:, n].tolist()])
        columns.append([_score_cell(v) for v in predictions.score[:, n].tolist()])
    header += list(predictions.columns)
    columns += predictions.columns.values()
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for row in (header, *zip(*columns, strict=True)):
        writer.writerow(map(_inert, row))
    write_whole(path, text.getvalue().encode())


def _inert(cell: str) -> str:
    """Return a cell that executes nothing; negative numbers are none that do."""
    try:
        float(cell)
    except ValueError:
        return safe_cell(cell)
    return cell


def _truth_cell(value: float) -> str:
    return "" if math.isnan(value) else str(int(value))


def _score_cell(value: float) -> str:
    return "" if math.isnan(value) else repr(value)


def _lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return header and rows, numbered as a spreadsheet numbers them.

    Raises:
        DataError: If it is no table, or a row has another number of cells.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = _delimiter(path, file.readline())
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header = [plain_text(name.strip()) for name in next(reader, [])]
            lines = [
                (reader.line_num, [plain_text(cell) for cell in row])
                for row in reader
                if any(map(str.strip, row))
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path} cannot be read as a table: {error}"
        raise DataError(msg) from error
    if len(set(header)) < len(header):
        twice = sorted({name for name in header if header.count(name) > 1})
        msg = f"{path} has two columns of the same name: {', '.join(twice)}"
        raise DataError(msg)
    if not lines:
        msg = f"{path} holds no case"
        raise DataError(msg, hint=f"Its header must be {_SHAPE}, then a row each.")
    for number, row in lines:
        if len(row) != len(header):
            msg = f"{path}, row {number}: {len(row)} cells, the header has "
            raise DataError(msg + str(len(header)))
    if delimiter == ";":
        lines = [(number, _with_points(header, row)) for number, row in lines]
    return header, lines


def _delimiter(path: Path, first: str) -> str:
    """Return what parts the cells, by the name of the file and its first line."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    return ";" if ";" in first and "," not in first else ","


def _with_points(header: Sequence[str], row: Sequence[str]) -> list[str]:
    """Return a row whose truths and scores have decimal points.

    Where semicolons part the cells, as spreadsheets of many countries write them, a
    comma is the decimal one.
    """
    numbers = (_TRUTH, _PROBABILITY, _SCORE)
    return [
        cell.replace(",", ".", 1) if name.startswith(numbers) else cell
        for name, cell in zip(header, row, strict=True)
    ]


def _labels(path: Path, header: list[str]) -> tuple[tuple[str, ...], str]:
    """Return the labels, and how the columns of their scores begin.

    Raises:
        DataError: If there are none, or a truth or a score lacks its partner.
    """
    kinds = [x for x in (_PROBABILITY, _SCORE) if any(n.startswith(x) for n in header)]
    truths = [n.removeprefix(_TRUTH) for n in header if n.startswith(_TRUTH)]
    hint = f"Expected columns: {_SHAPE}."
    if "case" not in header or not truths or len(kinds) != 1:
        msg = f"{path} is no table of predictions, its header is {header}"
        raise DataError(msg, hint=hint)
    (prefix,) = kinds
    if "" in truths:
        msg = f"{path} has a column {_TRUTH!r} without a label"
        raise DataError(msg, hint=hint)
    scored = [n.removeprefix(prefix) for n in header if n.startswith(prefix)]
    for label in truths:
        if label not in scored:
            msg = f"{path} has {_TRUTH}{label} but no {prefix}{label}"
            raise DataError(msg, hint=hint)
    for label in scored:
        if label not in truths:
            msg = f"{path} has {prefix}{label} but no {_TRUTH}{label}"
            raise DataError(msg, hint=hint)
    return tuple(truths), prefix


@dataclass(frozen=True)
class _Cells:
    """The cells of a table, and where they stand for messages."""

    path: Path
    header: list[str]
    lines: list[tuple[int, list[str]]]

    def column(self, name: str) -> tuple[str, ...]:
        """Return a column; nothing if there is none."""
        if name not in self.header:
            return ()
        at = self.header.index(name)
        return tuple(row[at].strip() for _, row in self.lines)

    def choices(
        self, name: str, known: Sequence[str], *, default: str
    ) -> tuple[str, ...]:
        """Return a column that holds nothing but the known words.

        Raises:
            DataError: If a cell holds another.
        """
        values = self.column(name) or (default,) * len(self.lines)
        values = tuple(value or default for value in values)
        for (number, _), value in zip(self.lines, values, strict=True):
            if value not in known:
                words = ", ".join(word for word in known if word)
                msg = f"{self._at(number, name)}: got {value!r}, expected {words}"
                hint = f"Rename the column if its {name!r} means something else."
                raise DataError(msg, hint=hint)
        return values

    def truth(self, name: str) -> list[float]:
        """Return 1, 0 or NaN where blank.

        Raises:
            DataError: If a cell holds anything else.
        """
        values = []
        for (number, _), cell in zip(self.lines, self.column(name), strict=True):
            if cell not in _TRUTHS:
                msg = f"{self._at(number, name)}: got {cell!r}, expected 1, 0 or "
                raise DataError(msg + "nothing (unknown)")
            values.append(_TRUTHS[cell])
        return values

    def score(self, name: str, statuses: Sequence[str], kind: ScoreKind) -> list[float]:
        """Return finite numbers, NaN where a case without answer has none.

        Raises:
            DataError: If a cell holds anything else.
        """
        values = []
        cells = zip(self.lines, self.column(name), statuses, strict=True)
        for (number, _), cell, status in cells:
            if not cell and status != "ok":
                values.append(math.nan)
                continue
            value = _number(cell)
            fits = math.isfinite(value) and (kind == "score" or 0 <= value <= 1)
            if not fits:
                error = _wrong_score(self._at(number, name), cell, value, kind)
                raise error
            values.append(value)
        return values

    def _at(self, number: int, name: str) -> str:
        return f"{self.path}, row {number}, column {name!r}"


def _wrong_score(where: str, cell: str, value: float, kind: ScoreKind) -> DataError:
    """Return the error that says what is wrong with a score, and what to do."""
    expected = "a probability, 0 to 1" if kind == "probability" else "a finite number"
    hint = ""
    if not cell or math.isnan(value):
        hint = "A case without answer needs out_of_scope or error as its status."
    elif math.isfinite(value):
        hint = "If these are scores, no probabilities: --scores."
    return DataError(f"{where}: got {cell!r}, expected {expected}.", hint=hint)


def _number(cell: str) -> float:
    """Return a number as tables write it; NaN for anything else."""
    try:
        return math.nan if "_" in cell else float(cell)
    except ValueError:
        return math.nan


def _refuse_twice(path: Path, cells: _Cells, cases: Sequence[str]) -> None:
    """Refuse a case without a name, or one that stands in two rows.

    Raises:
        DataError: If there is one.
    """
    first: dict[str, int] = {}
    for (number, _), case in zip(cells.lines, cases, strict=True):
        if not case:
            msg = f"{path}, row {number}, column 'case': got nothing, expected a name"
            raise DataError(msg)
        if case in first:
            msg = f"{path} names case {case!r} twice, in rows {first[case]} and "
            msg += str(number)
            raise DataError(msg, hint="Average them, or name them apart.")
        first[case] = number
