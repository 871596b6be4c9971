"""Subgroups: every further column, its values, and how well the model does on each."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from medcnn.errors import UndefinedMetricError
from medcnn.evaluation.records import Estimate, Subgroup, SubgroupValue
from medcnn.evaluation.shares import share
from medcnn.metrics.roc import clustered_ci, group_difference

__all__ = ["Group", "Sides", "groups_of", "measure_groups"]

FloatArray = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

MOST_VALUES = 20
"""Different words of a column; more are names, not groups."""

FEWEST = 10
"""Diseased and healthy that a group needs to be judged at all."""

BLANK = "not stated"

_AGE_EDGES = (0, 18, 40, 60, 80)
_AGE = re.compile(r"0*(\d+(?:\.\d+)?)\s*[Yy]?")
_FEW_NUMBERS = 6
METHOD = "DeLong, clustered"


@dataclass(frozen=True, eq=False)
class Group:
    """The values of a column: which group each case is in.

    Attributes:
        column: Its name.
        values: The groups in the order to be shown.
        of: Which of them, for each case, (N,).
    """

    column: str
    values: tuple[str, ...]
    of: npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Sides:
    """What a label's groups are measured on.

    Attributes:
        truth: 1 or 0, (N,).
        score: (N,).
        clusters: Number of whose each case is, (N,).
        has_patients: Whether clusters are patients.
        threshold: The main operating point; None if there is none.
    """

    truth: FloatArray
    score: FloatArray
    clusters: npt.NDArray[np.intp]
    has_patients: bool
    threshold: float | None

    def only(self, chosen: Flags) -> "Sides":
        """Return the chosen cases."""
        return replace(
            self,
            truth=self.truth[chosen],
            score=self.score[chosen],
            clusters=self.clusters[chosen],
        )


def groups_of(
    columns: Mapping[str, Sequence[str]],
) -> tuple[tuple[Group, ...], dict[str, str]]:
    """Make groups of columns: words as they are, numbers in bands.

    Ages go to the bands 0-17, 18-39, 40-59, 60-79 and 80 and more; other numbers to
    quarters of the cases. Blank cells are a group of their own.

    Returns:
        The groups, and for each column that makes none the reason.
    """
    found, left_out = [], {}
    for name, cells in columns.items():
        values = [cell or BLANK for cell in cells]
        numbers = _numbers(name, cells)
        if numbers is not None:
            values = _banded(name, numbers)
        order = list(dict.fromkeys(values)) if numbers is None else _by_edge(values)
        if numbers is None:
            order.sort(key=lambda value: (value == BLANK, value))
        if len(order) > MOST_VALUES:
            left_out[name] = f"{len(order)} different values are no groups"
        elif len(order) < 2:
            left_out[name] = "one value only"
        else:
            at = {value: n for n, value in enumerate(order)}
            of = np.array([at[value] for value in values], dtype=np.intp)
            found.append(Group(name, tuple(order), of))
    return tuple(found), left_out


def measure_groups(
    groups: Sequence[Group], sides: Sides, use: Flags
) -> tuple[Subgroup, ...]:
    """Measure a label on every group.

    Args:
        groups: Of all cases.
        sides: The cases that count for the label, (N,).
        use: Which of all cases those are.
    """
    found = []
    for group in groups:
        of = group.of[use]
        rows = [
            _measure(value, sides, of == n)
            for n, value in enumerate(group.values)
            if (of == n).any()
        ]
        found.append(Subgroup(column=group.column, values=tuple(rows)))
    return tuple(found)


def _measure(value: str, sides: Sides, chosen: Flags) -> SubgroupValue:
    """Measure one group."""
    part = sides.only(chosen)
    positive = int((part.truth == 1).sum())
    negative = part.truth.size - positive
    auroc, note = None, ""
    try:
        area, low, high = clustered_ci(part.truth, part.score, part.clusters)
        auroc = Estimate(value=area, ci95=(low, high), method=METHOD)
    except UndefinedMetricError as error:
        note = error.message
    called = None if part.threshold is None else part.score >= part.threshold
    return SubgroupValue(
        value=value,
        n=part.truth.size,
        n_patients=len(np.unique(part.clusters)) if part.has_patients else None,
        n_positive=positive,
        n_negative=negative,
        auroc=auroc,
        difference=_difference(sides, chosen),
        sensitivity=_share_where(part, called, 1),
        specificity=_share_where(part, called, 0),
        is_small=min(positive, negative) < FEWEST,
        note=note,
    )


def _share_where(sides: Sides, called: Flags | None, truth: int) -> Estimate | None:
    """Return the share of right calls among the diseased (1) or the healthy (0)."""
    if called is None:
        return None
    of = sides.truth == truth
    return share(called[of] == bool(truth), sides.clusters[of])


def _difference(sides: Sides, chosen: Flags) -> Estimate | None:
    """Return the area of a group less that of all others, None if one is undefined."""
    try:
        found = group_difference(sides.truth, sides.score, chosen, sides.clusters)
    except UndefinedMetricError:
        return None
    return Estimate(value=found.difference, ci95=(found.low, found.high), method=METHOD)


def _numbers(name: str, cells: Sequence[str]) -> list[float | None] | None:
    """Return a column's numbers, None where blank; None if it holds words or few."""
    found: list[float | None] = []
    pattern = _AGE if _is_age(name) else None
    for cell in cells:
        if not cell:
            found.append(None)
            continue
        match = pattern.fullmatch(cell) if pattern else None
        try:
            value = float(match[1] if match else cell)
        except ValueError:
            return None
        if not math.isfinite(value):
            return None
        found.append(value)
    different = {value for value in found if value is not None}
    return found if len(different) > _FEW_NUMBERS else None


def _is_age(name: str) -> bool:
    return "age" in re.split(r"[^a-z]+", name.lower())


def _banded(name: str, numbers: Sequence[float | None]) -> list[str]:
    """Return each number's band in words."""
    known = np.array([value for value in numbers if value is not None])
    if _is_age(name) and known.min() >= 0:
        edges = [float(edge) for edge in _AGE_EDGES]
        words = [f"{low}-{high - 1}" for low, high in pairwise(_AGE_EDGES)]
        words.append(f"{_AGE_EDGES[-1]} and more")
    else:
        edges = [float(e) for e in np.unique(np.quantile(known, (0, 0.25, 0.5, 0.75)))]
        words = [f"{a:g} to below {b:g}" for a, b in pairwise(edges)]
        words.append(f"{edges[-1]:g} and more")
    return [
        BLANK
        if value is None
        else words[max(int(np.searchsorted(edges, value, side="right")) - 1, 0)]
        for value in numbers
    ]


def _by_edge(values: Sequence[str]) -> list[str]:
    """Order bands by the number they begin with, "not stated" last."""

    def key(value: str) -> tuple[bool, float]:
        match = re.match(r"-?[\d.]+(?:e[+-]?\d+)?", value)
        return value == BLANK, float(match[0]) if match else 0.0

    return sorted(set(values), key=key)
