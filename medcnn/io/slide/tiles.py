"""A slide as a stream of tiles that know where they lie."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medcnn.errors import GeometryError
from medcnn.image import Image
from medcnn.io.slide.pyramid import Pyramid, Window
from medcnn.io.slide.tissue import RULE, share_in_boxes, tissue_mask

__all__ = ["Tile", "Tiles", "plan_tiles"]

MOST_TILES = 2**24
"""Most tiles that one stream may have."""

_FINEST = 0.9
"""How much finer than the slide itself a spacing may be; more would be invented."""

_MASK_PIXELS_A_TILE = 8
_MASK_SIDES = 256, 4096
"""Shortest and longest long side of the small picture that tissue is looked for on."""

MaskPicture = Callable[[int], Image]


@dataclass(frozen=True, eq=False)
class Tile:
    """One tile of a slide.

    Attributes:
        image: Its pixels, (3, I, J, 1), with a geometry in slide mm; what lies outside
            the slide or was not scanned is white and in `image.padding`.
        column: Left edge, in pixels of the slide's finest level from its left edge.
        row: Upper edge, likewise from the upper edge.
        across: Which column of the grid of tiles it is in, from 0.
        down: Which row of the grid of tiles it is in, from 0.
        tissue: Share of it that is tissue, 0 to 1; None if nobody looked.
    """

    image: Image
    column: float
    row: float
    across: int
    down: int
    tissue: float | None


class Tiles:
    """Tiles of one slide, read one after the other; it can be gone through again.

    Attributes:
        size: (rows, columns) of every tile.
        scale: Pixels of the finest level that a tile's pixel spans, along i, j.
        step: (columns, rows) from one tile to the next, in pixels of a tile.
        grid: (columns, rows) of the grid of tiles that covers the slide.
        tissue: Share of tissue of each tile of the grid, (rows, columns); None if
            nobody looked.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        size: tuple[int, int],
        scale: tuple[float, float],
        overlap: int,
        tissue: npt.NDArray[np.float64] | None = None,
    ) -> None:
        self._pyramid = pyramid
        self.size = size
        self.scale = scale
        self.overlap = overlap
        self.step = size[1] - overlap, size[0] - overlap
        self.grid = grid_of(pyramid.shape, size, scale, overlap)
        self.tissue = tissue

    @property
    def total(self) -> int:
        """Number of tiles that cover the slide."""
        return self.grid[0] * self.grid[1]

    @property
    def skipped(self) -> int:
        """Number of tiles that are left out because they show no tissue."""
        return self.total - len(self)

    @property
    def rule(self) -> str:
        """Return how it was decided which tiles are left out."""
        return "every tile" if self.tissue is None else RULE

    def __len__(self) -> int:
        if self.tissue is None:
            return self.total
        return int((self.tissue > 0).sum())

    def __iter__(self) -> Iterator[Tile]:
        for down in range(self.grid[1]):
            for across in range(self.grid[0]):
                if self.tissue is None or self.tissue[down, across] > 0:
                    yield self.tile(across, down)

    def window(self, across: int, down: int) -> Window:
        """Say which rectangle of the slide a tile is."""
        corner = (
            across * self.step[0] * self.scale[0],
            down * self.step[1] * self.scale[1],
        )
        return Window(corner, self.scale, (self.size[1], self.size[0]))

    def tile(self, across: int, down: int) -> Tile:
        """Read one tile of the grid.

        Raises:
            DecodeError: If its pixels are broken.
        """
        window = self.window(across, down)
        pixels, mask = self._pyramid.sample(window)
        share = None if self.tissue is None else float(self.tissue[down, across])
        words = f"tile {across + 1} of {self.grid[0]} across, {down + 1} of "
        words += f"{self.grid[1]} down"
        image = picture_of(self._pyramid, window, pixels, mask, words)
        return Tile(image, *window.corner, across, down, share)


def picture_of(
    pyramid: Pyramid,
    window: Window,
    pixels: npt.NDArray[np.uint8],
    mask: npt.NDArray[np.bool_],
    words: str,
) -> Image:
    """Make an image of a window that was read."""
    parts = pyramid.parts
    return Image.from_picture(
        pixels,
        geometry=pyramid.geometry(window),
        modality=parts.modality,
        facts=parts.facts,
        identity=parts.identity,
        provenance=(*parts.provenance, words),
        warnings=parts.warnings,
        padding=mask.T[..., None] if mask.any() else None,
        source=parts.path,
    )


def plan_tiles(
    pyramid: Pyramid,
    size: tuple[int, int],
    spacing_mm: float | None,
    overlap: int,
    thumbnail: MaskPicture | None,
) -> Tiles:
    """Lay a grid of tiles over a slide.

    Args:
        pyramid: The slide.
        size: (rows, columns) of a tile.
        spacing_mm: Of a tile's pixels; None keeps those of the finest level.
        overlap: Pixels of a tile that it shares with the next.
        thumbnail: Makes the small picture that tissue is looked for on; None takes
            every tile.

    Raises:
        GeometryError: If the spacing cannot be had, or there would be too many tiles.
        ValueError: If size or overlap make no sense.
    """
    if min(size) < 1 or not 0 <= overlap < min(size):
        msg = f"tiles of {size} cannot overlap by {overlap} pixels"
        raise ValueError(msg)
    scale = _scale(pyramid, spacing_mm)
    columns, rows = grid_of(pyramid.shape, size, scale, overlap)
    if columns * rows > MOST_TILES:
        msg = f"{columns} x {rows} tiles would cover the slide; at most {MOST_TILES}"
        raise GeometryError(msg, hint="Ask for larger tiles or a coarser spacing.")
    share = None
    if thumbnail is not None:
        side = _MASK_PIXELS_A_TILE * max(columns, rows)
        picture = thumbnail(int(np.clip(side, *_MASK_SIDES)))
        share = _tissue_of_tiles(pyramid, picture, size, scale, overlap)
    return Tiles(pyramid, size, scale, overlap, share)


def grid_of(
    shape: tuple[int, int],
    size: tuple[int, int],
    scale: tuple[float, float],
    overlap: int,
) -> tuple[int, int]:
    """Return (columns, rows) of the grid of tiles that covers a slide."""
    counts = []
    for axis in range(2):
        length, tile = shape[axis] / scale[axis], size[1 - axis]
        more = np.ceil((length - tile) / (tile - overlap) - 1e-9)
        counts.append(1 + max(int(more), 0))
    return counts[0], counts[1]


def _scale(pyramid: Pyramid, spacing_mm: float | None) -> tuple[float, float]:
    """Return pixels of the finest level in one of a tile's pixels, along i, j.

    Raises:
        GeometryError: If the slide says no spacing, or a coarser one.
        ValueError: If the spacing is not positive.
    """
    if spacing_mm is None:
        return 1.0, 1.0
    if not spacing_mm > 0:
        msg = f"spacing_mm must be above 0, got {spacing_mm}"
        raise ValueError(msg)
    if pyramid.spacing_mm is None:
        msg = f"{pyramid.parts.path.name} does not say how large its pixels are"
        hint = "Leave the spacing out to have tiles of its own pixels."
        raise GeometryError(msg, hint=hint)
    finest = pyramid.spacing_mm
    scale = spacing_mm / finest[0], spacing_mm / finest[1]
    if min(scale) < _FINEST:
        msg = f"tiles of {1000 * spacing_mm:g} um a pixel are asked for, but the slide "
        msg += f"was scanned at {1000 * max(finest):g} um"
        raise GeometryError(msg, hint="Ask for that spacing or a coarser one.")
    return scale


def _tissue_of_tiles(
    pyramid: Pyramid,
    picture: Image,
    size: tuple[int, int],
    scale: tuple[float, float],
    overlap: int,
) -> npt.NDArray[np.float64]:
    """Return the share of tissue of each tile of the grid, (rows, columns)."""
    missing = np.zeros(picture.shape[:2], np.bool_).T
    if picture.padding is not None:
        missing = picture.padding[..., 0].T
    mask = tissue_mask(picture.picture(), missing)
    columns, rows = grid_of(pyramid.shape, size, scale, overlap)
    shrink = [picture.shape[n] / pyramid.shape[n] for n in range(2)]
    step = [(size[1 - n] - overlap) * scale[n] * shrink[n] for n in range(2)]
    starts = (
        np.asarray(np.arange(columns) * step[0], np.float64),
        np.asarray(np.arange(rows) * step[1], np.float64),
    )
    box = size[1] * scale[0] * shrink[0], size[0] * scale[1] * shrink[1]
    return share_in_boxes(mask, starts, box)
