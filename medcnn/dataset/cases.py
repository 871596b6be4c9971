"""Labelled images: frozen records."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from medcnn.dataset.places import Place
from medcnn.errors import DataError

__all__ = ["LEFT_OUT", "SPLITS", "Case", "CaseTable", "Kind"]

SPLITS = ("train", "val", "test")
LEFT_OUT = "left out"
"""Split of a case that takes no part: val or test holds a copy of its image."""

Kind = Literal["table", "folder", "data set"]


@dataclass(frozen=True)
class Case:
    """One labelled image.

    Attributes:
        path: The image, or the folder of a series.
        truth: 1 or 0 for each label, None where unknown; the main label first.
        patient_id: Whose image it is, None where nothing says.
        split: train, val or test, or `LEFT_OUT`; None where nothing says.
        attributes: The table's other columns: what subgroups are made of.
        places: Where in the image labels are, as far as that is known.
    """

    path: Path
    truth: Mapping[str, float | None]
    patient_id: str | None = None
    split: str | None = None
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    places: Mapping[str, Place] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class CaseTable:
    """Labelled images that belong together.

    Attributes:
        source: The table or folder they were read from.
        labels: The main label first.
        activation: "sigmoid" for labels that may occur together, "softmax" for classes
            of which exactly one is true.
        cases: In the order of the table.
        kind: What they were read from; the splits of a "data set" were published.
        modality: DICOM code of what all images are, where the source as a whole says
            it; None where it does not.
        laterality: Whether left and right mean something, where the source says it.
    """

    source: Path
    labels: tuple[str, ...]
    activation: Literal["sigmoid", "softmax"]
    cases: tuple[Case, ...]
    kind: Kind = "table"
    modality: str | None = None
    laterality: bool | None = None

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
