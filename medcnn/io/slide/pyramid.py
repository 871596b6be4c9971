"""Any rectangle of a slide at any scale, out of the level that fits best."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from medcnn.errors import DecodeError
from medcnn.geometry import Frame, Geometry
from medcnn.io.slide.contract import Bytes, LevelPixels, SlideParts

__all__ = ["Level", "Pyramid", "Window"]

_CACHE_BYTES = 2**26
"""Decoded tiles that are kept for their neighbours."""

_BLOCK_PIXELS = 2**23
"""Most stored pixels that are brought together at once while a picture is shrunk."""

_EXACT = 0.01
"""Drift over a whole window, in pixels, below which stored pixels are not resampled."""

WHITE = 255
"""What stands where a slide has no pixels: glass is white."""

FloatArray = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Level:
    """One resolution of a slide.

    Attributes:
        shape: (columns, rows).
        downsample: How many pixels of the finest level one pixel spans.
        spacing_mm: Distance between pixel centres along (i, j); None if unknown.
        tile: (columns, rows) of a stored tile.
    """

    shape: tuple[int, int]
    downsample: float
    spacing_mm: tuple[float, float] | None
    tile: tuple[int, int]


@dataclass(frozen=True)
class Window:
    """A rectangle of a slide, sampled.

    Attributes:
        corner: Its upper left corner, in pixels of the finest level from that level's
            upper left corner.
        scale: How many pixels of the finest level one of its pixels spans, along i, j.
        shape: Its (columns, rows).
    """

    corner: tuple[float, float]
    scale: tuple[float, float]
    shape: tuple[int, int]


class Pyramid:
    """The levels of one slide, and the tiles that were decoded last.

    Args:
        parts: An open slide.
    """

    def __init__(self, parts: SlideParts) -> None:
        self.parts = parts
        self._cache: OrderedDict[tuple[int, int, int], Bytes | None] = OrderedDict()
        self._cached_bytes = 0

    @property
    def shape(self) -> tuple[int, int]:
        """(columns, rows) of the finest level."""
        return self.parts.levels[0].shape

    @property
    def spacing_mm(self) -> tuple[float, float] | None:
        """Distance between pixel centres of the finest level along (i, j)."""
        if self.parts.affine is None:
            return None
        di, dj = np.linalg.norm(self.parts.affine[:3, :2], axis=0)
        return float(di), float(dj)

    def levels(self) -> tuple[Level, ...]:
        """Describe the levels, the finest first."""
        found = []
        pairs = zip(self.parts.levels, self.parts.downsamples, strict=True)
        for stored, downsample in pairs:
            base = self.spacing_mm
            spacing = (
                None if base is None else (base[0] * downsample, base[1] * downsample)
            )
            found.append(Level(stored.shape, downsample, spacing, stored.tile))
        return tuple(found)

    def geometry(self, window: Window) -> Geometry | None:
        """Return the grid of a window in slide mm; None where nothing says."""
        if self.parts.affine is None:
            return None
        local = np.eye(4)
        for axis in range(2):
            scale = window.scale[axis]
            local[axis, axis] = scale
            local[axis, 3] = window.corner[axis] + (scale - 1) / 2
        shape = (*window.shape, 1)
        return Geometry(shape, self.parts.affine @ local, Frame.SLIDE)

    def sample(self, window: Window) -> tuple[Bytes, Mask]:
        """Read a window: RGB (rows, columns, 3), and where nothing was acquired.

        The coarsest level that is not coarser than the window is read and shrunk by
        the exact average over the area of each new pixel; where a pixel was acquired
        over less than half its area it is white and masked.

        Raises:
            DecodeError: If stored pixels are broken.
        """
        index = self._fitting(min(window.scale))
        columns, rows = window.shape
        pixels = np.full((rows, columns, 3), WHITE, np.uint8)
        mask = np.ones((rows, columns), np.bool_)
        ratio = [scale / self.parts.downsamples[index] for scale in window.scale]
        wide = max(1, min(columns, int(4096 / ratio[0])))
        high = max(1, min(rows, int(_BLOCK_PIXELS / (wide * ratio[0] * ratio[1]))))
        for top in range(0, rows, high):
            for left in range(0, columns, wide):
                box = np.s_[top : top + high, left : left + wide]
                part = Window(
                    (
                        window.corner[0] + left * window.scale[0],
                        window.corner[1] + top * window.scale[1],
                    ),
                    window.scale,
                    (mask[box].shape[1], mask[box].shape[0]),
                )
                pixels[box], mask[box] = self._sample_block(part, index)
        return pixels, mask

    def _fitting(self, scale: float) -> int:
        """Return the coarsest level that is not coarser than `scale`."""
        fitting = [
            n for n, d in enumerate(self.parts.downsamples) if d <= scale * (1 + 1e-6)
        ]
        return max(fitting, default=0)

    def _sample_block(self, window: Window, index: int) -> tuple[Bytes, Mask]:
        """Read a window that is small enough to be brought together at once."""
        downsample = self.parts.downsamples[index]
        axes = []
        for axis in range(2):
            start = window.corner[axis] / downsample
            step = window.scale[axis] / downsample
            axes.append((start, step, window.shape[axis]))
        if all(_is_exact(*axis) for axis in axes):
            (left, _, columns), (top, _, rows) = axes
            return self._stored(index, round(left), round(top), columns, rows)
        across, first_column = _weights(*axes[0])
        down, first_row = _weights(*axes[1])
        stored, mask = self._stored(
            index, first_column, first_row, across.shape[1], down.shape[1]
        )
        return _average(stored, mask, across, down)

    def _stored(
        self, index: int, left: int, top: int, columns: int, rows: int
    ) -> tuple[Bytes, Mask]:
        """Bring stored pixels together; what lies outside is white and masked."""
        level = self.parts.levels[index]
        wide, high = level.tile
        pixels = np.full((rows, columns, 3), WHITE, np.uint8)
        mask = np.ones((rows, columns), np.bool_)
        right, bottom = (
            min(left + columns, level.shape[0]),
            min(top + rows, level.shape[1]),
        )
        for down in range(max(top, 0) // high, -(-bottom // high)):
            for across in range(max(left, 0) // wide, -(-right // wide)):
                tile = self._tile(level, index, across, down)
                if tile is None:
                    continue
                x, y = across * wide, down * high
                x0, y0 = max(left, x, 0), max(top, y, 0)
                x1, y1 = min(right, x + wide), min(bottom, y + high)
                if x0 >= x1 or y0 >= y1:
                    continue
                into = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
                pixels[into] = tile[y0 - y : y1 - y, x0 - x : x1 - x]
                mask[into] = False
        return pixels, mask

    def _tile(
        self, level: LevelPixels, index: int, across: int, down: int
    ) -> Bytes | None:
        """Decode a stored tile, or take it from those that were decoded last.

        Raises:
            DecodeError: If it is smaller than its place.
        """
        key = index, across, down
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        tile = level.stored_tile(across, down)
        wide = min(level.tile[0], level.shape[0] - across * level.tile[0])
        high = min(level.tile[1], level.shape[1] - down * level.tile[1])
        if tile is not None and (tile.shape[0] < high or tile.shape[1] < wide):
            msg = f"a tile of it has {tile.shape[1]} x {tile.shape[0]} pixels, not "
            msg += f"{wide} x {high}."
            raise DecodeError(msg, path=self.parts.path)
        self._cache[key] = tile
        self._cached_bytes += 0 if tile is None else tile.nbytes
        while self._cached_bytes > _CACHE_BYTES and len(self._cache) > 1:
            _, old = self._cache.popitem(last=False)
            self._cached_bytes -= 0 if old is None else old.nbytes
        return tile


def _is_exact(start: float, step: float, count: int) -> bool:
    """Say whether new pixels are stored pixels, along one axis."""
    return abs(step - 1) * count < _EXACT and abs(start - round(start)) < _EXACT


def _weights(start: float, step: float, count: int) -> tuple[FloatArray, int]:
    """Return what each stored pixel adds to each new one along one axis.

    Args:
        start: Left edge of the first new pixel, in stored pixels.
        step: Stored pixels that a new pixel spans.
        count: Number of new pixels.

    Returns:
        Shares of the new pixel's length, (count, stored), rows adding up to 1; and
        the first stored pixel.
    """
    first, last = int(np.floor(start)), int(np.ceil(start + step * count))
    edges = start + step * np.arange(count + 1)
    stored = np.arange(first, max(last, first + 1))
    begins = np.maximum(edges[:-1, None], stored)
    ends = np.minimum(edges[1:, None], stored + 1)
    return np.clip(ends - begins, 0, None) / step, first


def _average(
    stored: Bytes, mask: Mask, across: FloatArray, down: FloatArray
) -> tuple[Bytes, Mask]:
    """Average over the area of each new pixel, of what was acquired."""
    if not mask.any():
        mean = _weighted(stored, across, down)
        return _rounded(mean), np.zeros(mean.shape[:2], np.bool_)
    acquired = ~mask[..., None]
    share = _weighted(acquired, across, down)
    total = _weighted(np.where(acquired, stored, 0), across, down)
    missing: Mask = share[..., 0] < 0.5
    pixels = _rounded(total / np.maximum(share, np.float32(1e-6)))
    pixels[missing] = WHITE
    return pixels, missing


def _weighted(
    values: npt.NDArray[Any], across: FloatArray, down: FloatArray
) -> npt.NDArray[np.float32]:
    """Return sums over the area of each new pixel, (rows, columns, C)."""
    rows, columns, channels = values.shape
    # a new pixel takes part of few stored ones: sparse products, and one thread
    flat = values.astype(np.float32).reshape(rows, columns * channels)
    half = (csr_array(down, dtype=np.float32) @ flat).reshape(-1, columns, channels)
    turned = half.transpose(1, 0, 2).reshape(columns, -1)
    summed = csr_array(across, dtype=np.float32) @ turned
    return np.asarray(summed.reshape(-1, len(half), channels).transpose(1, 0, 2))


def _rounded(values: npt.NDArray[Any]) -> Bytes:
    """Return the nearest whole numbers of 0 to 255."""
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
