"""Do maps find what readers marked? Each marked image, then the mean by patient."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from medcnn.dataset import Case
from medcnn.evaluation.trust import Located, LocationScore, ScoreName, is_beyond
from medcnn.metrics.localisation import Located as Found
from medcnn.metrics.localisation import centre_map, locate
from medcnn.metrics.region_prior import Usual, coverage, usual_places
from medcnn.model import Model
from medcnn.trust.looking import Looked, Maps
from medcnn.trust.means import Group

__all__ = ["Mark", "has_mark", "marked_labels", "marks_of", "summary"]

_NAMES: tuple[ScoreName, ...] = ("pointing", "energy", "iou", "auprc")


@dataclass(frozen=True, eq=False)
class Mark:
    """One marked region, and how maps did on it.

    Attributes:
        number: Of its case.
        label: What was marked.
        found: By the map.
        centre: By a map of the image's centre.
        covered: The region on a coarse grid.
    """

    number: int
    label: str
    found: Found
    centre: Found
    covered: np.ndarray


def has_mark(case: Case, label: str) -> bool:
    """Say whether readers marked a label in a case, whatever its truth is said to be.

    Who draws a box says that it is there; labels are often mined from reports.
    """
    place = case.places.get(label)
    return place is not None and not place.is_nowhere


def marked_labels(cases: Iterable[Case], labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels that some case has a mark of, in order."""
    listed = list(cases)
    return tuple(x for x in labels if any(has_mark(case, x) for case in listed))


def marks_of(
    model: Model, looked: Looked, labels: Sequence[str], maps: Maps
) -> list[Mark]:
    """Measure the maps of all labels that are marked in one image.

    A mask that turns out to be empty marks nothing and is passed over.

    Raises:
        DataError: If a mask cannot be read, or does not fit its image.
    """
    found = []
    centre = None
    for label in labels:
        if not has_mark(looked.case, label):
            continue
        region = looked.case.places[label].on(looked.image)
        if not region.any():
            continue
        if centre is None:
            centre = centre_map(region.shape).astype(np.float32)
        found.append(
            Mark(
                number=looked.number,
                label=label,
                found=locate(maps(model, looked, label), region),
                centre=locate(centre, region),
                covered=coverage(region),
            )
        )
    return found


def summary(
    marks: Sequence[Mark], patients: Sequence[str], group: Group
) -> dict[str, Located]:
    """Return each label's scores.

    Args:
        marks: Of all labels and images.
        patients: Whose each case is; "" where not known: then it counts alone.
        group: How means are made.
    """
    by_label: dict[str, list[Mark]] = {}
    for mark in marks:
        by_label.setdefault(mark.label, []).append(mark)
    return {
        label: _of_label(found, [patients[mark.number] for mark in found], group)
        for label, found in by_label.items()
    }


def _of_label(marks: Sequence[Mark], patients: Sequence[str], group: Group) -> Located:
    """Return one label's scores."""
    codes, known = group.codes(patients)
    count = int(codes.max()) + 1
    area = float(np.mean([mark.found.area for mark in marks]))
    usual = usual_places([mark.covered for mark in marks], codes) if count > 1 else None
    scores = tuple(_score(name, marks, codes, (area, usual), group) for name in _NAMES)
    return Located(
        images=len(marks),
        patients=count if known else None,
        empty_maps=sum(mark.found.is_empty for mark in marks),
        area=area,
        scores=scores,
        verdict=is_beyond((scores[0].less_centre,), (1,), count),
    )


def _score(
    name: ScoreName,
    marks: Sequence[Mark],
    codes: np.ndarray,
    beside: tuple[float, Usual | None],
    group: Group,
) -> LocationScore:
    """Return one score of one label, with what it is read beside."""
    values = np.array([_facts(mark.found)[name] for mark in marks])
    centre = np.array([_facts(mark.centre)[name] for mark in marks])
    area, usual = beside
    others = getattr(usual, name, None)
    return LocationScore(
        name=name,
        value=group.mean(values, codes),
        centre=group.mean(centre, codes),
        random=area,
        usual=None if others is None else float(others.mean()),
        less_centre=group.difference(values, centre, codes),
    )


def _facts(found: Found) -> Mapping[str, float]:
    return asdict(found)
