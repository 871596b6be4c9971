"""Pictures decoded at a half, quarter or eighth of their resolution.

JPEG 2000 leaves out its finest wavelets, and its samples then lie where every second,
fourth or eighth full sample lies. JPEG leaves out its highest cosines, and a sample is
the mean of a square of full ones, in whose middle it lies.

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
from medcnn.io.dicom.pixels.codecs import decode_reduced
from medcnn.io.dicom.pixels.grey import GreyPlan
from medcnn.io.dicom.pixels.layout import Layout
from medcnn.io.dicom.pixels.plan import Plan
from medcnn.io.dicom.pixels.render import render
from medcnn.io.dicom.pixels.stored import conform, encapsulated_frames
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
        ratio: Full samples between two of these: 1, 2, 4 or 8.
        shift: Where the first of these lies, in full samples from the first.
        words: For a provenance; () if nothing was to be reduced.
    """

    pixels: tuple[Pixels, Mask | None] | None = None
    ratio: int = 1
    shift: float = 0.0
    words: tuple[str, ...] = ()

    def geometry(self, full: Geometry | None) -> Geometry | None:
        """Return the grid on which these samples lie."""
        if full is None or self.pixels is None:
            return full
        _, rows, columns = self.pixels[0].shape
        turn = np.eye(4)
        turn[0, 0] = turn[1, 1] = self.ratio
        turn[0, 3] = turn[1, 3] = self.shift
        return Geometry((columns, rows, 1), full.affine @ turn, full.frame)


NOT_REDUCED = Reduced()
"""Decode in full; nothing else was possible or asked for."""


def reduced(
    dataset: Dataset, plan: Plan, size: tuple[int, int], path: Path | None
) -> Reduced:
    """Decode a grey picture at the lowest resolution that is enough, if its codec can.

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
    if not power or len(plan.grey) != 1 or not _may_be_reducible(layout):
        return NOT_REDUCED
    obstacle = _obstacle(plan.grey[0])
    if obstacle:
        words = f"decoded at full resolution, although less was asked for: {obstacle}"
        return Reduced(words=(words,))
    frame, header = encapsulated_frames(dataset, layout, path)[0]
    power = min(power, _possible(header))
    samples = _samples(frame, header, layout, power)
    if samples is None or header is None:
        return NOT_REDUCED
    pixels = render(conform(samples, header, layout, path)[None], plan.grey[0])
    ratio = 1 << power
    shift = (ratio - 1) / 2 if header.is_dct else 0.0
    rows, columns = samples.shape
    words = f"decoded at 1/{ratio} resolution: {rows} rows x {columns} columns"
    return Reduced(pixels, ratio, shift, (words,))


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
