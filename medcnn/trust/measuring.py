"""All that says how far a model's heatmaps can be trusted, on one table of cases."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import combinations
from types import MappingProxyType
from typing import Literal

import numpy as np

from medcnn.dataset import Case
from medcnn.evaluation.trust import Trust
from medcnn.isolation import Limits
from medcnn.model import Model
from medcnn.trust import agreeing, faithful, located, randomised
from medcnn.trust.looking import Looked, Maps, Progress, class_activation, look
from medcnn.trust.means import Group

__all__ = ["TrustDesign", "TrustLevel", "measure_trust"]

TrustLevel = Literal["auto", "full", "off"]

_NO_PLACES = "The network keeps no places: there are no heatmaps to be judged."
_NONE_LEFT = "Of {label} no image could be looked at, so {what} were not measured."


@dataclass(frozen=True)
class TrustDesign:
    """What is asked of the heatmaps.

    Attributes:
        level: "auto" measures maps where regions are marked; "full" also asks what
            needs no marks: deletion and insertion, shuffled weights, and how far
            methods agree; "off" asks nothing.
        images: How many images at most are taken for what needs no marks.
        method: What makes the maps, in words.
        maps: The same as a function.
        others: Further methods by name, for the agreement between methods.
        group: How means are made, and the seed of everything.
        limits: What one file may cost.
        progress: Called with (done, total).
    """

    level: TrustLevel = "auto"
    images: int = 50
    method: str = "cam"
    maps: Maps = class_activation
    others: Mapping[str, Maps] = field(default_factory=lambda: MappingProxyType({}))
    group: Group = field(default_factory=Group)
    limits: Limits | None = None
    progress: Progress | None = field(default=None, compare=False)


def measure_trust(
    model: Model, cases: Sequence[Case], design: TrustDesign | None = None
) -> Trust | None:
    """Measure how far a model's heatmaps can be trusted.

    Each image is read and answered once more; one is in memory at a time. Images that
    cannot be read or are out of scope are left out, as in the rest of an evaluation.

    Args:
        model: The open model.
        cases: The measured ones.
        design: What is asked.

    Returns:
        None where nothing is asked for, or no region is marked.

    Raises:
        DataError: If a mask cannot be read, or does not fit its image.
    """
    design = design or TrustDesign()
    labels = located.marked_labels(cases, model.labels)
    if design.level == "off" or (design.level == "auto" and not labels):
        return None
    asked = _drawn(cases, model.labels[0], design) if design.level == "full" else ()
    marked = (
        n
        for n, case in enumerate(cases)
        if any(located.has_mark(case, label) for label in labels)
    )
    chosen = sorted({*asked, *marked})
    part = [cases[n] for n in chosen]
    wanted = {chosen.index(n) for n in asked}
    return _measured(model, part, wanted, labels, design)


@dataclass(eq=False)
class _Seen:
    """What was measured of each image so far."""

    marks: list[located.Mark] = field(default_factory=list)
    curves: list[faithful.Curves] = field(default_factory=list)
    likeness: dict[randomised.Part, list[randomised.Likeness]] = field(
        default_factory=dict
    )
    pairs: dict[tuple[str, str], list[agreeing.Pair]] = field(default_factory=dict)


def _measured(
    model: Model,
    cases: Sequence[Case],
    asked: set[int],
    labels: Sequence[str],
    design: TrustDesign,
) -> Trust:
    """Look at every image once, and take the means."""
    seen, seed = _Seen(), design.group.seed
    with ExitStack() as stack:
        others: dict[randomised.Part, Model] = {}
        if asked:
            for part in randomised.PARTS:
                shuffled = randomised.shuffled(model, part, seed=seed)
                others[part] = stack.enter_context(shuffled)
        looks = look(model, cases, limits=design.limits, progress=design.progress)
        for looked in looks:
            if not looked.answer.has_places:
                return Trust(method=design.method, located={}, notes=(_NO_PLACES,))
            seen.marks += located.marks_of(model, looked, labels, design.maps)
            if looked.number in asked:
                _ask_without_marks(seen, model, others, looked, design)
    return _concluded(seen, model.labels[0], cases, bool(asked), design)


def _ask_without_marks(
    seen: _Seen,
    model: Model,
    others: Mapping[randomised.Part, Model],
    looked: Looked,
    design: TrustDesign,
) -> None:
    """Ask of one image what needs no marks."""
    label, seed = model.labels[0], design.group.seed
    seen.curves.append(faithful.curves_of(model, looked, label, design.maps, seed=seed))
    for part, other in others.items():
        found = randomised.likeness(model, other, looked, label, design.maps)
        seen.likeness.setdefault(part, []).append(found)
    methods = {design.method: design.maps, **design.others}
    if len(methods) > 1:
        maps = {name: make(model, looked, label) for name, make in methods.items()}
        for one, two in combinations(maps, 2):
            pair = agreeing.pair_of(looked.number, maps[one], maps[two])
            seen.pairs.setdefault((one, two), []).append(pair)


def _concluded(
    seen: _Seen,
    label: str,
    cases: Sequence[Case],
    is_asked: bool,
    design: TrustDesign,
) -> Trust:
    """Take the means by patient."""
    patients = [case.patient_id or "" for case in cases]
    group = design.group
    notes = []
    if design.level == "full" and not (is_asked and seen.curves):
        what = "deletion, insertion and shuffled weights"
        notes.append(_NONE_LEFT.format(label=label, what=what))
    return Trust(
        method=design.method,
        located=located.summary(seen.marks, patients, group),
        faithfulness=faithful.summary(seen.curves, label, patients, group)
        if seen.curves
        else None,
        randomised=tuple(
            randomised.summary(part, found, patients, group)
            for part, found in seen.likeness.items()
        ),
        agreement=tuple(
            agreeing.summary(names, found, patients, group)
            for names, found in seen.pairs.items()
        ),
        notes=tuple(notes),
    )


def _drawn(cases: Sequence[Case], label: str, design: TrustDesign) -> tuple[int, ...]:
    """Draw images that have the main label, at most as many as are asked for."""
    there = [n for n, case in enumerate(cases) if case.truth.get(label) == 1]
    rng = np.random.default_rng(design.group.seed)
    count = min(design.images, len(there))
    return tuple(int(n) for n in rng.choice(there, count, replace=False))
