"""Data sets in one .npz, laid out as MedMNIST's, to cases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medcnn.dataset.cases import Case, CaseTable
from medcnn.dataset.known import Known, known_set
from medcnn.dataset.order import in_order
from medcnn.errors import DataError, ReadError
from medcnn.io.data_set import Item, labels_of, parts_of

__all__ = ["read_data_set"]

_Labels = npt.NDArray[Any]
_Truth = Mapping[str, float | None]
_NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})


def read_data_set(file: Path, *, labels: Sequence[str] = ()) -> CaseTable:
    """Read the cases of a .npz; its published splits are kept.

    One column of labels holds class numbers. Several columns hold 1 and 0, one column
    for each label. The sets of MedMNIST are known by their file names; of others,
    classes and labels are called by their numbers.

    Args:
        file: The .npz.
        labels: The labels or classes to use, the main one first; none means all.

    Raises:
        DataError: If the labels are none, or those asked for are not there.
    """
    try:
        parts = {part: labels_of(file, part) for part in parts_of(file)}
    except ReadError as error:
        raise DataError(error.message, hint=error.hint) from error
    widths = {part: values.shape[1] for part, values in parts.items()}
    if len(set(widths.values())) > 1:
        msg = f"{file}: the splits have different numbers of labels: {widths}"
        raise DataError(msg)
    known = known_set(file.stem)
    together = np.concatenate(list(parts.values()))
    meaning = _labels(file, together, known, labels)
    cases = tuple(
        Case(Item(file, part, number).path, meaning.truth(row), None, part)
        for part, values in parts.items()
        for number, row in enumerate(values.tolist())
    )
    modality = known.modality if known else None
    return CaseTable(
        file,
        meaning.names,
        meaning.activation,
        cases,
        kind="data set",
        modality=modality,
        laterality=known.laterality if known else None,
    )


@dataclass(frozen=True)
class _Meaning:
    """What rows of numbers mean; equal rows share one record, to be light.

    Attributes:
        names: The labels, the main one first.
        activation: As in `CaseTable`.
        by_row: Truths by the row's numbers.
    """

    names: tuple[str, ...]
    activation: Literal["sigmoid", "softmax"]
    by_row: Mapping[tuple[int, ...], _Truth]

    def truth(self, row: Sequence[int]) -> _Truth:
        """Return the truths of one row."""
        return self.by_row[tuple(row)]


def _labels(
    file: Path, rows: _Labels, known: Known | None, asked: Sequence[str]
) -> _Meaning:
    """Decide what the columns of labels mean.

    Raises:
        DataError: If they hold what no label holds, or one asked for is not there.
    """
    several = rows.shape[1] > 1
    if several and not np.isin(rows, (0, 1)).all():
        at = np.unique(rows[~np.isin(rows, (0, 1))])[0]
        msg = f"{file}: a column of labels holds {at}, expected 1 and 0 in each"
        raise DataError(msg, hint="One column of class numbers is read too.")
    numbers = range(rows.shape[1]) if several else np.unique(rows).tolist()
    called = known.classes if known else {}
    names = {number: called.get(number, str(number)) for number in numbers}
    order = tuple(names.values())
    if not several:  # of two classes, 1 is what is looked for
        order = in_order(order[::-1] if len(order) == 2 else order)
    missing = [label for label in asked if label not in order]
    if missing:
        kind = "label" if several else "class"
        msg = f"{file} has no {kind} {missing[0]!r}, it has {', '.join(order)}"
        raise DataError(msg)
    chosen = tuple(asked) or order
    if not several and set(chosen) != set(order):
        msg = f"{file}: all of its classes are needed, {', '.join(order)}"
        raise DataError(msg, hint="Name all of them, the main one first.")
    distinct = {tuple(row) for row in np.unique(rows, axis=0).tolist()}
    if several:
        at = {name: number for number, name in names.items()}
        truths = {row: {x: float(row[at[x]]) for x in chosen} for row in distinct}
    else:
        truths = {
            row: {x: float(names[row[0]] == x) for x in chosen} for row in distinct
        }
    frozen = {row: MappingProxyType(truth) for row, truth in truths.items()}
    return _Meaning(chosen, "sigmoid" if several else "softmax", frozen)
