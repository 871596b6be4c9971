"""Arrays whose axes have names, put into the order of an image.

The letters are p (part: time, echo), c (channel), i, j and k.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ORDER", "arrange", "finite_words", "plain"]

Pixels = npt.NDArray[Any]

ORDER = "pcijk"
"""The order of what `arrange` returns."""


def arrange(array: Pixels, axes: str) -> Pixels:
    """Return (P, C, I, J, K); axes that are not named have one element.

    Args:
        array: One axis for each letter.
        axes: Letters of "pcijk", each at most once.

    Examples:
        >>> arrange(np.zeros((20, 30, 3)), "jic").shape
        (1, 3, 30, 20, 1)
    """
    missing = "".join(letter for letter in ORDER if letter not in axes)
    whole = array.reshape(*array.shape, *[1] * len(missing))
    return whole.transpose([(axes + missing).index(letter) for letter in ORDER])


def plain(values: Pixels) -> Pixels:
    """Return whole numbers in native byte order, floating point as float32."""
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    if values.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            return values.astype(np.float32, copy=False)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def finite_words(values: Pixels) -> tuple[str, ...]:
    """Say how many values are no finite numbers; nothing if all are."""
    if values.dtype.kind != "f":
        return ()
    bad = int(values.size - np.isfinite(values).sum())
    return (f"{bad} of {values.size} values are NaN or infinite",) if bad else ()
