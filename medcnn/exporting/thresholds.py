"""Thresholds for scores that were rounded: as many cases on each side as before."""

import numpy as np
import numpy.typing as npt

from medcnn.bundle import OperatingPoint
from medcnn.evaluation import Predictions

__all__ = ["moved_threshold", "same_share"]

FloatArray = npt.NDArray[np.float64]


def same_share(
    point: OperatingPoint, before: Predictions, after: Predictions, data: str
) -> OperatingPoint:
    """Return an operating point that flags as many cases by the second scores.

    Args:
        point: For the first scores.
        before: The first scores.
        after: The second, of the same cases.
        data: What the cases are called.

    Returns:
        The same point where the cases do not tell of its label.
    """
    if point.label not in before.labels:
        return point
    place = before.labels.index(point.label)
    use = before.is_ok & after.is_ok
    scores = before.score[use, place], after.score[use, place]
    flag = moved_threshold(point.flag, *scores)
    review = min(moved_threshold(point.review, *scores), flag)
    words = f"{point.chosen_on}; at 8 bits as many of {data}"
    return point.model_copy(update={"flag": flag, "review": review, "chosen_on": words})


def moved_threshold(threshold: float, before: FloatArray, after: FloatArray) -> float:
    """Return the threshold that as many of the second scores reach as of the first.

    It lies midway between the last score that reaches it and the first that does not.
    The threshold stays where it is if all or none do, or the scores there are tied.

    Examples:
        >>> first, second = np.array([0.1, 0.4, 0.6]), np.array([0.2, 0.5, 0.7])
        >>> moved_threshold(0.5, first, second)
        0.6
    """
    count = int((before >= threshold).sum())
    if count in {0, len(after)}:
        return threshold
    falling = np.sort(after)[::-1]
    last, following = float(falling[count - 1]), float(falling[count])
    if not last > following:
        return threshold
    middle = round((last + following) / 2, 12)
    return middle if following < middle <= last else last
