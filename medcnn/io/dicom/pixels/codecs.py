"""Compressed frames to samples: the fastest decoder of each coding that is right.

Each was tried on thousands of mutated frames first. Not used, because a mutated frame
can end the process or spoil its memory: imagecodecs' RLE decoder, OpenJPH (which is
quicker than OpenJPEG for high-throughput JPEG 2000), and everything of gdcm.

References:
    [1] DICOM PS3.5 Annex A.4 and Annex G (run lengths).
"""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import jpeg_ls
import numpy as np
import numpy.typing as npt
from PIL import Image as Picture
from pydicom.uid import UID

from medcnn.errors import DecodeError
from medcnn.io.codestream import Codestream
from medcnn.io.dicom.pixels.layout import CUT_OFF, Layout
from medcnn.io.dicom.pixels.syntaxes import JPEG_2000, JPEG_DCT, JPEG_LOSSLESS, JPEG_LS
from medcnn.io.dicom.tags import NOT_CONFORMANT

__all__ = ["decode_frame", "decode_reduced", "decode_run_lengths"]

Pixels = npt.NDArray[Any]

_RLE_HEADER = struct.Struct("<16I")
_END_OF_IMAGE = b"\xff\xd9"
_TRAILER = 64
_LIBJPEG = JPEG_DCT | JPEG_LOSSLESS
_STUFFING = bytes(range(0x11, 0xF1, 7)) * 8


def decode_frame(
    syntax: UID, frame: bytes, header: Codestream, path: Path | None
) -> Pixels:
    """Decode a JPEG, JPEG-LS or JPEG 2000 frame without interpreting its colours.

    The one exception is JPEG 2000's own transformation, which is undone.

    Args:
        syntax: Transfer syntax; the frame's own header decides within its family.
        frame: The codestream.
        header: What it declares.
        path: The file, for errors.

    Returns:
        (rows, columns) or (rows, columns, components).

    Raises:
        DecodeError: If a JPEG frame is cut off; other errors are the libraries' own.
    """
    # CharLS may take minutes to notice that it is, libjpeg fills the rest with grey.
    if syntax not in JPEG_2000 and _END_OF_IMAGE not in frame[-_TRAILER:]:
        msg = "a JPEG frame of it has no end."
        raise DecodeError(msg, path=path, hint=CUT_OFF)
    pixels = _DECODERS[syntax](frame, header)
    if syntax in _LIBJPEG and _may_be_filled(pixels, header):
        _check_whole(pixels, frame, header, path)
    return pixels


def decode_reduced(frame: bytes, header: Codestream, power: int) -> Pixels:
    """Decode a frame at 1 / 2**power of its resolution.

    Args:
        frame: A JPEG with cosine transforms or a JPEG 2000 codestream, grey, of at most
            16 bits.
        header: What it declares.
        power: 1, 2 or 3; for JPEG 2000 at most its levels.

    Returns:
        Samples as `decode_frame` gives them, ceil(size / 2**power).
    """
    with Picture.open(io.BytesIO(frame), formats=("JPEG", "JPEG2000")) as picture:
        if header.is_dct:
            size = (header.columns >> power, header.rows >> power)
            picture.draft("L", size)
            return np.asarray(picture)
        _reduce(picture, header, power)
        picture.load()
        samples = np.asarray(picture)
    # Pillow shifts samples to the top of 8 or 16 bits and makes signed ones unsigned.
    spare = 8 * samples.dtype.itemsize - header.bits
    samples = samples >> spare if spare else samples
    if not header.is_signed:
        return samples
    return samples.astype(np.int32) - (1 << (header.bits - 1))


def decode_run_lengths(frame: bytes, layout: Layout, path: Path | None) -> Pixels:
    """Decode a frame of run lengths: one segment for each byte of each sample.

    Args:
        frame: The frame with its header of 16 numbers.
        layout: What the data set declares.
        path: The file, for errors.

    Returns:
        (rows, columns) or (rows, columns, samples), unsigned.

    Raises:
        DecodeError: If segments are lacking or too short.
    """
    count, *starts = _RLE_HEADER.unpack_from(frame)
    samples, width = layout.samples, layout.allocated // 8
    if count != samples * width or not width:
        msg = (
            f"its run lengths come in {count} segments, not {samples * width}: one for "
            "each byte of a pixel."
        )
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    size = layout.rows * layout.columns
    ends = [*starts[1:count], len(frame)]
    planes = []
    for start, end in zip(starts[:count], ends, strict=True):
        values = _segment(frame[start:end], size)
        if len(values) < size:
            msg = f"a segment of run lengths holds {len(values)} of {size} bytes."
            raise DecodeError(msg, path=path, hint=CUT_OFF)
        planes.append(values[:size].reshape(layout.rows, layout.columns))
    # The most significant byte of each sample comes first, in memory last.
    order = [s * width + b for s in range(samples) for b in reversed(range(width))]
    together = planes[0] if count == 1 else cv2.merge([planes[n] for n in order])
    numbers = together.view(f"<u{width}").astype(f"=u{width}", copy=False)
    return numbers[..., 0] if samples == 1 and width > 1 else numbers


def _reduce(picture: Any, header: Codestream, power: int) -> None:
    """Tell Pillow to leave out `power` resolution levels."""
    picture.reduce = power
    # Pillow rounds sizes to the nearest, but OpenJPEG rounds them up, and then they
    # quarrel; multiples of the ratio suit both.
    ratio = 1 << power
    sizes = (-(-n // ratio) * ratio for n in (header.columns, header.rows))
    picture._size = tuple(sizes)  # noqa: SLF001


def _segment(packed: bytes, size: int) -> Pixels:
    """Expand one segment, to a little more than `size` bytes at most."""
    try:
        found = imagecodecs.packbits_decode(packed, out=size)
    except RuntimeError:
        # A segment may be padded, so that it expands to a little more.
        found = imagecodecs.packbits_decode(packed, out=size + 256)
    return np.frombuffer(found, np.uint8)


def _may_be_filled(pixels: Pixels, header: Codestream) -> bool:
    """Say whether the last samples are the mid-grey with which libjpeg fills up."""
    last = pixels[-1]
    if header.is_dct:  # it fills block by block
        row, column = (8 * ((size - 1) // 8) for size in pixels.shape[:2])
        last = pixels[row:, column:]
    return bool((last == 1 << (header.bits - 1)).all())


def _check_whole(
    pixels: Pixels, frame: bytes, header: Codestream, path: Path | None
) -> None:
    """Refuse a scan that ends before its picture does, though it has an end.

    A decoder that has all it needs leaves alone what is put before the end.

    Raises:
        DecodeError: If it has not.
    """
    body, end, rest = frame.rpartition(_END_OF_IMAGE)
    more = _jpeg(body + _STUFFING + end + rest, header)
    if not np.array_equal(more, pixels):
        msg = "a JPEG frame of it ends before its picture does."
        raise DecodeError(msg, path=path, hint=CUT_OFF)


def _jpeg(frame: bytes, header: Codestream) -> Pixels:
    """Decode JPEG of any precision, with losses or without, colours as they are."""
    # Both spaces are said to be RGB, so that nothing is converted.
    space = "RGB" if header.components == 3 else None
    pixels = imagecodecs.jpeg8_decode(frame, colorspace=space, outcolorspace=space)
    return np.asarray(pixels)


def _jpeg_ls(frame: bytes, header: Codestream) -> Pixels:
    """Decode JPEG-LS by CharLS; its planes may come one after the other."""
    buffer, info = jpeg_ls.decode_pixel_data(frame)
    kind = "u1" if info["bits_per_sample"] <= 8 else "u2"
    samples = np.frombuffer(buffer, kind)
    if header.components == 1:
        return samples.reshape(header.rows, header.columns)
    if info["interleave_mode"] == 0:
        planes = samples.reshape(header.components, header.rows, header.columns)
        return np.ascontiguousarray(planes.transpose(1, 2, 0))
    return samples.reshape(header.rows, header.columns, header.components)


def _jpeg_2000(frame: bytes, header: Codestream) -> Pixels:
    """Decode JPEG 2000, also high-throughput, by OpenJPEG."""
    pixels = np.asarray(imagecodecs.jpeg2k_decode(frame))
    return pixels if header.components > 1 else pixels.reshape(pixels.shape[:2])


_DECODERS: dict[UID, Callable[[bytes, Codestream], Pixels]] = {
    **dict.fromkeys(JPEG_DCT | JPEG_LOSSLESS, _jpeg),
    **dict.fromkeys(JPEG_LS, _jpeg_ls),
    **dict.fromkeys(JPEG_2000, _jpeg_2000),
}
