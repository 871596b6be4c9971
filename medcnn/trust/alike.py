"""How alike two heatmaps are: rank correlation, and the overlap of what is hottest."""

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

__all__ = ["HOTTEST", "hottest_overlap", "rank_correlation"]

HOTTEST = 0.05
"""The share of an image that is called its hottest."""

FloatArray = npt.NDArray[np.float64]


def rank_correlation(first: npt.ArrayLike, second: npt.ArrayLike) -> float | None:
    """Return Spearman's rank correlation of two maps, -1 to 1.

    Args:
        first: Relevance, any shape.
        second: The same shape.

    Returns:
        None where a map is equal everywhere, so that there is none.

    Raises:
        ValueError: If the shapes differ.
    """
    one, other = _pair(first, second)
    ranks = [rankdata(values) for values in (one, other)]
    centred = [rank - rank.mean() for rank in ranks]
    norms = [float(np.sqrt(rank @ rank)) for rank in centred]
    if min(norms) == 0:
        return None
    return float(centred[0] @ centred[1]) / (norms[0] * norms[1])


def hottest_overlap(
    first: npt.ArrayLike, second: npt.ArrayLike, *, share: float = HOTTEST
) -> float:
    """Return which share of the hottest pixels of two maps they have in common.

    Where several pixels are equally hot and only some of them still belong, each
    belongs in part; so storage order decides nothing, and maps that are equal
    everywhere overlap by `share`, which is chance.

    Args:
        first: Relevance, any shape.
        second: The same shape.
        share: Of the pixels, above 0 and at most 1.

    Returns:
        0 to 1.

    Raises:
        ValueError: If the shapes differ, or `share` is none.

    Examples:
        >>> hottest_overlap([3, 2, 1, 0], [3, 0, 1, 2], share=0.5)
        0.5
    """
    if not 0 < share <= 1:
        msg = f"share must be above 0 and at most 1, got {share}"
        raise ValueError(msg)
    one, other = _pair(first, second)
    count = max(1.0, share * one.size)
    return float((_hottest(one, count) * _hottest(other, count)).sum() / count)


def _hottest(values: FloatArray, count: float) -> FloatArray:
    """Return how far each pixel is one of the `count` hottest, 0 to 1."""
    last = np.partition(values, -int(np.ceil(count)))[-int(np.ceil(count))]
    above, equal = values > last, values == last
    left = (count - above.sum()) / equal.sum()
    return np.asarray(above + equal * left)


def _pair(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return both maps in a row.

    Raises:
        ValueError: If their shapes differ.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.shape != other.shape:
        msg = f"the maps have shapes {one.shape} and {other.shape}"
        raise ValueError(msg)
    return one.ravel(), other.ravel()
