"""What a comparison of two samples says: plain records, and its level."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["ALPHA", "FEWEST", "LEAST_SHIFT", "Comparison", "Move"]

ALPHA = 0.01
"""Chance that a comparison of two samples of one world says that anything moved."""

FEWEST = 50
"""Patients (or images of nobody known) that each side needs for a test."""

LEAST_SHIFT = 0.1
"""Smallest difference that counts: the largest gap between the two distribution
functions, or the share of images with another word. With 100,000 images a difference
that means nothing is significant too."""


class Move(BaseModel):
    """One thing that was compared.

    Attributes:
        name: What: score, distance, scope, modality, view, device, rows, ...
        test: Kolmogorov and Smirnov's for numbers, chi-squared for words.
        before: Patients or images of the reference that it is known of.
        now: Of the sample.
        shift: Largest gap between the distribution functions; for words the total
            variation distance. 0 to 1.
        psi: Population stability index: over tenths of the reference, or over words.
        p: Of the test alone.
        p_all: After Holm's correction for all tests of the comparison.
        moved: Whether `p_all` is below the level and the shift large enough.
        words: What it was and what it is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    test: Literal["KS", "chi-squared"]
    before: int
    now: int
    shift: float
    psi: float
    p: float
    p_all: float
    moved: bool
    words: str


class Comparison(BaseModel):
    """A sample beside a reference.

    Attributes:
        against: What the reference is.
        verdict: "moved", "no sign of a move", or "too few to tell".
        alpha: Level of the whole comparison.
        least_shift: Smallest difference that counts.
        fewest: Patients or images that each side needs.
        moves: Everything that was tested, what moved first.
        untested: What could not be tested, and why.
        notes: What must be known to read it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    against: str
    verdict: Literal["moved", "no sign of a move", "too few to tell"]
    alpha: float = ALPHA
    least_shift: float = LEAST_SHIFT
    fewest: int = FEWEST
    moves: tuple[Move, ...]
    untested: dict[str, str]
    notes: tuple[str, ...] = ()
