"""PNG, JPEG and BMP to images; OpenCV decodes them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from medcnn.errors import DecodeError
from medcnn.image import Image
from medcnn.io.description import Description
from medcnn.io.options import ReadOptions
from medcnn.io.parts import chosen
from medcnn.io.picture import drop_alpha, simplify, turn, turn_words
from medcnn.io.raster.header import RasterHeader, raster_header
from medcnn.io.regular import open_regular
from medcnn.io.source import check_samples

__all__ = ["describe_all", "read", "read_all"]

Pixels = npt.NDArray[Any]

_MID_GREY = 128
_END_OF_IMAGE = b"\xff\xd9"
_STUFFING = bytes(range(0x11, 0xF1, 7)) * 8

_REDUCED = {
    (8, 1): cv2.IMREAD_REDUCED_GRAYSCALE_8,
    (8, 3): cv2.IMREAD_REDUCED_COLOR_8,
    (4, 1): cv2.IMREAD_REDUCED_GRAYSCALE_4,
    (4, 3): cv2.IMREAD_REDUCED_COLOR_4,
    (2, 1): cv2.IMREAD_REDUCED_GRAYSCALE_2,
    (2, 3): cv2.IMREAD_REDUCED_COLOR_2,
}


def read(path: Path, options: ReadOptions) -> Image:
    """Read one picture as a screen shows it.

    Raises:
        DecodeError: If it is broken, too large, or of a kind that is not read.
        ReadError: If a part is asked for that it does not have.
    """
    data = _bytes(path)
    header = _checked_header(data, path)
    description = chosen([_description(header, path)], options.part, path)
    factor = _reduction(header, options.size)
    pixels = _decoded(data, header, factor, path)
    pixels, dropped, doubts = drop_alpha(pixels)
    if pixels.ndim == 3:
        pixels = pixels[..., ::-1]
    pixels, simpler = simplify(pixels)
    smaller = (f"decoded at 1/{factor} of its size",) if factor > 1 else ()
    return Image.from_picture(
        turn(pixels, header.turn),
        provenance=(
            f"stored values: {pixels.dtype.name}, {header.kind}",
            *header.steps,
            *smaller,
            *dropped,
            *simpler,
            *turn_words(header.turn),
        ),
        warnings=(*description.warnings, *doubts),
        source=path,
    )


def read_all(path: Path, options: ReadOptions) -> Iterator[Image]:
    """Read the picture of a file.

    Raises:
        ReadError: If it is broken or cut off.
    """
    yield read(path, ReadOptions(size=options.size))


def describe_all(path: Path, options: ReadOptions) -> tuple[Description, ...]:
    """Describe the picture of a file from its header.

    Raises:
        DecodeError: If the header is broken or declares too large a picture.
    """
    del options
    return (_description(_checked_header(_bytes(path), path), path),)


def _description(header: RasterHeader, path: Path) -> Description:
    """Describe a picture by its header."""
    columns, rows = header.columns, header.rows
    if header.turn >= 5:
        columns, rows = rows, columns
    return Description(
        source=path,
        kind="raster",
        shape=(columns, rows, 1),
        channels=1 if header.samples <= 2 else 3,
        steps=(
            f"stored values: {header.kind}",
            *header.steps,
            *turn_words(header.turn),
        ),
        warnings=header.warnings,
    )


def _bytes(path: Path) -> bytes:
    """Return the whole file."""
    with open_regular(path) as file:
        return file.read()


def _checked_header(data: bytes, path: Path) -> RasterHeader:
    """Parse the header and refuse a declared size that is too large."""
    header = raster_header(data, path)
    check_samples(path, header.columns, header.rows, header.samples)
    return header


def _reduction(header: RasterHeader, size: tuple[int, int] | None) -> int:
    """Say by which factor a JPEG may be decoded smaller: 1, 2, 4 or 8.

    The picture keeps at least so many rows and columns after it was turned upright.
    """
    if size is None or header.kind != "JPEG" or header.samples == 4:
        return 1
    rows, columns = size if header.turn < 5 else size[::-1]
    most = min(header.rows // max(rows, 1), header.columns // max(columns, 1))
    return next((factor for factor in (8, 4, 2) if factor <= most), 1)


def _decoded(data: bytes, header: RasterHeader, factor: int, path: Path) -> Pixels:
    """Return a picture's samples, (rows, columns[, C]) with blue first.

    Raises:
        DecodeError: If they are broken, or of a depth that is not read.
    """
    flags = cv2.IMREAD_UNCHANGED
    if factor > 1:
        flags = _REDUCED[factor, header.samples] | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        pixels = None
    if pixels is None:
        msg = f"its {header.kind} picture cannot be decoded."
        raise DecodeError(msg, path=path, hint="The file is broken or cut off.")
    wanted = -(-header.rows // factor), -(-header.columns // factor)
    if pixels.shape[:2] != wanted or pixels.dtype.name not in {"uint8", "uint16"}:
        msg = f"its {header.kind} picture decodes to {pixels.shape} of {pixels.dtype}."
        raise DecodeError(msg, path=path, hint="Copy the file again.")
    if header.kind == "JPEG" and _may_be_filled(pixels, 8 // factor):
        _check_whole(data, pixels, flags, path)
    return pixels


def _may_be_filled(pixels: Pixels, block: int) -> bool:
    """Say whether the last block is the mid-grey with which libjpeg fills up."""
    row, column = (block * ((size - 1) // block) for size in pixels.shape[:2])
    return bool((pixels[row:, column:, ...] == _MID_GREY).all())


def _check_whole(data: bytes, pixels: Pixels, flags: int, path: Path) -> None:
    """Refuse a JPEG whose scan ends before its picture does, though it has an end.

    A decoder that has all it needs leaves alone what is put before the end.

    Raises:
        DecodeError: If it has not.
    """
    body, end, rest = data.rpartition(_END_OF_IMAGE)
    longer = body + _STUFFING + end + rest
    more = cv2.imdecode(np.frombuffer(longer, np.uint8), flags)
    if more is None or not np.array_equal(more, pixels):
        msg = "its JPEG picture is cut off: the scan ends before the picture does."
        raise DecodeError(msg, path=path, hint="Copy the file again.")
