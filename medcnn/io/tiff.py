"""TIFF and BigTIFF pictures; each page is a part. They have no geometry.

libtiff decodes the samples; what they mean is done here, for OpenCV and Pillow invert a
WhiteIsZero picture of 8 bits but not one of 16.

References:
    [1] TIFF 6.0 sections 3 to 5, 8 and 18 to 22.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt

from medcnn.errors import DecodeError
from medcnn.image import Image
from medcnn.io.axes import finite_words
from medcnn.io.description import Description
from medcnn.io.options import ReadOptions
from medcnn.io.parts import chosen
from medcnn.io.picture import drop_alpha, simplify, turn, turn_words
from medcnn.io.regular import open_regular
from medcnn.io.source import check_samples
from medcnn.io.tiff_directories import Directory, tiff_directories

__all__ = ["describe_all", "read", "read_all"]

Pixels = npt.NDArray[Any]

_SUBFILE, _COLUMNS, _ROWS, _BITS, _COMPRESSION = 254, 256, 257, 258, 259
_PHOTOMETRIC, _ORIENTATION, _SAMPLES, _PLANAR = 262, 274, 277, 284
_COLOUR_MAP, _EXTRA, _FORMAT, _ICC, _DEPTH = 320, 338, 339, 34675, 32997
_WHITE_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 2, 3, 6
_JPEG = 7
_PREDICTOR, _WITHOUT_PREDICTOR = 317, frozenset({1, 32773})
_CODINGS = {1: "none", 5: "LZW", 7: "JPEG", 8: "deflate", 32773: "PackBits",
            32946: "deflate", 2: "CCITT", 3: "CCITT", 4: "CCITT"}  # fmt: skip
_OTHER_CODINGS = {6: "old JPEG", 33003: "JPEG 2000", 33005: "JPEG 2000", 34712:
                  "JPEG 2000", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP",
                  34887: "LERC", 50002: "JPEG XL"}  # fmt: skip
_COLOUR_SPACES = {4: "a mask", 5: "CMYK", 8: "CIE Lab", 9: "ICC Lab", 10: "ITU Lab",
                  32803: "raw of a camera", 32844: "LogL", 32845: "LogLuv",
                  34892: "raw of a camera"}  # fmt: skip
_FORMATS = {1: "unsigned", 2: "signed", 3: "floating point", 4: "unsigned"}
_MOST_BYTES = 2**31
_BROKEN = (
    IndexError,
    MemoryError,
    NotImplementedError,
    TypeError,
    ValueError,
    imagecodecs.TiffError,
)
_HINT = "Save it as an 8- or 16-bit grey or RGB picture."


@dataclass(frozen=True)
class _Page:
    """One full page.

    Attributes:
        index: Its place in the file's chain of directories, from 0.
        tags: Its numbers.
        title: What tells it from the others.
        number, count: Which of the full pages it is, from 1, and how many there are.
    """

    index: int
    tags: Directory
    title: str
    number: int
    count: int

    @property
    def samples(self) -> int:
        """Numbers per pixel."""
        return self.tags.first(_SAMPLES, 1)

    @property
    def bits(self) -> int:
        """Bits of each number."""
        return self.tags.first(_BITS, 1)

    @property
    def orientation(self) -> int:
        """1 to 8; what is none of them is 1."""
        turned = self.tags.first(_ORIENTATION, 1)
        return turned if 1 <= turned <= 8 else 1


def read(path: Path, options: ReadOptions) -> Image:
    """Read one page of a TIFF.

    Raises:
        ReadError: If it is broken, of a kind that is not read, or has several pages and
            none is named (SeveralSeriesError).
    """
    page = chosen(_pages(path), options.part, path)
    return _image(page, _bytes(path), path)


def read_all(path: Path, options: ReadOptions) -> Iterator[Image]:
    """Read every page of a TIFF.

    Raises:
        ReadError: If one is broken or of a kind that is not read.
    """
    del options
    pages = _pages(path)
    content = _bytes(path)
    for page in pages:
        yield _image(page, content, path)


def describe_all(path: Path, options: ReadOptions) -> tuple[Description, ...]:
    """Describe every page of a TIFF from its directories.

    Raises:
        ReadError: If one is broken or of a kind that is not read.
    """
    del options
    return tuple(_description(page, path) for page in _pages(path))


def _bytes(path: Path) -> bytes:
    """Return the file.

    Raises:
        DecodeError: If it is larger than any picture that is read.
    """
    size = path.stat().st_size
    if size > _MOST_BYTES:
        msg = f"it has {size} bytes; a TIFF picture of up to {_MOST_BYTES} is read."
        raise DecodeError(msg, path=path, hint="Open a slide with medcnn.open_slide.")
    with open_regular(path) as file:
        return file.read()


def _pages(path: Path) -> list[_Page]:
    """Return the full pages: no thumbnails and no masks.

    Raises:
        DecodeError: If the directories are broken, or there is no full page.
    """
    found = [one for one in tiff_directories(path) if one.is_page]
    full = [(n, one) for n, one in enumerate(found) if not one.first(_SUBFILE) & 5]
    if not full:
        msg = f"none of its {len(found)} TIFF pages is a full picture."
        raise DecodeError(msg, path=path)
    count = len(full)
    return [
        _Page(index, one, _title(one, n, count), n, count)
        for n, (index, one) in enumerate(full, start=1)
    ]


def _title(tags: Directory, number: int, count: int) -> str:
    """Say which page it is; nothing if it is the only one."""
    if count == 1:
        return ""
    size = f"{tags.first(_COLUMNS)} x {tags.first(_ROWS)}"
    return f"page {number} of {count}, {size}"


def _check(page: _Page, path: Path) -> None:
    """Refuse a page that is too large or of a kind that is not read.

    Raises:
        DecodeError: If it is.
    """
    columns, rows = page.tags.first(_COLUMNS), page.tags.first(_ROWS)
    try:
        check_samples(path, columns, rows, page.samples)
    except DecodeError as error:
        error.hint = "Open a slide with medcnn.open_slide."
        error.args = (error.message, error.hint)
        raise
    reason = _refusal(page)
    if reason:
        msg = f"its TIFF picture {reason}."
        raise DecodeError(msg, path=path, hint=_HINT)


def _refusal(page: _Page) -> str:
    """Say what is not read about a page; empty if it is read."""
    colour = page.tags.first(_PHOTOMETRIC, 1)
    coding = page.tags.first(_COMPRESSION, 1)
    depth = page.tags.first(_DEPTH, 1)
    numbers = page.tags.first(_FORMAT, 1)
    alpha = page.tags.first(_EXTRA) in {1, 2}
    white = colour == _WHITE_IS_ZERO and numbers != 1
    reasons = (
        (
            coding not in _CODINGS,
            f"is packed with {_OTHER_CODINGS.get(coding, coding)}",
        ),
        (colour in _COLOUR_SPACES, f"is {_COLOUR_SPACES.get(colour)}"),
        (not 0 <= colour <= _YCBCR, f"has the unknown colour space {colour}"),
        (colour == _YCBCR and coding != _JPEG, "is YCbCr without JPEG"),
        (depth != 1, f"is a volume of {depth} slices"),
        (numbers not in _FORMATS, f"has numbers of format {numbers}"),
        (
            len({*page.tags.numbers.get(_BITS, (1,))}) != 1,
            "has channels of unequal depth",
        ),
        (page.bits > 32, f"has numbers of {page.bits} bits; 8, 16 and 32 are read"),
        (page.samples not in {1, 2, 3, 4}, f"has {page.samples} channels"),
        (
            colour <= 1 and (page.samples == 4 or (page.samples == 2 and not alpha)),
            f"has {page.samples} grey channels",
        ),
        (
            page.tags.first(_PREDICTOR, 1) != 1 and coding in _WITHOUT_PREDICTOR,
            "has a predictor, which is not defined for its coding",
        ),
        (
            white and numbers != 4,
            f"has white at zero and {_FORMATS.get(numbers)} numbers",
        ),
    )
    return next((words for is_so, words in reasons if is_so), "")


def _image(page: _Page, content: bytes, path: Path) -> Image:
    """Decode one page, and do what its tags say about its samples."""
    _check(page, path)
    pixels = _decoded(page, content, path)
    pixels, steps = _meaning(page, pixels, path)
    extra = page.tags.first(_EXTRA)
    pixels, dropped, doubts = drop_alpha(pixels, is_premultiplied=extra == 1)
    pixels, simpler = simplify(pixels)
    return Image.from_picture(
        turn(pixels, page.orientation),
        provenance=(
            *((page.title,) if page.title else ()),
            _stored_words(page),
            *steps,
            *dropped,
            *simpler,
            *turn_words(page.orientation),
        ),
        warnings=(*_notes(page), *doubts, *finite_words(pixels)),
        source=path,
    )


def _decoded(page: _Page, content: bytes, path: Path) -> Pixels:
    """Return the samples of a page, (rows, columns[, samples]).

    Raises:
        DecodeError: If libtiff refuses them, or they have another shape.
    """
    rows, columns = page.tags.first(_ROWS), page.tags.first(_COLUMNS)
    try:
        pixels = imagecodecs.tiff_decode(content, index=page.index)
    except _BROKEN as error:
        msg = "its TIFF picture cannot be decoded."
        hint = "The file is broken or cut off; copy it again."
        raise DecodeError(msg, path=path, hint=hint) from error
    if page.tags.first(_PLANAR, 1) == 2 and page.samples > 1:
        pixels = np.moveaxis(pixels.reshape(-1, rows, columns), 0, 2)
    shape = (rows, columns, page.samples)
    if pixels.size != rows * columns * page.samples:
        msg = f"its TIFF picture decodes to {pixels.shape}, {shape} is declared."
        raise DecodeError(msg, path=path, hint="Copy the file again.")
    return pixels.reshape(shape if page.samples > 1 else shape[:2])


def _meaning(page: _Page, pixels: Pixels, path: Path) -> tuple[Pixels, list[str]]:
    """Turn samples to light: palette, few bits to eight, white at zero.

    Raises:
        DecodeError: If a palette is too short.
    """
    colour = page.tags.first(_PHOTOMETRIC, 1)
    if colour == _PALETTE:
        return _coloured(page, pixels, path), ["palette applied"]
    steps = []
    top = 2**page.bits - 1
    if page.bits < 8 and page.samples == 1:
        pixels = (pixels.astype(np.uint16) * 255 // top).astype(np.uint8)
        steps.append(f"{page.bits} bit spread to 8: value = stored * 255 / {top}")
        top = 255
    if colour == _WHITE_IS_ZERO and page.samples == 1:
        pixels = (top - pixels).astype(pixels.dtype)
        steps.append(f"white was zero: value = {top} - stored")
    if pixels.dtype == np.float16:
        pixels = pixels.astype(np.float32)
    return pixels, steps


def _coloured(page: _Page, pixels: Pixels, path: Path) -> Pixels:
    """Look a picture's colours up in its palette; of 16 bits the upper 8 are kept.

    Raises:
        DecodeError: If the palette is too short.
    """
    table = np.array(page.tags.numbers.get(_COLOUR_MAP, ()), np.uint32)
    if page.bits not in {1, 2, 4, 8} or table.size != 3 * 2**page.bits:
        msg = f"its palette has {table.size} numbers; {3 * 2**page.bits} are needed."
        raise DecodeError(msg, path=path, hint=_HINT)
    colours = (table.reshape(3, -1).T >> 8).astype(np.uint8)
    return colours[pixels.astype(np.uint8)]


def _stored_words(page: _Page) -> str:
    """Say what is stored."""
    coding = _CODINGS.get(page.tags.first(_COMPRESSION, 1), "")
    packed = "" if coding == "none" else f", {coding}"
    kind = _FORMATS.get(page.tags.first(_FORMAT, 1), "")
    return f"stored values: TIFF, {page.bits} bit {kind}{packed}"


def _notes(page: _Page) -> tuple[str, ...]:
    """Say what a reader of the picture would want to know."""
    notes = []
    if page.tags.counts.get(_ICC):
        notes.append("an ICC colour profile is left alone")
    return tuple(notes)


def _description(page: _Page, path: Path) -> Description:
    """Describe one page."""
    _check(page, path)
    columns, rows = page.tags.first(_COLUMNS), page.tags.first(_ROWS)
    if page.orientation >= 5:
        columns, rows = rows, columns
    is_palette = page.tags.first(_PHOTOMETRIC, 1) == _PALETTE
    return Description(
        source=path,
        kind="tiff",
        shape=(columns, rows, 1),
        channels=1 if page.samples <= 2 and not is_palette else 3,
        steps=(_stored_words(page), *turn_words(page.orientation)),
        warnings=_notes(page),
        part=page.number,
        parts=page.count,
        title=page.title,
    )
