"""Pictures decoded at less than their full resolution, as the means of cells.

JPEG 2000 can leave out its finest wavelets, JPEG its highest cosines; every other
coding is decoded in full. Whatever the coding, what comes out are the means of cells of
full samples, counted from all of them, or estimated from those that a codec gave.

References:
    [1] ITU-T T.800 B.5 (resolution levels on the reference grid), F.3 (the transform).
    [2] ITU-T T.81 A.3.3 (the cosine transform of 8 x 8 samples).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medcnn.geometry import Geometry
from medcnn.io.codestream import Codestream
from medcnn.io.dicom.pixels.averaging import averaged
from medcnn.io.dicom.pixels.bends import bend, is_linear
from medcnn.io.dicom.pixels.cells import Grid, Samples, cell_means, kernel_of
from medcnn.io.dicom.pixels.codecs import decode_reduced
from medcnn.io.dicom.pixels.grey import GreyPlan
from medcnn.io.dicom.pixels.layout import Layout
from medcnn.io.dicom.pixels.plan import Plan
from medcnn.io.dicom.pixels.render import render
from medcnn.io.dicom.pixels.stored import conform, container, encapsulated_frames
from medcnn.io.dicom.pixels.syntaxes import JPEG_2000, JPEG_DCT
from medcnn.io.dicom.tags import FOREIGN_ERRORS
from medcnn.io.options import ReadOptions

__all__ = ["NOT_REDUCED", "Reduced", "Wanted", "reduced", "wanted_of"]

Pixels = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

_MOST_HALVINGS = 3
_FEW_BITS = 8
_WIDEST_BITS = 16
_FEWEST_LEVELS = 400
_SEEN = 4
_MOST_BENT = 0.0007


@dataclass(frozen=True)
class Reduced:
    """A picture at less than its full resolution, or the word that it is not.

    Attributes:
        pixels: (1, rows, columns) after the steps of its plan, and no padding; None if
            it is to be decoded in full.
        cell: (rows, columns) of full samples of which each is the mean.
        words: For a provenance; () if nothing was to be reduced.
    """

    pixels: tuple[Pixels, Mask | None] | None = None
    cell: tuple[float, float] = (1, 1)
    words: tuple[str, ...] = ()

    def geometry(self, full: Geometry | None) -> Geometry | None:
        """Return the grid on which these samples lie."""
        if full is None or self.pixels is None:
            return full
        _, rows, columns = self.pixels[0].shape
        turn = np.eye(4)
        for axis, wide in enumerate(reversed(self.cell)):
            turn[axis, axis], turn[axis, 3] = wide, (wide - 1) / 2  # a cell's middle
        return Geometry((columns, rows, 1), full.affine @ turn, full.frame)


NOT_REDUCED = Reduced()
"""Decode in full; nothing else was possible or asked for."""


@dataclass(frozen=True)
class Wanted:
    """How much of a picture's detail a caller wants.

    Attributes:
        shape: (rows, columns) that are enough.
        is_exact: Whether it is to come as so many cells; otherwise as squares, at
            least so many.
    """

    shape: tuple[int, int]
    is_exact: bool

    def grid(self, power: int, picture: tuple[int, int]) -> Grid:
        """Return the cells of a picture that may be halved so often."""
        if self.is_exact:
            return Grid.of_shape(self.shape, picture)
        return Grid.of_squares(1 << power >> 1, picture)


def wanted_of(options: ReadOptions, picture: tuple[int, int]) -> Wanted | None:
    """Return what a caller wants of a picture of (rows, columns); None for all."""
    if options.cells is not None:
        return Wanted(options.cells.over(picture), is_exact=True)
    return None if options.size is None else Wanted(options.size, is_exact=False)


def reduced(dataset: Dataset, plan: Plan, wanted: Wanted, path: Path | None) -> Reduced:
    """Decode a grey picture at the lowest resolution that is enough.

    Args:
        dataset: The data set with its pixels.
        plan: What its header says.
        wanted: What is enough.
        path: The file, for errors.

    Raises:
        DecodeError: If the frame contradicts the header.
    """
    layout = plan.layout
    power = _halvings(layout, wanted)
    if power is None or len(plan.grey) != 1 or layout.frames != 1:
        return NOT_REDUCED
    obstacle = _obstacle(plan.grey[0], layout, wanted)
    if obstacle:
        return _in_full(obstacle)
    found = (
        _by_codec(dataset, plan, (wanted, power), path)
        or _by_averaging(dataset, plan, wanted.grid(power, _size(layout)), path)
        or NOT_REDUCED
    )
    return _fine_enough(found) if wanted.is_exact else found


def _fine_enough(found: Reduced) -> Reduced:
    """Give up the means of a picture of few levels, which whole numbers spoil.

    Averaging a whole picture rounds once, means of means twice: 400 levels keep the
    difference below a thousandth of the contrast.
    """
    if found.pixels is None:
        return found
    seen = found.pixels[0][0, ::_SEEN, ::_SEEN]
    low, high = np.percentile(seen, (0.5, 99.5))
    if high - low >= _FEWEST_LEVELS:
        return found
    return _in_full(f"it has only {high - low:.0f} grey levels")


def _in_full(obstacle: str) -> Reduced:
    """Say why a picture is decoded in full."""
    words = f"decoded at full resolution, although less was asked for: {obstacle}"
    return Reduced(words=(words,))


def _by_codec(
    dataset: Dataset, plan: Plan, wanted: tuple[Wanted, int], path: Path | None
) -> Reduced | None:
    """Let the codec leave out detail; None if it cannot.

    Raises:
        DecodeError: If the frame contradicts the header.
    """
    layout = plan.layout
    if not _may_be_reducible(layout):
        return None
    frame, header = encapsulated_frames(dataset, layout, path)[0]
    power = min(wanted[1], _possible(header))
    samples = _samples(frame, header, layout, power)
    if samples is None or header is None:
        return None
    samples = conform(_within(samples, header, layout), header, layout, path)
    if wanted[0].is_exact and not _may_be_averaged(samples, plan.grey[0]):
        return _by_codec(dataset, plan, (wanted[0], power - 1), path)
    values, _ = render(samples[None], plan.grey[0])
    if values.dtype.itemsize > 4:
        return None  # float64 comes of a curve that float32 cannot hold
    kernel = kernel_of(is_dct=header.is_dct, is_reversible=header.is_reversible)
    grid = wanted[0].grid(max(power, 2), _size(layout))
    picture = cell_means(values[0], Samples(power, kernel), grid, _size(layout))
    return _told(picture, grid, f"1/{1 << power}")


def _by_averaging(
    dataset: Dataset, plan: Plan, grid: Grid, path: Path | None
) -> Reduced | None:
    """Decode in full and average cells; None for values that are not averaged.

    Raises:
        DecodeError: If the pixels are broken.
    """
    if max(grid.cell) <= 1:
        return None
    picture = averaged(container(dataset, plan.layout, path), plan.grey[0], grid)
    return None if picture is None else _told(picture, grid, "full")


def _may_be_averaged(samples: Pixels, plan: GreyPlan) -> bool:
    """Say whether averaging samples before the plan's steps makes no difference."""
    if is_linear(plan):
        return True
    return not plan.layout.is_signed and bend(samples, plan) < _MOST_BENT


def _told(picture: Pixels, grid: Grid, detail: str) -> Reduced:
    """Put the picture and the words for its provenance together."""
    rows, columns = picture.shape
    high, wide = grid.cell
    part = f"1/{high:g}" if high == wide else f"1/{high:.3g} x 1/{wide:.3g}"
    words = f"decoded at {detail} resolution and brought to {part}: "
    words += f"{rows} rows x {columns} columns"
    return Reduced((picture[None], None), grid.cell, (words,))


def _within(samples: Pixels, header: Codestream, layout: Layout) -> Pixels:
    """Cut off what a codec swung beyond the bits stored by leaving out detail."""
    if header.bits <= layout.stored:
        return samples
    low = -(1 << (layout.stored - 1)) if header.is_signed else 0
    return np.clip(samples, low, low + (1 << layout.stored) - 1)


def _samples(
    frame: bytes, header: Codestream | None, layout: Layout, power: int
) -> Pixels | None:
    """Return the reduced samples; None if the codec does not give them."""
    if not power or header is None:
        return None
    try:
        samples = decode_reduced(frame, header, power)
    except FOREIGN_ERRORS:
        return None
    if header.is_dct and samples[-1, -1] == 1 << (header.bits - 1):
        return None  # mid-grey may be what libjpeg fills up with: look at all of it
    wanted = tuple(-(-n // (1 << power)) for n in (layout.rows, layout.columns))
    return samples if samples.shape == wanted else None


def _halvings(layout: Layout, wanted: Wanted) -> int | None:
    """Return how often a picture may be halved and still is large enough.

    Returns:
        None if it stays as it is: it is too small, or not large enough for squares.
    """
    for power in range(_MOST_HALVINGS, -1, -1):
        rows, columns = (-(-n // (1 << power)) for n in _size(layout))
        if rows >= wanted.shape[0] and columns >= wanted.shape[1]:
            return power if power or wanted.is_exact else None
    return None


def _size(layout: Layout) -> tuple[int, int]:
    return layout.rows, layout.columns


def _may_be_reducible(layout: Layout) -> bool:
    """Say whether the layout is one whose codec can leave out detail."""
    is_codec = layout.syntax in JPEG_2000 or layout.syntax in JPEG_DCT
    return is_codec and layout.frames == 1 and layout.stored <= _WIDEST_BITS


def _obstacle(plan: GreyPlan, layout: Layout, wanted: Wanted) -> str:
    """Say why samples may not be mixed before the plan's steps; "" if they may."""
    if wanted.is_exact and layout.stored <= _FEW_BITS and not plan.is_display:
        return f"it has only {1 << layout.stored} grey levels"
    if plan.padding is not None:
        return "it has a Pixel Padding Value, which must not be mixed with others"
    if not plan.is_monotone:
        return "its look-up table rises and falls"
    return ""


def _possible(header: Codestream | None) -> int:
    """Return how often the codestream can be halved."""
    if header is None or header.bits > _WIDEST_BITS:
        return 0
    if header.is_dct:
        return _MOST_HALVINGS if header.bits == _FEW_BITS else 0
    return header.levels if header.is_at_origin else 0
