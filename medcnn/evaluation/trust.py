"""How far heatmaps can be trusted: the part of evaluation.json that says so."""

from typing import Literal

from pydantic import Field

from medcnn.evaluation.measures import Estimate, Record

__all__ = [
    "FEWEST_PATIENTS",
    "Agreement",
    "Faithfulness",
    "Located",
    "LocationScore",
    "Ordered",
    "Randomised",
    "ScoreName",
    "Trust",
    "Verdict",
    "is_beyond",
]

FEWEST_PATIENTS = 10
"""Fewer patients give a bootstrap interval that is too short to judge by."""

ScoreName = Literal["pointing", "energy", "iou", "auprc"]
Verdict = Literal["better", "not shown", "worse", "too few"]


class LocationScore(Record):
    """One way to ask whether maps find what readers marked: 0 to 1, mean of images.

    Attributes:
        name: pointing: the hottest point lies inside. energy: share of all relevance
            inside. iou: of the marked region and the pixels of at least half the
            maximum. auprc: of all pixels.
        value: Of the maps.
        centre: Of a map that is hot at the image's centre, whatever the image.
        random: Of a map that is equal everywhere, or a random point: the regions' mean
            share of the image.
        usual: Of the mean of the other patients' regions; None where it is not asked.
        less_centre: `value` less `centre`, image by image.
    """

    name: ScoreName
    value: Estimate
    centre: Estimate
    random: float
    usual: float | None
    less_centre: Estimate


class Located(Record):
    """Whether a label's maps find what readers marked.

    Attributes:
        images: In which readers marked the label, whatever its truth is said to be.
        patients: Whose; None where some are not known.
        empty_maps: Maps of zeros; each is a miss.
        area: The regions' mean share of the image.
        scores: The pointing game first.
        verdict: Whether the pointing game is shown to beat the image's centre.
    """

    images: int = Field(ge=1)
    patients: int | None
    empty_maps: int = Field(ge=0)
    area: float
    scores: tuple[LocationScore, ...]
    verdict: Verdict


class Ordered(Record):
    """The area under one curve, for the map's order of pixels and for two others.

    Attributes:
        value: Mean area for the map.
        random: For blobs of noise as coarse as the map.
        centre: From the image's centre outward, or towards it.
        less_random: `value` less `random`, image by image.
        less_centre: Likewise.
        curve: Mean probability at each share, for drawing.
        random_curve: Likewise.
        centre_curve: Likewise.
    """

    value: Estimate
    random: Estimate
    centre: Estimate
    less_random: Estimate
    less_centre: Estimate
    curve: tuple[float, ...]
    random_curve: tuple[float, ...]
    centre_curve: tuple[float, ...]


class Faithfulness(Record):
    """What the probability does when pixels go or come in the order of the map.

    Attributes:
        label: Whose probability.
        images: How many, all with the label.
        shares: Of the pixels that are gone or there: where the curves are known.
        deletion: The hottest go first; a low area is good.
        insertion: The hottest come first; a high area is good.
        deleted_become: What deleted pixels become.
        inserted_into: What inserted pixels replace.
        verdict: Whether both beat the random order.
    """

    label: str
    images: int = Field(ge=1)
    shares: tuple[float, ...]
    deletion: Ordered
    insertion: Ordered
    deleted_become: str
    inserted_into: str
    verdict: Verdict


class Randomised(Record):
    """How alike maps are when the model's weights are shuffled.

    Attributes:
        part: Whose weights.
        images: How many.
        correlation: Spearman's, of the map before and after.
        equal_maps: Images of which one of the maps was equal everywhere; they count as
            not alike.
    """

    part: Literal["head", "all weights"]
    images: int = Field(ge=1)
    correlation: Estimate
    equal_maps: int = Field(ge=0)


class Agreement(Record):
    """How alike two methods' maps are.

    Attributes:
        correlation: Spearman's.
        overlap: Share of the hottest 5 % of one that are the other's too; 0.05 is
            chance.
    """

    first: str
    second: str
    images: int = Field(ge=1)
    correlation: Estimate
    overlap: Estimate


class Trust(Record):
    """How far a model's heatmaps can be trusted.

    Attributes:
        method: Of the maps.
        located: By label; empty where nothing is marked.
        faithfulness: Deletion and insertion; None if not asked for.
        randomised: The sanity check; empty if not asked for.
        agreement: Of pairs of methods; empty if not asked for.
        notes: What was left out.
    """

    method: str
    located: dict[str, Located]
    faithfulness: Faithfulness | None = None
    randomised: tuple[Randomised, ...] = ()
    agreement: tuple[Agreement, ...] = ()
    notes: tuple[str, ...] = ()


def is_beyond(
    differences: tuple[Estimate, ...], signs: tuple[int, ...], patients: int
) -> Verdict:
    """Judge whether differences are shown to be on the good side of 0.

    Args:
        differences: With their intervals.
        signs: 1 where more is good, -1 where less is.
        patients: How many they are of.

    Returns:
        "better" if every interval is on the good side, "worse" if one is on the bad.
    """
    if patients < FEWEST_PATIENTS:
        return "too few"
    lows, highs = [], []
    for found, sign in zip(differences, signs, strict=True):
        if found.ci95 is None:
            lows.append(sign * found.value)
            highs.append(sign * found.value)
        else:
            ends = sorted(sign * end for end in found.ci95)
            lows.append(ends[0])
            highs.append(ends[1])
    if min(highs) < 0:
        return "worse"
    return "better" if min(lows) > 0 else "not shown"
