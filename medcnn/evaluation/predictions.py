"""Scores beside truth: what an evaluation is made of, whatever tool gave them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from medcnn.errors import DataError, LeakageError
from medcnn.metrics.classes import cluster_codes

__all__ = ["Predictions", "ScoreKind", "refuse_shared_patients"]

FloatArray = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
ScoreKind = Literal["probability", "score"]

_SUM_TOLERANCE = 0.005 + 1e-9
"""How far from 1 the sum of classes may be, for each class: two decimals are enough."""

_NAMED = 5


@dataclass(frozen=True, eq=False)
class Predictions:
    """One row for each case: what is true, and what a model says.

    Attributes:
        source: Where they come from, for messages.
        labels: The main label first.
        cases: A name of each case, no two alike, (N,).
        truth: 1 or 0, NaN where unknown, (N, L).
        score: (N, L); NaN where there is none, which only a case whose status is not
            "ok" may have.
        kind: "probability" for values in [0, 1] that claim to be one, "score" for
            any numbers of which higher means more likely.
        patients: Whose each case is, (N,); "" where not known.
        splits: train, val or test, (N,); "" where not known.
        statuses: "ok", "out_of_scope" or "error", (N,).
        reasons: Why a case is not "ok", (N,).
        columns: What subgroups are made of: name to (N,) values, "" where blank.
    """

    source: str
    labels: tuple[str, ...]
    cases: tuple[str, ...]
    truth: FloatArray
    score: FloatArray
    kind: ScoreKind = "probability"
    patients: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )

    def __post_init__(self) -> None:
        blanks = ("patients", ""), ("splits", ""), ("statuses", "ok"), ("reasons", "")
        for name, blank in blanks:
            if not getattr(self, name):
                object.__setattr__(self, name, (blank,) * len(self.cases))

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def has_patients(self) -> bool:
        """Whether every case says whose it is."""
        return bool(self.cases) and all(self.patients)

    @cached_property
    def clusters(self) -> npt.NDArray[np.intp]:
        """Number of what belongs together, (N,): the patient; the case if unknown."""
        named = zip(self.patients, self.cases, strict=True)
        return cluster_codes([(p, "") if p else ("", c) for p, c in named], len(self))

    @property
    def is_ok(self) -> Flags:
        """Which cases have an answer that counts, (N,)."""
        return np.array([status == "ok" for status in self.statuses], dtype=bool)

    @property
    def is_exclusive(self) -> bool:
        """Whether the labels are classes of which exactly one is true, and told so.

        That is: more than one label, each known truth one-hot, and where the values are
        probabilities each row of them sums to 1, as rounded to two decimals or more.
        """
        if len(self.labels) < 2 or not len(self):
            return False
        known = ~np.isnan(self.truth).any(axis=1)
        half_known = np.isnan(self.truth).any(axis=1) & ~np.isnan(self.truth).all(
            axis=1
        )
        one_hot = bool((self.truth[known].sum(axis=1) == 1).all())
        if not known.any() or half_known.any() or not one_hot:
            return False
        scored = self.score[~np.isnan(self.score).any(axis=1)]
        sums = np.abs(scored.sum(axis=1) - 1) <= _SUM_TOLERANCE * len(self.labels)
        return self.kind == "score" or bool(sums.all())

    def only(self, chosen: Flags) -> "Predictions":
        """Return the chosen cases; `chosen` has shape (N,)."""
        return self if chosen.all() else self.take(np.flatnonzero(chosen))

    def take(self, at: npt.NDArray[np.intp]) -> "Predictions":
        """Return these cases, in this order."""

        def pick(values: Sequence[str]) -> tuple[str, ...]:
            return tuple(values[n] for n in at)

        return replace(
            self,
            cases=pick(self.cases),
            truth=self.truth[at],
            score=self.score[at],
            patients=pick(self.patients),
            splits=pick(self.splits),
            statuses=pick(self.statuses),
            reasons=pick(self.reasons),
            columns=MappingProxyType({k: pick(v) for k, v in self.columns.items()}),
        )

    def part(self, split: str) -> "Predictions":
        """Return the cases of one split.

        Raises:
            DataError: If there are none.
        """
        chosen = np.array([name == split for name in self.splits], dtype=bool)
        if not chosen.any():
            known = ", ".join(sorted({name for name in self.splits if name})) or "none"
            msg = f"{self.source} has no case with split {split}; it has {known}"
            raise DataError(msg, hint="Choose another --split, or fill the column.")
        return self.only(chosen)

    def counts_for(self, label: str) -> Flags:
        """Return which cases have a truth and a usable answer for a label, (N,)."""
        return self.is_ok & ~np.isnan(self.truth[:, self.labels.index(label)])

    def known(self, label: str) -> tuple[FloatArray, FloatArray]:
        """Return truth and score of the cases that count for a label."""
        n, use = self.labels.index(label), self.counts_for(label)
        return self.truth[use, n], self.score[use, n]

    def sha256(self) -> str:
        """Return one checksum of all cases, patients, splits and truths, no scores."""
        digest = hashlib.sha256(repr(self.labels).encode())
        rows: Iterable[tuple[object, ...]] = zip(
            self.cases, self.patients, self.splits, self.truth.tolist(), strict=True
        )
        for row in rows:
            digest.update(repr(row).encode())
        for name in sorted(self.columns):
            digest.update(repr((name, self.columns[name])).encode())
        return digest.hexdigest()


def refuse_shared_patients(one: Predictions, other: Predictions, what: str) -> None:
    """Refuse patients or cases that are in both of two sets.

    Raises:
        LeakageError: If there are any; it names some.
    """
    shared = {p for p in one.patients if p} & {p for p in other.patients if p}
    kind = "patients are"
    if not shared:
        shared, kind = set(one.cases) & set(other.cases), "cases are"
    if shared:
        named = sorted(shared)
        some = ", ".join(named[:_NAMED]) + (", ..." if len(named) > _NAMED else "")
        msg = f"{one.source}: {len(shared)} {kind} {what}: {some}"
        hint = "Give all images of a patient the same split."
        raise LeakageError(msg, hint=hint)
