"""PNG, JPEG and TIFF pictures of 8 or 16 bits; they have no geometry."""

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
from medcnn.io.raster_header import RasterHeader, raster_header
from medcnn.io.source import check_samples

__all__ = ["describe_all", "read", "read_all"]

Pixels = npt.NDArray[Any]

_READ_TYPES = {"uint8", "uint16", "float32"}


def read(path: Path, options: ReadOptions) -> Image:
    """Read one picture as a screen shows it.

    Raises:
        DecodeError: If it is broken, too large, or of another depth.
    """
    data = path.read_bytes()
    header = _checked_header(data, path)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        msg = f"its {header.kind} picture cannot be decoded."
        raise DecodeError(msg, path=path, hint="The file is broken or cut off.")
    if pixels.dtype.name not in _READ_TYPES:
        msg = f"its samples are {pixels.dtype.name}; 8 and 16 bit are read."
        raise DecodeError(msg, path=path)
    pixels, steps = _simplify(pixels)
    # OpenCV turns a TIFF itself, and nothing else when it keeps pixels unchanged.
    turned = pixels if header.kind == "TIFF" else _turn(pixels, header.turn)
    words = (f"stored values: {pixels.dtype.name}, {header.kind}", *steps)
    return Image.from_picture(
        turned,
        provenance=(*words, *_turn_words(header)),
        warnings=header.warnings,
        source=path,
    )


def read_all(path: Path, options: ReadOptions) -> Iterator[Image]:
    """Read every image of a file.

    Raises:
        ReadError: If it is broken or cut off.
    """
    yield read(path, options)


def describe_all(path: Path, options: ReadOptions) -> tuple[Description, ...]:
    """Describe every image of a file from its header.

    Raises:
        ReadError: If the header is broken.
    """
    return (describe(path),)


def describe(path: Path) -> Description:
    """Describe a picture from its header.

    Raises:
        DecodeError: If the header is broken or declares too large a picture.
    """
    header = _checked_header(path.read_bytes(), path)
    columns, rows = header.columns, header.rows
    if header.turn >= 5:
        columns, rows = rows, columns
    return Description(
        source=path,
        kind="raster",
        shape=(columns, rows, 1),
        channels=1 if header.samples <= 2 else 3,
        steps=(f"stored values: {header.kind}", *_turn_words(header)),
        warnings=header.warnings,
    )


def _checked_header(data: bytes, path: Path) -> RasterHeader:
    """Parse the header and refuse a declared size that is too large."""
    header = raster_header(data, path)
    check_samples(path, header.columns, header.rows, header.samples)
    return header


def _simplify(pixels: Pixels) -> tuple[Pixels, list[str]]:
    """Turn OpenCV's channels into grey or RGB, and say what was done."""
    if pixels.ndim == 2:
        return pixels, []
    steps = []
    channels = pixels.shape[2]
    if channels in {2, 4}:
        steps.append("alpha channel dropped")
        pixels = pixels[..., : channels - 1]
    if pixels.shape[2] == 1:
        return pixels[..., 0], steps
    blue, green, red = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    if np.array_equal(blue, green) and np.array_equal(green, red):
        return green.copy(), [*steps, "three equal channels: one kept"]
    return pixels[..., ::-1], steps


def _turn(pixels: Pixels, orientation: int) -> Pixels:
    """Turn a picture upright by its EXIF orientation, 1 to 8.

    References:
        [1] CIPA DC-008 (Exif 2.32) 4.6.4, tag 274 Orientation.
    """
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return pixels


def _turn_words(header: RasterHeader) -> tuple[str, ...]:
    """Return the turn in words."""
    if header.turn == 1:
        return ()
    return (f"turned upright: EXIF orientation {header.turn}",)
