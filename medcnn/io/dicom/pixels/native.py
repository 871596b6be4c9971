"""Uncompressed pixels: bytes to containers, without a copy where none is needed.

References:
    [1] DICOM PS3.5 section 8.1.1 (bits), 8.2 (native format); PS3.3 C.7.6.3.1.2,
        C.7.6.3.1.3 (planar configuration).
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian

from medcnn.errors import DecodeError
from medcnn.io.dicom.pixels.layout import CUT_OFF, Layout
from medcnn.io.dicom.tags import NOT_CONFORMANT, broken_as_decode_error

__all__ = ["SUBSAMPLED", "expected_bytes", "native_pixels"]

Pixels = npt.NDArray[Any]

SUBSAMPLED = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})
"""Two neighbouring pixels share their colour differences."""


def native_pixels(dataset: Dataset, layout: Layout, path: Path | None) -> Pixels:
    """Return uncompressed pixels as they are stored.

    Returns:
        Of `layout.shape`: unsigned integers of the container's size, 0 and 1 for single
        bits, or floats; colour not yet converted. May be a read-only view.

    Raises:
        DecodeError: If bytes are lacking, or the colour planes make no sense.
    """
    with broken_as_decode_error(path, "its pixels cannot be read"):
        element = dataset[layout.keyword]
        kind = str(element.VR)
        raw, is_words = element.value or b"", kind == "OW"
        order = ">" if layout.syntax == ExplicitVRBigEndian else "<"
    if element.is_undefined_length:
        msg = f"its pixels come in fragments, which {layout.syntax.name} has not."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    if not isinstance(raw, bytes):
        msg = f"its pixels have the value representation {kind}, which none have."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    _check_length(len(raw), layout, path)
    if layout.allocated <= 8 and is_words and order == ">":
        raw = _swapped(raw, path)
    count = int(np.prod(layout.shape))
    if layout.allocated == 1:
        bits = np.frombuffer(raw, np.uint8)
        return np.unpackbits(bits, count=count, bitorder="little").reshape(layout.shape)
    form = np.dtype(f"{order}{'f' if layout.is_float else 'u'}{layout.allocated // 8}")
    if layout.samples > 1 and layout.photometric in SUBSAMPLED:
        return _full_width(raw, form, layout, path)
    pixels = np.frombuffer(raw, form, count)
    if not form.isnative:
        pixels = pixels.astype(form.newbyteorder("="))
    if not layout.is_planar:
        return pixels.reshape(layout.shape)
    frames, rows, columns, samples = layout.shape
    planes = pixels.reshape(frames, samples, rows, columns)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))


def _swapped(raw: bytes, path: Path | None) -> bytes:
    """Swap pairs of bytes: so they come in big-endian words (PS3.5 8.1.2).

    Raises:
        DecodeError: If the last word is cut off.
    """
    if len(raw) % 2:
        msg = f"its pixels are cut off: {len(raw)} bytes are no whole words."
        raise DecodeError(msg, path=path, hint=CUT_OFF)
    return np.frombuffer(raw, "u2").byteswap().tobytes()


def _full_width(
    raw: bytes, kind: np.dtype[Any], layout: Layout, path: Path | None
) -> Pixels:
    """Give every pixel its colour differences: Y1 Y2 Cb Cr is two pixels.

    Raises:
        DecodeError: If the layout cannot be subsampled.
    """
    if layout.is_planar or layout.columns % 2:
        what = "Planar Configuration 1" if layout.is_planar else "odd Columns"
        msg = f"it says {layout.photometric} together with {what}."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    pairs = np.frombuffer(raw, kind, int(np.prod(layout.shape)) // 3 * 2).reshape(-1, 4)
    pixels = np.empty((len(pairs), 2, 3), kind.newbyteorder("="))
    pixels[:, :, 0] = pairs[:, :2]
    pixels[:, :, 1:] = pairs[:, None, 2:]
    return pixels.reshape(layout.shape)


def expected_bytes(layout: Layout) -> int:
    """Return how many bytes uncompressed pixels take."""
    samples = int(np.prod(layout.shape))
    if layout.samples > 1 and layout.photometric in SUBSAMPLED:
        samples = samples // 3 * 2
    return (samples * layout.allocated + 7) // 8


def _check_length(found: int, layout: Layout, path: Path | None) -> None:
    """Refuse uncompressed pixels that are fewer than declared, or a frame more.

    Raises:
        DecodeError: With the number of bytes that are there and that should be.
    """
    expected = expected_bytes(layout)
    if found < expected:
        msg = f"its pixels are cut off: {found} of {expected} bytes are there."
        raise DecodeError(msg, path=path, hint=CUT_OFF)
    is_pairs = not layout.is_planar and not layout.columns % 2
    is_halved = is_pairs and layout.samples > 1 and layout.photometric in SUBSAMPLED
    if is_halved and found >= expected // 2 * 3:
        msg = (
            f"it says {layout.photometric}, in which two pixels share their colour, "
            f"but holds {found} bytes, not {expected}."
        )
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    if found - expected >= max(expected // layout.frames, 2):
        msg = (
            f"it holds {found} bytes of pixels, but {layout.frames} frames of its size "
            f"are {expected}."
        )
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
