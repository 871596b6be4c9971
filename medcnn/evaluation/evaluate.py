"""From predictions to an evaluation: splits, thresholds, then every label."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Literal

import numpy as np
import numpy.typing as npt

from medcnn.errors import DataError
from medcnn.evaluation.discrimination import Settings
from medcnn.evaluation.label import measure_label
from medcnn.evaluation.overall import measure_accuracy, measure_classes, measure_macro
from medcnn.evaluation.predictions import Predictions, refuse_shared_patients
from medcnn.evaluation.records import (
    DataFacts,
    Evaluation,
    FlowStep,
    LabelResult,
    ModelFacts,
)
from medcnn.evaluation.rules import DEFAULT_RULES, Points, choose, given, name_of
from medcnn.evaluation.subgroups import groups_of

__all__ = [
    "Design",
    "evaluate_predictions",
    "flow_step",
    "measured_part",
    "medcnn_version",
]

ALL = "all"
"""The name of a split that means every case."""

FEW = 100
"""Diseased and healthy below which an external validation is called small.

Vergouwe et al., J. Clin. Epidemiol. 58 (2005) 475-483.
"""


@dataclass(frozen=True)
class Design:
    """What is decided before anything is measured.

    Attributes:
        split: Which split is measured, or "all"; None: test if there is one.
        choose_on: Which split decides the thresholds; None: see `evaluate_predictions`.
        rules: How.
        thresholds: Thresholds stated beforehand: "0.3" or "label=0.3".
        settings: How numbers are found.
    """

    split: str | None = None
    choose_on: str | None = None
    rules: Sequence[str] = DEFAULT_RULES
    thresholds: Sequence[str] = ()
    settings: Settings = field(default_factory=Settings)


def evaluate_predictions(
    predictions: Predictions,
    design: Design | None = None,
    *,
    model: ModelFacts | None = None,
    own: Points | None = None,
) -> Evaluation:
    """Measure everything that a reviewer asks for.

    The thresholds are, in this order: those stated beforehand; those that the model
    brings; those that `choose_on`, or else val where another split is measured, gives.
    Where none of these is there they are chosen on the measured cases themselves, and
    every place that shows them says so.

    Args:
        predictions: All cases, of every split.
        design: What is decided beforehand.
        model: Which model gave them.
        own: Its thresholds.

    Raises:
        DataError: If there is no case to measure, or no such split.
        LeakageError: If a patient is among the measured and the deciding cases.
    """
    design = design or Design()
    part, split = measured_part(predictions, design.split)
    points, notes = _points(predictions, part, design, split, own)
    groups, left_out = groups_of(part.columns)
    notes += [f"No subgroups of {name}: {why}." for name, why in left_out.items()]
    labels = {
        label: measure_label(part, label, points[label], groups, design.settings)
        for label in part.labels
    }
    facts = model or ModelFacts()
    return Evaluation(
        medcnn=medcnn_version(),
        model=facts,
        data=_facts(predictions, part, split),
        scores=part.kind,
        task=_task(part),
        labels=labels,
        macro=measure_macro(part, labels, design.settings),
        multiclass=measure_classes(part),
        accuracy=measure_accuracy(part),
        warnings=tuple(_warnings(part, labels, split)),
        notes=tuple(notes),
    )


def measured_part(
    predictions: Predictions, split: str | None
) -> tuple[Predictions, str]:
    """Return the cases to be measured, and the name of their split, "" for all.

    Raises:
        DataError: If there are none, or nobody says which.
    """
    if split == ALL:
        return predictions, ""
    if split is not None:
        return predictions.part(split), split
    there = sorted(set(predictions.splits))
    if "test" in there:
        return predictions.part("test"), "test"
    if len(there) == 1:
        return predictions, there[0]
    msg = f"{predictions.source} has no case with split test; it has "
    msg += ", ".join(repr(name) for name in there)
    raise DataError(msg, hint="Say which cases are to be measured: --split.")


def _points(
    predictions: Predictions,
    part: Predictions,
    design: Design,
    split: str,
    own: Points | None,
) -> tuple[Points, list[str]]:
    """Return the thresholds of each label, and notes on what decided them.

    Raises:
        LeakageError: If a patient is among the measured and the deciding cases.
    """
    stated = given(part.labels, design.thresholds)
    if part.kind == "probability":
        _refuse_outside(stated)
    on = design.choose_on
    if on is None and own is None and split != "val" and "val" in predictions.splits:
        on = "val" if split else None
    if on is not None and on != split:
        deciding = predictions.part(on)
        refuse_shared_patients(deciding, part, f"in {on} and in {split or 'all cases'}")
        words = f"{on}, {len(deciding)} cases"
        chosen = choose(deciding, design.rules, chosen_on=words)
    elif own is not None and on is None:
        chosen = own
    elif on is None and all(stated.values()):
        chosen = dict.fromkeys(part.labels, ())
    else:
        words = "the evaluated cases themselves"
        chosen = choose(part, design.rules, chosen_on=words, is_optimistic=True)
    points = {x: (*stated[x], *chosen.get(x, ())) for x in part.labels}
    by_rules = {} if chosen is own else chosen
    return points, _missing(points, by_rules, design.rules)


def _missing(points: Points, chosen: Points, rules: Sequence[str]) -> list[str]:
    """Return notes on the points that could not be chosen, and why."""
    none = [label for label, found in points.items() if not found]
    notes = []
    if none:
        words = "only one class among the cases that decide"
        notes.append(f"No operating point for {', '.join(none)}: {words}.")
    for label, found in chosen.items():
        unmet = [rule for rule in rules if rule not in {point.rule for point in found}]
        if found and unmet:
            notes.append(
                f"No operating point {', '.join(map(name_of, unmet))} for {label}: so "
                "many of the deciding cases without it have a probability of 1 that no "
                "threshold meets it."
            )
    return notes


def _refuse_outside(stated: Points) -> None:
    """Refuse thresholds that no probability can reach, or that all do.

    Raises:
        DataError: If there is one.
    """
    for label, points in stated.items():
        for point in points:
            if not 0 < point.threshold <= 1:
                msg = f"the threshold {point.threshold:g} of {label} is no probability "
                msg += "above 0 and up to 1"
                hint = "If the values are scores, no probabilities: --scores."
                raise DataError(msg, hint=hint)


def _facts(whole: Predictions, part: Predictions, split: str) -> DataFacts:
    """Return what was tested on whom."""
    statuses = Counter(part.statuses)
    reasons = Counter(
        f"{status.replace('_', ' ')}: {reason or 'no reason given'}"
        for status, reason in zip(part.statuses, part.reasons, strict=True)
        if status != "ok"
    )
    return DataFacts(
        source=whole.source,
        sha256=part.sha256(),
        split=split,
        cases=len(part),
        patients=_patients(part),
        is_clustered=part.has_patients,
        out_of_scope=statuses["out_of_scope"],
        errors=statuses["error"],
        reasons=dict(sorted(reasons.items())),
        flow=tuple(_flow(whole, part, split)),
    )


def _flow(whole: Predictions, part: Predictions, split: str) -> list[FlowStep]:
    """Return how many cases were left after each step."""
    everyone = np.ones(len(part), dtype=bool)
    readable = np.array([status != "error" for status in part.statuses], dtype=bool)
    told = part.is_ok & (np.isfinite(part.truth).sum(axis=1) > 0)
    steps = [
        (f"Split {split}", everyone, bool(split)),
        ("Could be read", readable, not readable.all()),
        ("Within the model's scope", part.is_ok, bool((readable & ~part.is_ok).any())),
        ("Evaluated: truth known for a label", told, True),
    ]
    found = [flow_step("Cases in the table", whole)]
    for words, chosen, is_told in steps:
        if is_told:
            found.append(flow_step(words, part, chosen))
    return found


def flow_step(
    words: str, cases: Predictions, chosen: npt.NDArray[np.bool_] | None = None
) -> FlowStep:
    """Return how many cases and patients were there after a step."""
    if chosen is None or chosen.all():
        return FlowStep(words=words, cases=len(cases), patients=_patients(cases))
    patients = None
    if cases.has_patients:
        patients = len(np.unique(cases.clusters[chosen]))
    return FlowStep(words=words, cases=int(chosen.sum()), patients=patients)


def _patients(predictions: Predictions) -> int | None:
    """Return how many different patients there are; None if not all are known."""
    return len(set(predictions.patients)) if predictions.has_patients else None


def _task(part: Predictions) -> Literal["binary", "multi-label", "multi-class"]:
    if len(part.labels) == 1:
        return "binary"
    return "multi-class" if part.is_exclusive else "multi-label"


def _warnings(
    part: Predictions, labels: dict[str, LabelResult], split: str
) -> list[str]:
    """Return what must be read before the numbers."""
    found = []
    if not part.has_patients:
        without = sum(not patient for patient in part.patients)
        found.append(
            f"{without:,} of {len(part):,} cases have no patient_id and are counted as "
            "independent. If patients have several, the intervals are too narrow: with "
            "four alike images each, an interval said to cover 95 % covers about 76 %."
        )
    optimistic = any(
        p.is_optimistic for x in labels.values() for p in x.operating_points
    )
    if optimistic:
        found.append(
            "The thresholds were chosen on the evaluated cases themselves, so their "
            "sensitivity and specificity are too good. Choose them on other cases: "
            "--choose-on val, --threshold, or a model that brings its own."
        )
    if split in {"train", "val"}:
        found.append(f"These are the {split} cases: the model was chosen on them.")
    elif split == "" and (seen := sum(x in {"train", "val"} for x in part.splits)):
        found.append(
            f"{seen:,} of {len(part):,} cases are train or val ones: the model was "
            "chosen on them, so that every number is too good. Measure --split test."
        )
    if part.kind == "score":
        found.append("The values are scores, no probabilities: nothing is calibrated.")
    main = labels[part.labels[0]]
    few = min(main.n_positive, main.n_negative)
    if few < FEW:
        found.append(
            f"{main.n_positive} with and {main.n_negative} without "
            f"{part.labels[0]}: below {FEW} of either, an external validation is small."
        )
    return found


def medcnn_version() -> str:
    """Return the version of this package."""
    try:
        return metadata.version("medcnn-imaging")
    except metadata.PackageNotFoundError:
        return "source"
