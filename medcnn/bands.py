"""What the two operating points achieved: the counts behind flag, review and no-flag.

Flag is at or above the upper threshold, review between the two, no-flag below the
lower. A record here says how many of the diseased and of the healthy were at or above
one of the thresholds, so that whoever reads a worklist from the top knows what lies at
its end.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

__all__ = ["BandScore"]


class BandScore(BaseModel):
    """Held-out cases at or above one threshold of the main label.

    Attributes:
        data: The split they are from, such as val or test.
        subgroup: Which of its cases; "all" or "column = value".
        band: The band that begins at the threshold.
        threshold: A probability.
        tp: Diseased at or above it.
        fn: Diseased below it.
        fp: Healthy at or above it.
        tn: Healthy below it.
        sensitivity: Share of the diseased at or above it, and its 95 % interval
            (Wilson's, images of one patient counting as fewer).
        specificity: Share of the healthy below it, likewise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    subgroup: str
    band: Literal["flag", "review"]
    threshold: float = Field(ge=0, le=1)
    tp: NonNegativeInt
    fn: NonNegativeInt
    fp: NonNegativeInt
    tn: NonNegativeInt
    sensitivity: tuple[float, float, float]
    specificity: tuple[float, float, float]
