"""What another form of a network costs in area under the ROC curve, on labelled images.

One place for all forms: 8 bits, and every graph that is written for other programs.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.assessment import Run
from medcnn.assessment.answers import Progress
from medcnn.assessment.evaluating import run_model
from medcnn.assessment.truth import read_truth
from medcnn.bundle import AreaChange, OperatingPoint
from medcnn.dataset import CaseTable
from medcnn.engines.contract import Engine, Outputs
from medcnn.errors import DataError
from medcnn.evaluation import Design, Predictions
from medcnn.exporting.verifying import Runner
from medcnn.metrics.compare import paired_difference
from medcnn.model import Model

__all__ = [
    "METHOD",
    "WORST",
    "Areas",
    "answers_of",
    "area_changes",
    "compare_areas",
    "refuse_worse",
    "verified_on",
]

WORST = 0.005
"""Largest loss of area under the ROC curve that is let through."""

METHOD = "DeLong, paired, clustered by patient (Obuchowski 1997)"

_CHUNK_BYTES = 1 << 27

Tensor = npt.NDArray[np.float32]
Thresholds = Sequence[tuple[OperatingPoint, float]]


@dataclass(frozen=True)
class Areas:
    """What another form changed, measured on the same labelled images.

    Attributes:
        data: What the table is called.
        sha256: Of its cases and truths.
        split: Which were measured; "all".
        cases: How many both answered.
        patients: Of how many patients; None if not known.
        changes: For each label that the data tell.
        method: Of the intervals.
    """

    data: str
    sha256: str
    split: str
    cases: int
    patients: int | None
    changes: tuple[AreaChange, ...]
    method: str = METHOD

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values; `auroc_int8` is called by what it is here."""
        rows = []
        for one in self.changes:
            row = one.model_dump(mode="json")
            row["auroc_exported"] = row.pop("auroc_int8")
            rows.append(row | {"change": one.change})
        facts = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return facts | {"changes": rows}


def compare_areas(
    model: Model, run_form: Runner, data: str | Path, *, split: str | None, run: Run
) -> Areas:
    """Measure a model and another form of it on the same labelled images.

    Args:
        model: The open model.
        run_form: Tensors (C, ...) in, logits (images, labels) of the other form out.
        data: Labelled images.
        split: Which split is measured, or "all"; None: val, else test, else all.
        run: How images are read.

    Raises:
        DataError: If the data cannot tell the main label, or the form loses more than
            `WORST` of area.
    """
    table = read_truth(data, model.labels)
    measured = split or verified_on(table)
    other = Model(model.bundle, _Swapped(model.engine, run_form))
    before, after = answers_of((model, other), table, measured, run)
    thresholds = [(point, point.flag) for point in model.spec.operating_points]
    changes = area_changes(thresholds, before, after)
    refuse_worse(changes, "in this form", hint="Choose another --format.")
    return Areas(
        data=Path(data).name,
        sha256=before.sha256(),
        split=measured,
        cases=int((before.is_ok & after.is_ok).sum()),
        patients=len(set(before.patients)) if before.has_patients else None,
        changes=changes,
    )


def answers_of(
    models: tuple[Model, Model], table: CaseTable, split: str, run: Run
) -> tuple[Predictions, Predictions]:
    """Return what two models say of the same cases; progress counts both."""
    told = []
    for turn, model in enumerate(models):
        part = replace(run, progress=_half(run.progress, turn))
        material = run_model(model, table, Design(split=split), part)
        told.append(material.answered.predictions)
    return told[0], told[1]


def _half(progress: Progress | None, turn: int) -> Progress | None:
    """Return what counts the first or the second half of the way."""
    if progress is None:
        return None

    def advance(done: int, total: int | None) -> None:
        count = total or 0
        progress(done + turn * count, 2 * count)

    return advance


def verified_on(table: CaseTable) -> str:
    """Return the split that areas are compared on."""
    splits = {case.split for case in table.cases}
    return next((name for name in ("val", "test") if name in splits), "all")


def area_changes(
    thresholds: Thresholds, before: Predictions, after: Predictions
) -> tuple[AreaChange, ...]:
    """Compare areas and decisions, for each label that the data can tell.

    Args:
        thresholds: The model's points, the main label's first, and for each the flag
            threshold of the other form.
        before: The model's answers.
        after: The other form's, of the same cases.

    Raises:
        DataError: If the data cannot tell the main label.
    """
    found = []
    both = before.is_ok & after.is_ok
    for point, moved in thresholds:
        if point.label not in before.labels:
            continue
        place = before.labels.index(point.label)
        use = both & ~np.isnan(before.truth[:, place])
        truth = before.truth[use, place]
        if min((truth == 1).sum(), (truth == 0).sum()) < 2:
            continue
        full, small = before.score[use, place], after.score[use, place]
        apart = paired_difference(truth, small, full, before.clusters[use])
        found.append(
            AreaChange(
                label=point.label,
                n_positive=int((truth == 1).sum()),
                n_negative=int((truth == 0).sum()),
                auroc=apart.area_b,
                auroc_int8=apart.area_a,
                ci95=(apart.low, apart.high),
                flipped=float(((full >= point.flag) != (small >= moved)).mean()),
            )
        )
    main = thresholds[0][0].label
    if not found or found[0].label != main:
        msg = f"{before.source} does not tell both sides of {main}"
        raise DataError(msg, hint="Name labelled images with and without it.")
    return tuple(found)


def refuse_worse(changes: Sequence[AreaChange], words: str, *, hint: str) -> None:
    """Refuse a loss of area in the main label, or on average over all.

    Args:
        changes: The main label's first.
        words: Where it is lost, such as "at 8 bits".
        hint: What to do then.

    Raises:
        DataError: If it loses more than `WORST`.
    """
    one = changes[0]
    mean = float(np.mean([each.change for each in changes]))
    if min(one.change, mean) >= -WORST:
        return
    msg = (
        f"{words} the area of {one.label} changes by {one.change:+.4f} "
        f"({one.ci95[0]:+.4f} to {one.ci95[1]:+.4f}), on average over "
        f"{len(changes)} labels by {mean:+.4f}; at most {-WORST} is let through"
    )
    raise DataError(msg, hint=hint)


class _Swapped:
    """An engine that takes logits from another form, and all else from the first.

    So that the gate judges the same cases, and only answers can differ.
    """

    def __init__(self, full: Engine, run_form: Runner) -> None:
        self.name, self.device = full.name, full.device
        self._full, self._run = full, run_form

    def stream(self, tensors: Iterable[Tensor]) -> Iterator[Outputs]:
        for chunk in _chunks(tensors):
            logits = self._run(chunk)
            pairs = zip(self._full.stream(chunk), logits, strict=True)
            yield from (Outputs(row, outputs.features) for outputs, row in pairs)


def _chunks(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Yield tensors in lists that fit into memory."""
    chunk: list[Tensor] = []
    for tensor in tensors:
        chunk.append(tensor)
        if len(chunk) * tensor.nbytes >= _CHUNK_BYTES:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
