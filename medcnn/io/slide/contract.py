"""What the reader of a slide format hands over, and the sizes that are accepted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from medcnn.errors import DecodeError
from medcnn.image import Identity
from medcnn.io.source import MAX_SAMPLES

__all__ = [
    "MAX_SLIDE_PIXELS",
    "MAX_STORED_TILES",
    "Bytes",
    "LevelPixels",
    "SlideParts",
    "check_matrix",
    "whole_downsample",
]

Bytes = npt.NDArray[np.uint8]

MAX_SLIDE_PIXELS = 2**40
"""Most pixels one level of a slide may declare."""

MAX_STORED_TILES = 2**22
"""Most tiles one level may store."""


class LevelPixels(Protocol):
    """One resolution of a slide as it is stored: a grid of tiles.

    Attributes:
        shape: (columns, rows) of the whole level.
        tile: (columns, rows) of a stored tile.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """(columns, rows) of the whole level."""

    @property
    def tile(self) -> tuple[int, int]:
        """(columns, rows) of a stored tile."""

    def stored_tile(self, across: int, down: int) -> Bytes | None:
        """Decode one tile of the grid, RGB, (rows, columns, 3); None if none is there.

        Args:
            across: Which column of tiles, from 0.
            down: Which row of tiles, from 0.

        Raises:
            DecodeError: If its pixels are broken.
        """


@dataclass(frozen=True, eq=False)
class SlideParts:
    """An open slide of any format.

    Attributes:
        path: The file or folder it was opened by.
        kind: "dicom" or "tiff".
        levels: The finest first.
        downsamples: How many pixels of the finest level a pixel of each level spans.
        affine: Pixel centre (i, j, k, 1) of the finest level to slide mm, (4, 4); None
            where nothing says.
        close: Closes its files.
        modality: "SM" where the file says that it is slide microscopy.
        facts: What an input gate wants to know.
        identity: Patient and instance identifiers.
        provenance: What is done to stored pixels, in words.
        warnings: What a careful reader would want to be told.
        associated: Images of the slide that are no level: label, overview, thumbnail.
        files: How many files the levels are in.
    """

    path: Path
    kind: str
    levels: tuple[LevelPixels, ...]
    downsamples: tuple[float, ...]
    affine: npt.NDArray[np.float64] | None
    close: Callable[[], None]
    modality: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    identity: Identity = field(default_factory=Identity)
    provenance: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    associated: tuple[str, ...] = ()
    files: int = 1


def check_matrix(
    path: Path | None, shape: tuple[int, int], tile: tuple[int, int]
) -> None:
    """Refuse a declared level that no real slide has, before anything is made of it.

    Args:
        path: The file, for the message.
        shape: (columns, rows) of the level.
        tile: (columns, rows) of a stored tile.

    Raises:
        DecodeError: If it is empty or too large.
    """
    if min(*shape, *tile) < 1:
        msg = f"it declares a level of {shape[0]} x {shape[1]} pixels in tiles of "
        msg += f"{tile[0]} x {tile[1]}, which holds nothing."
        raise DecodeError(msg, path=path)
    hint = "It is either broken or larger than any slide."
    if shape[0] * shape[1] > MAX_SLIDE_PIXELS:
        msg = f"it declares a level of {shape[0]} x {shape[1]} pixels; at most "
        msg += f"{MAX_SLIDE_PIXELS} are read."
        raise DecodeError(msg, path=path, hint=hint)
    if 3 * tile[0] * tile[1] > MAX_SAMPLES:
        msg = f"it declares tiles of {tile[0]} x {tile[1]} pixels; a tile may hold "
        msg += f"{MAX_SAMPLES // 3}."
        raise DecodeError(msg, path=path, hint=hint)
    count = -(-shape[0] // tile[0]) * -(-shape[1] // tile[1])
    if count > MAX_STORED_TILES:
        msg = f"it declares {count} tiles in a level; at most {MAX_STORED_TILES}."
        raise DecodeError(msg, path=path, hint=hint)


def whole_downsample(base: tuple[int, int], level: tuple[int, int]) -> float:
    """Return how many pixels of the base a pixel of a level spans.

    Writers halve and round, so that 1001 columns become 500 or 501 and the plain
    quotient is off by a fraction; a whole number that explains both sides is taken.
    """
    quotients = [b / n for b, n in zip(base, level, strict=True)]
    whole = max(round(max(quotients)), 1)
    pairs = zip(base, level, strict=True)
    if all(abs(b / whole - n) <= 1 for b, n in pairs):
        return float(whole)
    return float(np.mean(quotients))
