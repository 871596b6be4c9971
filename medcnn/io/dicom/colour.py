"""Colour pictures: RGB, YBR and palettes, as RGB."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from medcnn.errors import DecodeError
from medcnn.io.dicom.stored import Layout
from medcnn.io.dicom.tags import broken_as_decode_error

__all__ = ["check_photometric", "colour_words", "to_rgb"]

GREY = ("MONOCHROME1", "MONOCHROME2")
_PALETTE = "PALETTE COLOR"
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


def check_photometric(layout: Layout, path: Path | None) -> bool:
    """Return whether the picture is grey.

    Raises:
        DecodeError: If its Photometric Interpretation is missing, retired or
            contradicts its number of samples.
    """
    name, samples = layout.photometric, layout.samples
    if name in GREY and samples == 1:
        return True
    is_palette = name == _PALETTE and samples == 1 and not layout.is_float
    is_colour = name in _COLOUR and samples == 3 and layout.allocated in {8, 16}
    if not is_palette and not is_colour:
        msg = (
            f"(0028,0004) Photometric Interpretation {name or 'missing'!r} with "
            f"{samples} samples of {layout.allocated} bits is not read."
        )
        raise DecodeError(msg, path=path)
    return False


def colour_words(layout: Layout) -> tuple[str, ...]:
    """Return the steps that `to_rgb` takes, in words."""
    if layout.photometric == "RGB":
        return (layout.words,)
    return (layout.words, f"colour: {layout.photometric} to RGB")


def to_rgb(
    pixels: npt.NDArray[Any], dataset: Dataset, layout: Layout, path: Path | None
) -> npt.NDArray[Any]:
    """Return RGB of a decoded colour picture.

    Args:
        pixels: (frames, rows, columns) indices of a palette, or
            (frames, rows, columns, 3) of RGB.
        dataset: Holds the palette.
        layout: How it was stored.
        path: The file, for errors.

    Returns:
        (frames, rows, columns, 3), uint8 or uint16.

    Raises:
        DecodeError: If the palette is broken.
    """
    if layout.photometric != _PALETTE:
        return pixels
    indices = pixels & np.array(2**layout.stored - 1, pixels.dtype)
    with broken_as_decode_error(path, "its palette cannot be applied"):
        return np.asarray(apply_color_lut(indices, dataset)[..., :3])
