"""Codings that imagecodecs decodes: JPEG lossless and 12 bit, HTJ2K.

pydicom's decoders of these are absent or not free to ship; the others are left to
pydicom. Not its RLE decoder: imagecodecs 2026.3.6 writes past its buffer on a few
mutated files and ends the process, which pydicom's cannot.
"""

from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from pydicom.uid import (
    HTJ2K,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
)

__all__ = ["frame_decoder"]

Pixels = npt.NDArray[Any]
FrameDecoder = Callable[[bytes, np.dtype[Any]], Pixels]


def frame_decoder(syntax: UID, *, is_grey: bool) -> FrameDecoder | None:
    """Return the function that decodes one frame, or None if pydicom is to do it.

    Args:
        syntax: Transfer syntax.
        is_grey: Whether a pixel is one number.

    Returns:
        (frame, container type) to (rows, columns[, 3]).
    """
    table = _GREY if is_grey else _COLOUR
    return table.get(syntax)


def _jpeg(frame: bytes, kind: np.dtype[Any]) -> Pixels:
    """Decode JPEG of any precision without changing its colours."""
    pixels = imagecodecs.jpeg8_decode(frame)
    return np.asarray(pixels).astype(kind, copy=False)


def _jpeg_as_is(frame: bytes, kind: np.dtype[Any]) -> Pixels:
    """Decode colour JPEG without changing its colours."""
    pixels = imagecodecs.jpeg8_decode(frame, colorspace="RGB", outcolorspace="RGB")
    return np.asarray(pixels).astype(kind, copy=False)


def _htj2k(frame: bytes, kind: np.dtype[Any]) -> Pixels:
    """Decode high-throughput JPEG 2000."""
    return np.asarray(imagecodecs.htj2k_decode(frame)).astype(kind, copy=False)


_GREY: dict[str, FrameDecoder] = {
    JPEGExtended12Bit: _jpeg,
    JPEGLossless: _jpeg,
    JPEGLosslessSV1: _jpeg,
    HTJ2K: _htj2k,
    HTJ2KLossless: _htj2k,
    HTJ2KLosslessRPCL: _htj2k,
}
_COLOUR: dict[str, FrameDecoder] = {
    JPEGLossless: _jpeg_as_is,
    JPEGLosslessSV1: _jpeg_as_is,
    HTJ2K: _htj2k,
    HTJ2KLossless: _htj2k,
    HTJ2KLosslessRPCL: _htj2k,
}
