"""The stored values of a data set: decoded, not yet interpreted."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import RLELossless

from medcnn.errors import DecodeError
from medcnn.io.codestream import Codestream, bare_codestream, read_codestream
from medcnn.io.dicom.fragments import frame_begins
from medcnn.io.dicom.pixels.codecs import decode_frame, decode_run_lengths
from medcnn.io.dicom.pixels.layout import CUT_OFF, Layout
from medcnn.io.dicom.pixels.native import native_pixels
from medcnn.io.dicom.pixels.syntaxes import JPEG_2000, JPEG_DCT
from medcnn.io.dicom.pixels.ybr import ybr_to_rgb
from medcnn.io.dicom.tags import NOT_CONFORMANT, broken_as_decode_error

__all__ = ["Frame", "conform", "container", "encapsulated_frames"]

Pixels = npt.NDArray[Any]
Frame = tuple[bytes, Codestream | None]
"""A compressed frame and what its header says; None for run lengths."""


def container(dataset: Dataset, layout: Layout, path: Path | None) -> Pixels:
    """Decode all frames to their containers; unused bits are left as they are.

    Returns:
        Grey and palette: (frames, rows, columns), unsigned 8, 16 or 32 bit, or float.
        Colour: (frames, rows, columns, 3), unsigned, as RGB.

    Raises:
        DecodeError: If the pixels are broken, cut off, or contradict the header.
    """
    if not layout.syntax.is_encapsulated:
        pixels = native_pixels(dataset, layout, path)
        if layout.samples > 1 and layout.photometric.startswith("YBR"):
            return ybr_to_rgb(pixels, layout.stored, layout.photometric)
        return pixels
    frames = encapsulated_frames(dataset, layout, path)
    decoded = [_decode(frame, header, layout, path) for frame, header in frames]
    return decoded[0][None] if len(decoded) == 1 else np.stack(decoded)


def encapsulated_frames(
    dataset: Dataset, layout: Layout, path: Path | None
) -> list[Frame]:
    """Split encapsulated pixel data into frames and check what they declare.

    Raises:
        DecodeError: If frames are lacking, or are of another kind than the header says.
    """
    with broken_as_decode_error(path, "its pixel data cannot be split into frames"):
        raw = dataset.PixelData or b""
        tables = _extended_offsets(dataset)
        every = generate_frames(
            raw, number_of_frames=layout.frames, extended_offsets=tables
        )
        frames = list(islice(every, layout.frames))
    if len(frames) < layout.frames:
        msg = f"it holds {len(frames)} of {layout.frames} frames."
        raise DecodeError(msg, path=path, hint=CUT_OFF)
    _check_count(raw, tables, layout, path)
    if layout.syntax == RLELossless:
        return [(frame, None) for frame in frames]
    bare = [bare_codestream(frame) for frame in frames]
    return [(frame, _header(frame, layout, path)) for frame in bare]


def _check_count(
    raw: bytes, tables: tuple[bytes, bytes] | None, layout: Layout, path: Path | None
) -> None:
    """Refuse more frames than declared: which of them are meant nobody says.

    Raises:
        DecodeError: If there are more.
    """
    table, begins = frame_begins(raw, is_rle=layout.syntax == RLELossless)
    extended = len(tables[0]) // 8 if tables is not None else 0
    count = max(table, extended, begins)
    if count > layout.frames:
        msg = (
            f"it holds {count} frames, but (0028,0008) Number of Frames says "
            f"{layout.frames}."
        )
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)


def conform(
    pixels: Pixels, header: Codestream, layout: Layout, path: Path | None
) -> Pixels:
    """Put the samples of a codestream into containers as the data set declares them.

    Args:
        pixels: Samples as their codec gives them, signed or unsigned.
        header: What the codestream declares.
        layout: What the data set declares.
        path: The file, for errors.

    Raises:
        DecodeError: If they do not fit the bits stored.
    """
    stored, bits = layout.stored, header.bits
    if layout.is_signed and not header.is_signed:
        # Nothing in these codestreams says that their bits are those of signed values.
        sign = 1 << (bits - 1)
        if bits < stored and int(pixels.max()) >= sign:
            msg = (
                f"its codestream holds {bits} bits without a sign, but the header says "
                f"{stored} signed bits, so its values can be read in two ways."
            )
            raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
        pixels = (pixels.astype(np.int32) ^ sign) - sign
    elif header.is_signed and not layout.is_signed:
        pixels = pixels.astype(np.int32) & ((1 << bits) - 1)
    if bits > stored:
        _check_fit(pixels, layout, path)
    kind = np.dtype(f"u{max(layout.allocated // 8, 1)}")
    return np.asarray(pixels.astype(kind, copy=False))


def _check_fit(pixels: Pixels, layout: Layout, path: Path | None) -> None:
    """Refuse samples that do not fit the bits stored; unextended signs fit.

    Raises:
        DecodeError: If they do not.
    """
    low = -(1 << (layout.stored - 1)) if layout.is_signed else 0
    least, most = int(pixels.min()), int(pixels.max())
    if least < low or most >= 1 << layout.stored:
        msg = (
            f"its codestream holds values from {least} to {most}, which do not fit "
            f"the {layout.stored} bits of (0028,0101) Bits Stored."
        )
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)


def _decode(
    frame: bytes, header: Codestream | None, layout: Layout, path: Path | None
) -> Pixels:
    """Decode one frame to containers; colour becomes RGB.

    Raises:
        DecodeError: If it is broken or of another shape.
    """
    shape = (layout.rows, layout.columns)
    with broken_as_decode_error(path, "its pixels cannot be decoded"):
        if header is None:
            pixels = decode_run_lengths(frame, layout, path)
        else:
            pixels = conform(
                decode_frame(layout.syntax, frame, header, path), header, layout, path
            )
    wanted = shape if layout.samples == 1 else (*shape, layout.samples)
    if pixels.shape != wanted:
        msg = f"its pixels decode to {pixels.shape}, not {wanted}."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    if layout.samples > 1 and _holds_ybr(header, layout, path):
        return ybr_to_rgb(pixels, layout.stored, "YBR_FULL")
    return pixels


def _holds_ybr(header: Codestream | None, layout: Layout, path: Path | None) -> bool:
    """Say whether decoded colour is luminance and differences, not RGB.

    Raises:
        DecodeError: If the codestream says otherwise than Photometric Interpretation:
            among real files sometimes the one is right and sometimes the other.
    """
    says_ybr = layout.photometric.startswith("YBR_FULL")
    if layout.syntax in JPEG_2000 and header is not None and header.is_transformed:
        if says_ybr:
            msg = (
                f"it says {layout.photometric}, but its JPEG 2000 codestream was "
                "transformed from RGB."
            )
            raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
        return False
    is_dct = layout.syntax in JPEG_DCT and header is not None
    if is_dct and header is not None and header.is_ybr not in {None, says_ybr}:
        inside = "YCbCr" if header.is_ybr else "RGB"
        msg = (
            f"(0028,0004) Photometric Interpretation is {layout.photometric}, but its "
            f"JPEG says that it holds {inside}, so its colours can be read in two ways."
        )
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    return says_ybr


def _header(frame: bytes, layout: Layout, path: Path | None) -> Codestream:
    """Read what a frame declares and compare it with the data set.

    Raises:
        DecodeError: If it declares nothing, or another size or number of samples.
    """
    header = read_codestream(frame)
    if header is None:
        msg = f"a frame of it holds no {layout.syntax.name} codestream."
        raise DecodeError(msg, path=path, hint="Its pixels are broken or cut off.")
    if (header.rows, header.columns) != (layout.rows, layout.columns):
        msg = (
            f"its codestream is {header.rows} rows x {header.columns} columns, but the "
            f"header says {layout.rows} x {layout.columns}."
        )
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    if header.components != layout.samples:
        msg = (
            f"its codestream holds {header.components} samples a pixel, but (0028,0002)"
            f" Samples per Pixel is {layout.samples}."
        )
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    return header


def _extended_offsets(dataset: Dataset) -> tuple[bytes, bytes] | None:
    """Return the Extended Offset Table and its lengths, if both are there."""
    table = dataset.get("ExtendedOffsetTable")
    lengths = dataset.get("ExtendedOffsetTableLengths")
    return (table, lengths) if table and lengths else None
