"""Comments inside compressed pixels, which no viewer shows and every copy carries."""

import struct
from collections.abc import Iterator

__all__ = ["without_comments"]

_ITEM, _DELIMITER = 0xE000, 0xE0DD
_SOI, _SOC, _END = b"\xff\xd8", b"\xff\x4f", b"\xff\xd9"
_SOS, _SOT, _COM, _COM_2000 = 0xDA, 0x90, 0xFE, 0x64
_KEPT_APPLICATIONS = frozenset({0xE0, 0xE8, 0xEE})
"""JFIF, SPIFF and JPEG-LS colour, Adobe: they tell colours apart."""


def without_comments(encapsulated: bytes) -> bytes:
    """Return fragments with zeros for comments and notes; the length stays.

    JPEG: COM, and the application segments that no decoder asks for (Exif, Photoshop).
    JPEG 2000: COM. What lies behind a codestream's end becomes zeros, too. What is no
    such codestream is returned as it is.

    References:
        [1] ISO 10918-1 B.2.4.5 and B.2.4.6; ISO 15444-1 A.9.2; DICOM PS3.5 A.4.
    """
    clean = bytearray(encapsulated)
    for start, end in _fragments(encapsulated):
        tail = _tail(encapsulated, start, end)
        clean[tail:end] = bytes(end - tail)
        for first, last in _notes(encapsulated, start, end):
            clean[first:last] = bytes(last - first)
    return bytes(clean)


def _fragments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each fragment starts and ends, without the offset table's."""
    position, is_first = 0, True
    while position + 8 <= len(data):
        group, element, length = struct.unpack_from("<HHL", data, position)
        if group != 0xFFFE or element != _ITEM:
            return
        position += 8
        if not is_first:
            yield position, min(position + length, len(data))
        is_first = False
        position += length


def _tail(data: bytes, start: int, end: int) -> int:
    """Return where a fragment's codestream has ended; its end if that is not seen."""
    if data[start : start + 2] not in {_SOC, _SOI}:
        return end
    last = data.rfind(_END, start, end)
    return end if last < 0 else last + len(_END)


def _notes(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where the words of a codestream's header are."""
    is_2000 = data[start : start + 2] == _SOC
    if not is_2000 and data[start : start + 2] != _SOI:
        return
    position = start + 2
    while position + 4 <= end and data[position] == 0xFF:
        marker, length = struct.unpack_from(">BH", data, position + 1)
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in {_SOS, _SOT} or length < 2:
            return
        # JPEG 2000 says first whether it is text
        first = position + (6 if is_2000 else 4)
        last = min(position + 2 + length, end)
        if first < last and _is_note(marker, is_2000=is_2000):
            yield first, last
        position = last


def _is_note(marker: int, *, is_2000: bool) -> bool:
    if is_2000:
        return marker == _COM_2000
    is_application = 0xE0 <= marker <= 0xEF
    return marker == _COM or (is_application and marker not in _KEPT_APPLICATIONS)
