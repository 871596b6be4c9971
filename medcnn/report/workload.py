"""How much reading a run's order moves forward, and what would wait at its end."""

from dataclasses import dataclass

from medcnn.bands import BandScore
from medcnn.worklist import RunRecord

__all__ = ["Interval", "Pile", "Workload", "workload"]

Interval = tuple[float, float, float]
"""A share with its 95 % interval."""


@dataclass(frozen=True)
class Pile:
    """The images from the top of the list down to a threshold.

    Attributes:
        words: Which bands it is made of.
        count: How many images of the run.
        share: Of the images in scope, 0 to 1.
        lines: For each group of held-out cases: what it was measured on, the diseased
            in it, the share of the diseased that such a pile holds, the share that it
            misses, and the share of the healthy that it spares.
    """

    words: str
    count: int
    share: float
    lines: tuple[tuple[str, int, Interval, Interval, Interval], ...]


@dataclass(frozen=True)
class Workload:
    """What reading in the worklist's order would move, and miss.

    Attributes:
        in_scope: Images with a band.
        parts: Band, images, and share of those in scope, from the top.
        piles: What is read first if one begins with flag; with flag and review.
        ahead: Share of the healthy that lie before a diseased image on average, in the
            worklist's order; None if the model does not say it. By chance it is half.
        ahead_data: The cases that it was measured on.
        outside: Images that no band speaks of: out of scope, or not read.
    """

    in_scope: int
    parts: tuple[tuple[str, int, float], ...]
    piles: tuple[Pile, ...]
    ahead: Interval | None
    ahead_data: str
    outside: int


def workload(record: RunRecord) -> Workload | None:
    """Return it for a run; None if no image of it is in scope.

    In the order of falling score the healthy images before a diseased one are a share
    of 1 - AUC of all healthy ones, on average.

    References:
        [1] Hanley & McNeil, Radiology 143 (1982) 29-36: the area is the probability
            that a diseased case has the higher score of a pair.
    """
    counts, model = record.counts, record.model
    bands = (
        ("flag", counts.flag),
        ("review", counts.review),
        ("no-flag", counts.no_flag),
    )
    total = sum(count for _, count in bands)
    if not total:
        return None
    parts = tuple((name, count, count / total) for name, count in bands)
    ahead = None if model.auroc is None else _rest(model.auroc)
    piles = (
        _pile("Flag", counts.flag, total, model.bands, "flag"),
        _pile(
            "Flag and review", counts.flag + counts.review, total, model.bands, "review"
        ),
    )
    outside = counts.out_of_scope + counts.error
    return Workload(total, parts, piles, ahead, model.auroc_data, outside)


def _pile(
    words: str, count: int, total: int, bands: tuple[BandScore, ...], band: str
) -> Pile:
    lines = tuple(
        (
            _where(score),
            score.tp + score.fn,
            score.sensitivity,
            _rest(score.sensitivity),
            score.specificity,
        )
        for score in bands
        if score.band == band
    )
    return Pile(words, count, count / total, lines)


def _where(score: BandScore) -> str:
    return score.data if score.subgroup == "all" else f"{score.data}, {score.subgroup}"


def _rest(share: Interval) -> Interval:
    """Return one less a share: its bounds change places."""
    value, low, high = share
    return 1 - value, 1 - high, 1 - low
