"""Where frames begin among the fragments of encapsulated pixels.

References:
    [1] DICOM PS3.5 A.4, Transfer Syntaxes for Encapsulation of Encoded Pixel Data.
"""

import struct
from collections.abc import Iterator

__all__ = ["frame_begins"]

_HEAD = struct.Struct("<HHI")
_SEGMENTS = struct.Struct("<16I")
_ITEM = (0xFFFE, 0xE000)
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")
_END = b"\xff\xd9"
_TRAILER = 64


def frame_begins(raw: bytes, *, is_rle: bool) -> tuple[int, int]:
    """Count frames in two ways that need no decoder.

    Args:
        raw: The value of encapsulated pixel data.
        is_rle: Whether they are run lengths, which have no end that could be seen.

    Returns:
        Entries of the Basic Offset Table (0 if it is empty), and how many fragments
        start a codestream behind the end of another one.
    """
    table, begins, tail = 0, 0, _END
    for at, (start, size) in enumerate(_fragments(raw)):
        if not at:
            table = size // 4
            continue
        if is_rle:
            begins += _is_run_length_header(raw, start)
        else:
            begins += _END in tail and raw.startswith(_STARTS, start)
        tail = tail[-1:] + raw[max(start + size - _TRAILER, start) : start + size]
    return table, begins


def _is_run_length_header(raw: bytes, start: int) -> bool:
    """Say whether a fragment begins with where its segments begin (PS3.5 G.5)."""
    if start + _SEGMENTS.size > len(raw):
        return False
    count, *places = _SEGMENTS.unpack_from(raw, start)
    is_filled = 1 <= count < len(places) + 1 and places[0] == _SEGMENTS.size
    return is_filled and not any(places[count:])


def _fragments(raw: bytes) -> Iterator[tuple[int, int]]:
    """Yield (start, size) of each item; the first is the Basic Offset Table."""
    at = 0
    while at + _HEAD.size <= len(raw):
        group, element, size = _HEAD.unpack_from(raw, at)
        if (group, element) != _ITEM:
            return
        at += _HEAD.size
        yield at, size
        at += size
