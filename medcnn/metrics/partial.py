"""The part of the area under the ROC curve that a clinic would work in."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medcnn.metrics.classes import FloatArray, sweep

__all__ = ["PartialArea", "partial_auc"]


@dataclass(frozen=True)
class PartialArea:
    """A part of the area under the ROC curve.

    Attributes:
        area: From 0 to the width of the part.
        standardised: McClish's: 1 for the perfect test, 0.5 for the worthless one.
    """

    area: float
    standardised: float


def partial_auc(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    *,
    max_fpr: float | None = None,
    min_tpr: float | None = None,
) -> PartialArea:
    """Return the area at high specificity, or at high sensitivity.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score: Higher means more likely diseased, shape (N,).
        max_fpr: The sensitivity is averaged over false positive rates of 0 to this.
        min_tpr: Or the specificity over sensitivities of this to 1.

    Raises:
        ValueError: If not exactly one of the two is given, or it is out of range.
        UndefinedMetricError: If only one class is present.

    Examples:
        >>> partial_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], max_fpr=0.5)
        PartialArea(area=0.25, standardised=0.6666666666666666)

    References:
        [1] McClish, Med. Decis. Making 9 (1989) 190-195.
        [2] Jiang, Metz & Nishikawa, Radiology 201 (1996) 745-750.
    """
    if (max_fpr is None) == (min_tpr is None):
        msg = "give one of max_fpr and min_tpr"
        raise ValueError(msg)
    width = max_fpr if max_fpr is not None else 1 - (min_tpr or 0.0)
    if not 0 < width <= 1:
        msg = f"max_fpr is above 0 and up to 1, min_tpr 0 and below 1; got {width:g}"
        raise ValueError(msg)
    _, tp, fp = sweep(truth, score)
    false, true = (np.concatenate([[0.0], side / side[-1]]) for side in (fp, tp))
    if max_fpr is None:  # the curve seen from its other corner
        false, true = 1 - true[::-1], 1 - false[::-1]
    area = _area_up_to(false, true, width)
    least = width * width / 2  # under the diagonal
    return PartialArea(area, (1 + (area - least) / (width - least)) / 2)


def _area_up_to(x: FloatArray, y: FloatArray, width: float) -> float:
    """Return the area by trapezoids; the last is cut where x is `width`."""
    inside = int(np.searchsorted(x, width, side="right"))
    height = np.interp(width, x, y) if inside < len(x) else y[-1]
    x, y = np.append(x[:inside], width), np.append(y[:inside], height)
    return float(np.trapezoid(y, x))
