"""Whether an image is the negative of what the model was trained on.

Headers are wrong about it: (0028,0004) Photometric Interpretation says MONOCHROME2 of
a film that was stored inverted, or a picture was exported so. The pixels tell: films of
one projection have a coarse pattern in common, dark and bright in the same places, and
a negative correlates with it as strongly as a film does, with the other sign.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from medcnn.gate.rules import GateRules

__all__ = ["Pattern", "cells_of", "fit_pattern", "look_at_pattern"]

_SIDE = 8
_QUANTILE = 0.01
_LEAST = 0.2
"""Images that have less than this in common have no pattern to be the negative of."""


@dataclass(frozen=True)
class Pattern:
    """What training images have in common.

    Attributes:
        cells: 8 x 8 by rows, mean 0 and variance 1.
        limit: The correlation with it that 99 of 100 training images exceed, above 0.
    """

    cells: tuple[float, ...]
    limit: float


def cells_of(tensor: npt.NDArray[Any]) -> npt.NDArray[np.float64] | None:
    """Return a prepared picture as 8 x 8 cells of mean 0 and variance 1, (64,).

    Args:
        tensor: (1, rows, columns).

    Returns:
        None for a volume, for several channels, and where nothing varies.
    """
    if tensor.ndim != 3 or len(tensor) != 1 or min(tensor.shape[1:]) < _SIDE:
        return None
    picture = np.ascontiguousarray(tensor[0], np.float32)
    small = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    values = small.astype(np.float64).ravel()
    spread = float(values.std())
    if not spread > 1e-6 * max(1.0, float(np.abs(values).max())):
        return None
    return np.asarray((values - values.mean()) / spread)


def fit_pattern(cells: Iterable[npt.NDArray[np.float64] | None]) -> Pattern | None:
    """Find what training images have in common, each as `cells_of` gives it.

    Returns:
        None where they have too little in common to tell a film from its negative:
        then 1 of 100 correlates less than 0.2 with their mean.
    """
    found = [one for one in cells if one is not None]
    if not found:
        return None
    known = np.stack(found)
    mean = known.mean(axis=0)
    if not mean.std() > 0:
        return None
    mean = (mean - mean.mean()) / mean.std()
    limit = float(np.quantile(known @ mean / mean.size, _QUANTILE))
    if limit < _LEAST:
        return None
    return Pattern(tuple(round(float(value), 4) for value in mean), min(limit, 1.0))


def look_at_pattern(rules: GateRules, tensor: npt.NDArray[Any]) -> str:
    """Return that a prepared image is the negative of what was trained on, or "".

    The limit is that of the training films: an image is taken for inverted where its
    negative would be taken for one of them.

    Args:
        rules: With or without a pattern.
        tensor: What the network sees, (1, rows, columns).
    """
    if rules.pattern is None or rules.pattern_limit is None:
        return ""
    cells = cells_of(tensor)
    if cells is None:
        return ""
    likeness = float(cells @ np.array(rules.pattern)) / cells.size
    if -likeness < rules.pattern_limit:
        return ""
    return (
        "looks inverted, dark where it should be bright: its correlation with the "
        f"training images is {likeness:.2f}, that of its negative {-likeness:.2f}"
    )
