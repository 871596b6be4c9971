"""Pictures decoded at less than their full resolution, on one kind of grid.

JPEG 2000 can leave out its finest wavelets: its samples then lie where every second,
fourth or eighth full sample lies. JPEG can leave out its highest cosines: a sample is
then the mean of a square of full ones. Every other coding is decoded in full. Whatever
the coding, what comes out is the mean of a square of full samples, in whose middle it
lies: codings without levels are averaged over squares, and samples that a codec gave
are interpolated to squares half as wide, so that averaging them further takes the same
areas as it would of the full picture.

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
from medcnn.io.dicom.pixels.averaging import Samples, averaged, finer
from medcnn.io.dicom.pixels.codecs import decode_reduced
from medcnn.io.dicom.pixels.grey import GreyPlan
from medcnn.io.dicom.pixels.layout import Layout
from medcnn.io.dicom.pixels.plan import Plan
from medcnn.io.dicom.pixels.render import render
from medcnn.io.dicom.pixels.stored import conform, container, encapsulated_frames
from medcnn.io.dicom.pixels.syntaxes import JPEG_2000, JPEG_DCT
from medcnn.io.dicom.tags import FOREIGN_ERRORS

__all__ = ["NOT_REDUCED", "Reduced", "reduced"]

Pixels = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

_MOST_HALVINGS = 3
_JPEG_BITS = 8
_WIDEST_BITS = 16


@dataclass(frozen=True)
class Reduced:
    """A picture at less than its full resolution, or the word that it is not.

    Attributes:
        pixels: (1, rows, columns) after the steps of its plan, and no padding; None if
            it is to be decoded in full.
        ratio: Full samples between two of these: 1, 2 or 4.
        words: For a provenance; () if nothing was to be reduced.
    """

    pixels: tuple[Pixels, Mask | None] | None = None
    ratio: int = 1
    words: tuple[str, ...] = ()

    def geometry(self, full: Geometry | None) -> Geometry | None:
        """Return the grid on which these samples lie."""
        if full is None or self.pixels is None:
            return full
        _, rows, columns = self.pixels[0].shape
        turn = np.eye(4)
        turn[0, 0] = turn[1, 1] = self.ratio
        turn[0, 3] = turn[1, 3] = (self.ratio - 1) / 2  # the middle of a square
        return Geometry((columns, rows, 1), full.affine @ turn, full.frame)


NOT_REDUCED = Reduced()
"""Decode in full; nothing else was possible or asked for."""


def reduced(
    dataset: Dataset, plan: Plan, size: tuple[int, int], path: Path | None
) -> Reduced:
    """Decode a grey picture at the lowest resolution that is enough.

    Args:
        dataset: The data set with its pixels.
        plan: What its header says.
        size: (rows, columns) that are enough.
        path: The file, for errors.

    Raises:
        DecodeError: If the frame contradicts the header.
    """
    layout = plan.layout
    power = _halvings(layout, size)
    if not power or len(plan.grey) != 1 or layout.frames != 1:
        return NOT_REDUCED
    obstacle = _obstacle(plan.grey[0])
    if obstacle:
        words = f"decoded at full resolution, although less was asked for: {obstacle}"
        return Reduced(words=(words,))
    return (
        _by_codec(dataset, plan, power, path)
        or _by_averaging(dataset, plan, power, path)
        or NOT_REDUCED
    )


def _by_codec(
    dataset: Dataset, plan: Plan, power: int, path: Path | None
) -> Reduced | None:
    """Let the codec leave out detail; None if it cannot.

    Raises:
        DecodeError: If the frame contradicts the header.
    """
    layout = plan.layout
    if not _may_be_reducible(layout):
        return None
    frame, header = encapsulated_frames(dataset, layout, path)[0]
    power = min(power, _possible(header))
    samples = _samples(frame, header, layout, power)
    if samples is None or header is None:
        return None
    samples = conform(_within(samples, header, layout), header, layout, path)
    values, _ = render(samples[None], plan.grey[0])
    ratio, shape = max(1 << power >> 1, 2), (layout.rows, layout.columns)
    given = Samples(1 << power, header.is_dct, header.is_reversible)
    picture = finer(given, ratio, shape, values[0])
    return None if picture is None else _told(picture, ratio, f"1/{1 << power}")


def _by_averaging(
    dataset: Dataset, plan: Plan, power: int, path: Path | None
) -> Reduced | None:
    """Decode in full and average squares; None for values that are not averaged.

    Raises:
        DecodeError: If the pixels are broken.
    """
    ratio = 1 << power >> 1
    if ratio < 2:
        return None
    picture = averaged(container(dataset, plan.layout, path), plan.grey[0], ratio)
    return None if picture is None else _told(picture, ratio, "full")


def _told(picture: Pixels, ratio: int, detail: str) -> Reduced:
    """Put the picture and the words for its provenance together."""
    rows, columns = picture.shape
    words = f"decoded at {detail} resolution and brought to 1/{ratio}: "
    words += f"{rows} rows x {columns} columns"
    return Reduced((picture[None], None), ratio, (words,))


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


def _halvings(layout: Layout, size: tuple[int, int]) -> int:
    """Return how often a picture may be halved and still is as large as `size`."""
    for power in range(_MOST_HALVINGS, 0, -1):
        rows, columns = (-(-n // (1 << power)) for n in (layout.rows, layout.columns))
        if rows >= size[0] and columns >= size[1]:
            return power
    return 0


def _may_be_reducible(layout: Layout) -> bool:
    """Say whether the layout is one whose codec can leave out detail."""
    is_codec = layout.syntax in JPEG_2000 or layout.syntax in JPEG_DCT
    return is_codec and layout.frames == 1 and layout.stored <= _WIDEST_BITS


def _obstacle(plan: GreyPlan) -> str:
    """Say why samples may not be mixed before the plan's steps; "" if they may."""
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
        return _MOST_HALVINGS if header.bits == _JPEG_BITS else 0
    return header.levels if header.is_at_origin else 0
