"""How far two methods agree about what moved a score."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medcnn.evaluation.trust import Agreement
from medcnn.trust.alike import hottest_overlap, rank_correlation
from medcnn.trust.means import Group

__all__ = ["Pair", "pair_of", "summary"]


@dataclass(frozen=True)
class Pair:
    """How alike the maps of two methods are on one image.

    Attributes:
        number: Of its case.
        correlation: Spearman's; 0 where one of the maps is equal everywhere.
        overlap: Of the hottest 5 %.
    """

    number: int
    correlation: float
    overlap: float


def pair_of(number: int, first: npt.ArrayLike, second: npt.ArrayLike) -> Pair:
    """Compare two maps of one image."""
    correlation = rank_correlation(first, second) or 0.0
    return Pair(number, correlation, hottest_overlap(first, second))


def summary(
    names: tuple[str, str], pairs: Sequence[Pair], patients: Sequence[str], group: Group
) -> Agreement:
    """Return the means by patient.

    Args:
        names: Of the two methods.
        pairs: At least one.
        patients: Whose each case is; "" where not known.
        group: How means are made.
    """
    codes, _ = group.codes([patients[pair.number] for pair in pairs])
    return Agreement(
        first=names[0],
        second=names[1],
        images=len(pairs),
        correlation=group.mean(np.array([pair.correlation for pair in pairs]), codes),
        overlap=group.mean(np.array([pair.overlap for pair in pairs]), codes),
    )
