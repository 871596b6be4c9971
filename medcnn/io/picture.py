"""What every picture is made of: an orientation, equal channels, transparency."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["drop_alpha", "simplify", "turn", "turn_words"]

Pixels = npt.NDArray[Any]


def turn(pixels: Pixels, orientation: int) -> Pixels:
    """Turn a picture upright by its orientation, 1 to 8.

    Args:
        pixels: (rows, columns[, C]).
        orientation: 1 is upright.

    References:
        [1] CIPA DC-008 (Exif 2.32) 4.6.4 and TIFF 6.0 section 8, tag 274 Orientation.
    """
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return pixels


def turn_words(orientation: int) -> tuple[str, ...]:
    """Return the turn in words."""
    if orientation == 1:
        return ()
    return (f"turned upright: EXIF orientation {orientation}",)


def drop_alpha(
    pixels: Pixels, *, is_premultiplied: bool = False
) -> tuple[Pixels, list[str], list[str]]:
    """Take the last of 2 or 4 channels away if there are so many.

    Returns:
        (rows, columns[, C]), what was done, and what is doubtful: colours below full
        opacity are kept as stored, for nobody says what lies behind them.
    """
    if pixels.ndim == 2 or pixels.shape[2] not in {2, 4}:
        return pixels, [], []
    alpha, kept = pixels[..., -1], pixels[..., :-1]
    opaque = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "ui" else 1
    clear = int((alpha < opaque).sum())
    doubts = []
    if clear:
        kind = "premultiplied " if is_premultiplied else ""
        doubts.append(
            f"{clear} of {alpha.size} pixels are not opaque; "
            f"their {kind}values are kept"
        )
    return kept, ["alpha channel dropped"], doubts


def simplify(pixels: Pixels) -> tuple[Pixels, list[str]]:
    """Make one channel of one or of three equal ones, and say so.

    Args:
        pixels: (rows, columns) or (rows, columns, C).
    """
    if pixels.ndim == 2:
        return pixels, []
    if pixels.shape[2] == 1:
        return pixels[..., 0], []
    first = pixels[..., 0]
    if all(np.array_equal(first, pixels[..., n]) for n in (1, 2)):
        return first.copy(), ["three equal channels: one kept"]
    return pixels, []
