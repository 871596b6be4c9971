"""Colour pictures: RGB, YBR and palettes, as RGB."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medcnn.errors import DecodeError
from medcnn.io.dicom.pixels.layout import Layout
from medcnn.io.dicom.pixels.palette import read_palette
from medcnn.io.dicom.tags import NOT_CONFORMANT, broken_as_decode_error

__all__ = ["check_photometric", "colour_words", "to_rgb"]

Pixels = npt.NDArray[Any]

_GREY = ("MONOCHROME1", "MONOCHROME2")
_PALETTE = "PALETTE COLOR"
_NATIVE = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422")
_ENCAPSULATED = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_RETIRED = ("HSV", "ARGB", "CMYK", "YBR_PARTIAL_422", "YBR_PARTIAL_420")


def check_photometric(layout: Layout, path: Path | None) -> bool:
    """Return whether the picture is grey.

    Raises:
        DecodeError: If its Photometric Interpretation is missing, retired or
            contradicts its samples.
    """
    name, samples, bits = layout.photometric, layout.samples, layout.allocated
    if name in _GREY and samples == 1:
        return True
    if name == _PALETTE and samples == 1 and not layout.is_float and bits in {8, 16}:
        return False
    known = _ENCAPSULATED if layout.syntax.is_encapsulated else _NATIVE
    is_whole = not layout.is_float and not layout.is_signed and bits in {8, 16, 32}
    if name in known and samples == 3 and is_whole:
        return False
    kind = "float" if layout.is_float else "signed" if layout.is_signed else "unsigned"
    what = f"{name!r} with {samples} samples of {bits} bits, {kind}"
    msg = (
        f"(0028,0004) Photometric Interpretation {what}, in {layout.syntax.name}, is "
        "not read."
    )
    if not name:
        msg = "(0028,0004) Photometric Interpretation is missing."
    hint = NOT_CONFORMANT
    if name in _RETIRED:
        hint = f"{name} is retired or for video; ask for RGB."
    raise DecodeError(msg, path=path, hint=hint)


def colour_words(layout: Layout) -> tuple[str, ...]:
    """Return the steps that `to_rgb` takes, in words."""
    if layout.photometric == "RGB":
        return (layout.words,)
    return (layout.words, f"colour: {layout.photometric} to RGB")


def to_rgb(
    pixels: Pixels, dataset: Dataset, layout: Layout, path: Path | None
) -> Pixels:
    """Return RGB of a decoded colour picture.

    Args:
        pixels: (frames, rows, columns) indices of a palette, or
            (frames, rows, columns, 3) of RGB.
        dataset: Holds the palette.
        layout: How it was stored.
        path: The file, for errors.

    Returns:
        (frames, rows, columns, 3), unsigned.

    Raises:
        DecodeError: If the palette is broken.
    """
    if layout.stored < layout.allocated:
        pixels = pixels & np.array(2**layout.stored - 1, pixels.dtype)
    if layout.photometric != _PALETTE:
        return pixels
    if layout.is_signed:
        sign = 1 << (layout.stored - 1)
        pixels = (pixels.astype(np.int32) ^ sign) - sign
    with broken_as_decode_error(path, "its palette cannot be applied"):
        return read_palette(dataset, path, is_signed=layout.is_signed)(pixels)
