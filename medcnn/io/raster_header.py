"""Size, depth and orientation of a PNG, JPEG or TIFF, before anything is decoded.

References:
    [1] PNG (W3C) 11.2.2 IHDR, 11.3.2.6 eXIf; ITU-T T.81 B.2.2; TIFF 6.0 section 2.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medcnn.errors import DecodeError

__all__ = ["RasterHeader", "raster_header"]

_PNG_SAMPLES = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_SOF_MARKERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_TAG_SUBFILE, _TAG_WIDTH, _TAG_HEIGHT = 254, 256, 257
_TAG_ORIENTATION, _TAG_SAMPLES = 274, 277
_MAX_ENTRIES = 4096


@dataclass(frozen=True)
class RasterHeader:
    """What a picture's header declares.

    Attributes:
        kind: "PNG", "JPEG" or "TIFF".
        columns: Number of columns as stored.
        rows: Number of rows as stored.
        samples: Numbers per pixel.
        turn: EXIF orientation, 1 to 8; 1 is upright.
        warnings: What a careful reader would want to be told.
    """

    kind: str
    columns: int
    rows: int
    samples: int
    turn: int = 1
    warnings: tuple[str, ...] = ()


def raster_header(data: bytes, path: Path) -> RasterHeader:
    """Parse the header of a picture.

    Raises:
        DecodeError: If it is broken, or a TIFF holds several pages.
    """
    parsers = {b"\x89P": _png, b"\xff\xd8": _jpeg, b"II": _tiff, b"MM": _tiff}
    try:
        return parsers[data[:2]](data)
    except (IndexError, KeyError, _BrokenHeaderError) as error:
        msg = f"its header is broken or cut off{f': {error}' if error.args else ''}."
        raise DecodeError(msg, path=path, hint="Copy the file again.") from error


class _BrokenHeaderError(Exception):
    """A header ends early or contradicts itself."""


def _png(data: bytes) -> RasterHeader:
    """Walk the chunks of a PNG to its end.

    Raises:
        _BrokenHeaderError: If it ends early.
    """
    if data[12:16] != b"IHDR" or len(data) < 33:
        msg = "it does not begin with IHDR"
        raise _BrokenHeaderError(msg)
    columns, rows = _big(data[16:20]), _big(data[20:24])
    turn, at, name = 1, 8, b""
    while at + 12 <= len(data) and name != b"IEND":
        length, name = _big(data[at : at + 4]), data[at + 4 : at + 8]
        if name == b"eXIf":
            turn = _exif_turn(data[at + 8 : at + 8 + length])
        at += 12 + length
    if name != b"IEND" or at > len(data):
        msg = "it has no end"
        raise _BrokenHeaderError(msg)
    return RasterHeader("PNG", columns, rows, _PNG_SAMPLES[data[25]], turn)


def _jpeg(data: bytes) -> RasterHeader:
    """Walk the segments of a JPEG to its first scan, and look for its end.

    Raises:
        _BrokenHeaderError: If it ends early.
    """
    at, turn = 2, 1
    size: tuple[int, int, int] | None = None
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in _STANDALONE:
            at += 1 if marker == 0xFF else 2
            continue
        body = data[at + 4 : at + 2 + _big(data[at + 2 : at + 4])]
        if marker in _SOF_MARKERS:
            size = _big(body[3:5]), _big(body[1:3]), body[5]
        elif marker == 0xE1 and body.startswith(b"Exif\0\0"):
            turn = _exif_turn(body[6:])
        elif marker == 0xDA:
            break
        at += 4 + len(body)
    # Inside a scan every FF is stuffed, so FF D9 after it is the true end.
    if size is None or data.find(b"\xff\xd9", at) < 0:
        msg = "it has no frame or no end"
        raise _BrokenHeaderError(msg)
    return RasterHeader("JPEG", *size, turn)


def _tiff(data: bytes) -> RasterHeader:
    """Read the first directory of a TIFF; refuse several full pages.

    Raises:
        _BrokenHeaderError: If it holds another number of pages, or ends early.
    """
    pages = _tiff_pages(data)
    full = [page for page in pages if not _first(page, _TAG_SUBFILE) & 1]
    if len(full) != 1:
        msg = f"a TIFF of {len(full)} pages is not one picture"
        raise _BrokenHeaderError(msg)
    if full[0] is not pages[0]:
        msg = "its first page is a thumbnail"
        raise _BrokenHeaderError(msg)
    _check_strips(full[0], len(data))
    return RasterHeader(
        "TIFF",
        _first(full[0], _TAG_WIDTH),
        _first(full[0], _TAG_HEIGHT),
        _first(full[0], _TAG_SAMPLES, 1),
        min(max(_first(full[0], _TAG_ORIENTATION, 1), 1), 8),
    )


def _exif_turn(block: bytes) -> int:
    """Return the orientation of an EXIF block, which is a small TIFF; 1 if not said."""
    try:
        turn = _first(_tiff_pages(block, limit=1)[0], _TAG_ORIENTATION, 1)
    except (IndexError, _BrokenHeaderError):
        return 1
    return turn if 1 <= turn <= 8 else 1


_Page = dict[int, tuple[int, ...]]


def _tiff_pages(data: bytes, limit: int = 100) -> list[_Page]:
    """Return the short and long tags of each directory of a TIFF.

    Raises:
        _BrokenHeaderError: If a directory lies outside the data.
    """
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    at = int.from_bytes(data[4:8], order)
    pages: list[_Page] = []
    seen: set[int] = set()
    while at and at not in seen and len(pages) < limit:
        seen.add(at)
        count = int.from_bytes(data[at : at + 2], order)
        end = at + 2 + 12 * count
        if not 0 < count <= _MAX_ENTRIES or end > len(data):
            msg = "a directory lies outside the file"
            raise _BrokenHeaderError(msg)
        entries = (data[n : n + 12] for n in range(at + 2, end, 12))
        pages.append(dict(_tiff_entry(entry, data, order) for entry in entries))
        at = int.from_bytes(data[end : end + 4], order)
    return pages


def _tiff_entry(
    entry: bytes, data: bytes, order: Literal["little", "big"]
) -> tuple[int, tuple[int, ...]]:
    """Return (tag, values) of one directory entry; no values if not whole numbers."""
    tag, kind = (int.from_bytes(entry[n : n + 2], order) for n in (0, 2))
    width = {3: 2, 4: 4}.get(kind, 0)
    size = width * int.from_bytes(entry[4:8], order)
    if size <= 4:
        raw = entry[8 : 8 + size]
    else:
        start = int.from_bytes(entry[8:12], order)
        raw = data[start : start + size]
    if not width:
        return tag, ()
    values = (raw[n : n + width] for n in range(0, len(raw), width))
    return tag, tuple(int.from_bytes(value, order) for value in values)


def _check_strips(page: _Page, size: int) -> None:
    """Refuse pixel strips or tiles that lie outside the file.

    Raises:
        _BrokenHeaderError: If one does.
    """
    starts = page.get(273, ()) or page.get(324, ())
    counts = page.get(279, ()) or page.get(325, ())
    ends = [start + count for start, count in zip(starts, counts, strict=False)]
    if not ends or max(ends) > size:
        msg = "its pixels lie outside the file"
        raise _BrokenHeaderError(msg)


def _first(page: _Page, tag: int, default: int = 0) -> int:
    """Return a tag's first value."""
    return page.get(tag, (default,))[0] if page.get(tag, ()) else default


def _big(raw: bytes) -> int:
    """Return a big-endian number."""
    return int.from_bytes(raw, "big")
