"""The table's other columns as numbers: age, sex, view, device."""

import math
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from medcnn.dataset import CaseTable

__all__ = ["metadata_features"]

_MOST_VALUES = 20
_NUMBERS = 0.8


def metadata_features(
    table: CaseTable, *, without: Collection[str] = ()
) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """Return the usable columns as numbers.

    A column whose cells are nearly all numbers is one: blanks become its median, and a
    column says where they were. One with at most 20 different words becomes a column of
    0 and 1 for each. Any other (names, notes) is left out, as is one with one value.

    Args:
        table: Cases.
        without: Columns that are left out, such as another reader's opinion.

    Returns:
        (N, D) and the names of the columns that were used.
    """
    names = sorted({key for case in table.cases for key in case.attributes})
    parts: list[npt.NDArray[np.float64]] = []
    used = []
    for name in names:
        if name in without:
            continue
        cells = table.column(name)
        found = _numbers(cells)
        if found is None:
            found = _words(cells)
        if found is not None:
            parts.append(found)
            used.append(name)
    if not parts:
        return np.zeros((len(table.cases), 0), np.float32), ()
    return np.column_stack(parts).astype(np.float32), tuple(used)


def _numbers(cells: Sequence[str]) -> npt.NDArray[np.float64] | None:
    """Return a column of numbers and where they lack; None if they are words."""
    values = np.array([_number(cell) for cell in cells])
    filled = sum(bool(cell) for cell in cells)
    known = np.isfinite(values)
    if not filled or known.sum() < _NUMBERS * filled or known.sum() < 2:
        return None
    if len(np.unique(values[known])) < 2:
        return None
    whole = np.where(known, values, np.median(values[known]))
    return whole[:, None] if known.all() else np.column_stack([whole, ~known])


def _number(cell: str) -> float:
    """Read a number; DICOM's ages (063Y) are numbers of years."""
    years = cell[:-1] if len(cell) == 4 and cell.endswith("Y") else cell
    try:
        value = float(years)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _words(cells: Sequence[str]) -> npt.NDArray[np.float64] | None:
    words = sorted(set(cells))
    if not 2 <= len(words) <= _MOST_VALUES:
        return None
    column = np.array(cells, dtype=object)
    return np.column_stack([(column == word).astype(np.float64) for word in words])
