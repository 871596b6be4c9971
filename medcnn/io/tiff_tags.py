"""The directories of a TIFF or BigTIFF as numbers, with limits; also those of EXIF.

References:
    [1] TIFF 6.0 section 2; BigTIFF has 8-byte offsets and counts, version 43.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, Literal

__all__ = ["BrokenTiffError", "Tags", "exif_turn", "pages_of", "tag"]

Tags = dict[int, tuple[int, ...]]

_MAX_PAGES = 10_000
_MAX_ENTRIES = 4096
_MAX_VALUES = 2**22
_MAX_OFFSET = 2**48
_WIDTHS = {1: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8}
_SIZES = _WIDTHS | {2: 1, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 17: 8}
_ORIENTATION = 274


class BrokenTiffError(Exception):
    """A directory ends early, runs in a circle or breaks a limit."""


@dataclass(frozen=True)
class _Layout:
    """How numbers are written: byte order, and the widths of BigTIFF or TIFF."""

    order: Literal["little", "big"]
    count: int
    entry: int
    offset: int

    def number(self, raw: bytes) -> int:
        return int.from_bytes(raw, self.order)


def pages_of(file: BinaryIO, *, limit: int = _MAX_PAGES) -> list[Tags]:
    """Return the whole numbers in each directory of the main chain.

    Args:
        file: Open for reading, at its beginning.
        limit: Most directories that are looked at.

    Raises:
        BrokenTiffError: If a directory lies outside the file, or they run in a circle.
    """
    head = file.read(16)
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
    is_big = 43 in {head[2], head[3]} if len(head) == 16 else False
    layout = _Layout(order, 8, 20, 8) if is_big else _Layout(order, 2, 12, 4)
    at = layout.number(head[8:16] if is_big else head[4:8])
    pages: list[Tags] = []
    seen: set[int] = set()
    while at and len(pages) < limit:
        if at in seen:
            msg = "its directories run in a circle"
            raise BrokenTiffError(msg)
        seen.add(at)
        tags, at = _directory(file, at, layout)
        pages.append(tags)
    if at and limit == _MAX_PAGES:
        msg = f"it has more than {limit} pages"
        raise BrokenTiffError(msg)
    return pages


def tag(tags: Tags, number: int, default: int = 0) -> int:
    """Return a tag's first value."""
    values = tags.get(number, ())
    return values[0] if values else default


def exif_turn(block: bytes) -> int:
    """Return the orientation of an EXIF block, which is a small TIFF; 1 if not said."""
    try:
        turn = tag(pages_of(BytesIO(block), limit=1)[0], _ORIENTATION, 1)
    except (IndexError, BrokenTiffError):
        return 1
    return turn if 1 <= turn <= 8 else 1


def _directory(file: BinaryIO, at: int, layout: _Layout) -> tuple[Tags, int]:
    """Return the tags of one directory, and where the next one is.

    Raises:
        BrokenTiffError: If it lies outside the file.
    """
    _seek(file, at)
    count = layout.number(_exactly(file, layout.count))
    if not 0 < count <= _MAX_ENTRIES:
        msg = f"a directory has {count} entries"
        raise BrokenTiffError(msg)
    body = _exactly(file, count * layout.entry)
    following = layout.number(file.read(layout.offset))
    tags: Tags = {}
    for n in range(0, len(body), layout.entry):
        number, values = _entry(file, body[n : n + layout.entry], layout)
        tags[number] = values
    return tags, following


def _entry(
    file: BinaryIO, entry: bytes, layout: _Layout
) -> tuple[int, tuple[int, ...]]:
    """Return (tag, values) of one entry; no values if they are no whole numbers.

    Raises:
        BrokenTiffError: If there are too many, or they lie outside the file.
    """
    number, kind = layout.number(entry[:2]), layout.number(entry[2:4])
    count = layout.number(entry[4 : 4 + layout.offset])
    inline = entry[4 + layout.offset :]
    width = _WIDTHS.get(kind, 0)
    if not width:
        # of text and fractions only the presence is of interest
        return number, (count,) if kind in _SIZES and number == _ICC else ()
    if count > _MAX_VALUES:
        msg = f"tag {number} has {count} values"
        raise BrokenTiffError(msg)
    raw = inline[: width * count]
    if width * count > len(inline):
        _seek(file, layout.number(inline))
        raw = _exactly(file, width * count)
    pieces = (raw[n : n + width] for n in range(0, width * count, width))
    return number, tuple(layout.number(piece) for piece in pieces)


_ICC = 34675


def _seek(file: BinaryIO, at: int) -> None:
    """Go to a byte.

    Raises:
        BrokenTiffError: If no file is so long.
    """
    if at >= _MAX_OFFSET:
        msg = "a directory lies outside the file"
        raise BrokenTiffError(msg)
    file.seek(at)


def _exactly(file: BinaryIO, size: int) -> bytes:
    """Read so many bytes.

    Raises:
        BrokenTiffError: If there are fewer.
    """
    raw = file.read(size)
    if len(raw) < size:
        msg = "a directory lies outside the file"
        raise BrokenTiffError(msg)
    return raw
