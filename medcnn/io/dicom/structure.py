"""The skeleton of a DICOM file, walked before anything is built of it.

A small file can hold sequences nested so deeply that a parser's recursion ends, or a
million empty items that take minutes. This walk builds no objects, reads no values and
stops at the pixels.

References:
    [1] DICOM PS3.5 7.1 (data elements), 7.5 (nesting), A.4 (fragments); PS3.10 7.1.
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from medcnn.errors import DecodeError

__all__ = [
    "MAX_ELEMENTS",
    "MAX_NESTING",
    "Start",
    "check_structure",
    "is_cut_off",
    "start_of_data_set",
]

MAX_NESTING = 64
"""Most sequences inside one another."""

MAX_ELEMENTS = 200_000
"""Most data elements and items before the pixels."""

_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_META_START = 132
_BLOCK_BYTES = 1 << 16
_UNDEFINED = 0xFFFFFFFF
_ENDLESS = 1 << 63
_PIXEL_GROUP, _ITEM_GROUP = 0x7FE0, 0xFFFE
_ITEM, _ITEM_END, _SEQUENCE_END = 0xE000, 0xE00D, 0xE0DD
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_MAYBE_SEQUENCE = frozenset((b"SQ", b"UN", b""))
_LEAST_ELEMENT, _LEAST_LEVEL = 8, 16


@dataclass(frozen=True)
class Start:
    """Where a data set begins and how it is coded.

    Attributes:
        offset: Of its first element, in bytes.
        syntax: Transfer syntax of the file meta information; "" without one.
        syntax_at: Where that text lies in the file.
    """

    offset: int
    syntax: str = ""
    syntax_at: int = 0


def start_of_data_set(file: BinaryIO) -> Start:
    """Walk the file meta information, group 0002, if there is one."""
    file.seek(0)
    head = file.read(_BLOCK_BYTES)
    at = _META_START if head[128:132] == b"DICM" else 0
    syntax, syntax_at = "", 0
    while head[at : at + 2] == b"\x02\0" and at + 12 <= len(head):
        is_long = head[at + 4 : at + 6] in _LONG
        size = struct.unpack_from("<I" if is_long else "<H", head, at + 6 + 2 * is_long)
        value = at + (12 if is_long else 8)
        if head[at + 2 : at + 4] == b"\x10\0":
            text = head[value : value + size[0]]
            syntax, syntax_at = text.rstrip(b"\0 ").decode("latin-1"), value
        at = value + size[0]
    return Start(at, syntax, syntax_at)


def check_structure(
    file: BinaryIO, start: Start, path: Path, *, most: int | None = None
) -> None:
    """Refuse a data set that is nested too deeply or has too many elements.

    What cannot be followed ends the walk: the parser will say what is wrong with it.

    Args:
        file: Open at any place; a deflated data set already inflated.
        start: Where the data set begins.
        path: The file, for the error.
        most: Most data elements and items before the pixels; None is MAX_ELEMENTS.

    Raises:
        DecodeError: If it is.
    """
    most = MAX_ELEMENTS if most is None else most
    # First without looking into sequences that are too short to be nested too deeply.
    for is_exact in (False, True):
        walk = _Walk(file, start, is_exact=is_exact, most=most)
        try:
            walk.go()
        except (IndexError, struct.error):  # the file ends here
            return
        except _TooDeepError as error:
            msg = f"its sequences are nested more than {MAX_NESTING} deep."
            raise DecodeError(msg, path=path, hint="It is hostile.") from error
        if walk.most_elements <= most:
            return
    msg = f"its header holds more than {most} elements."
    raise DecodeError(msg, path=path, hint="It is hostile, or holds no plain image.")


def is_cut_off(file: BinaryIO, start: Start) -> bool:
    """Say whether a data set without pixels ends before its lengths say.

    A parser takes what is there of a sequence and tells nobody. Zeros that fill a
    medium's last block, and padding, are no part of it.

    Args:
        file: Open at any place, and passed by `check_structure`.
        start: Where the data set begins.
    """
    walk = _Walk(file, start, is_exact=True, most=MAX_ELEMENTS)
    try:
        walk.go()
    except (IndexError, struct.error):  # the file ends here
        if walk.is_inside or walk.reached > file.seek(0, os.SEEK_END):
            return True
        file.seek(walk.reached)
        return any(file.read())
    return False


class _TooDeepError(Exception):
    """Sequences are nested too deeply."""


class _Walk:
    """One pass over the elements of a data set.

    Args:
        file: Open at any place.
        start: Where the data set begins.
        is_exact: Whether sequences are looked into that are too short to do harm.
        most: After how many elements it ends.
    """

    def __init__(
        self, file: BinaryIO, start: Start, *, is_exact: bool, most: int
    ) -> None:
        self._file = file
        self._most = most
        self._is_exact = is_exact
        self._at = start.offset
        self._levels: list[tuple[int, bool, bool]] = []  # end, implicit, fragments
        self._block, self._base = b"", 0
        self._fill(self._at)
        first = self._block[:6]
        is_big = start.syntax == _BIG_ENDIAN or (
            not start.syntax and first[:1] == b"\0"
        )
        order = ">" if is_big else "<"
        self._tag_and_size = struct.Struct(f"{order}HHI")
        self._short, self._whole = (
            struct.Struct(f"{order}H"),
            struct.Struct(f"{order}I"),
        )
        self._is_implicit = not _is_vr(first[4:6])
        self._elements = 0
        self._unseen_bytes = 0

    @property
    def most_elements(self) -> int:
        """Number of elements, or at most so many where some were not looked at."""
        return self._elements + self._unseen_bytes // _LEAST_ELEMENT

    @property
    def reached(self) -> int:
        """Where in the file the next element begins, by the lengths so far."""
        return self._at

    @property
    def is_inside(self) -> bool:
        """Whether a sequence or item was begun that has no end before this place."""
        return any(end > self._at for end, _, _ in self._levels)

    def go(self) -> None:
        """Walk until the pixels, the end, or too many elements.

        Raises:
            _TooDeepError: If sequences are nested too deeply.
            struct.error: If the file ends.
        """
        while self.most_elements <= self._most:
            levels = self._levels
            while levels and self._at >= levels[-1][0]:
                levels.pop()
            if self._at + 12 > self._base + len(self._block):
                self._fill(self._at)
            place = self._at - self._base
            group, element, size = self._tag_and_size.unpack_from(self._block, place)
            if group == _ITEM_GROUP:
                self._step_into_item(element, size)
            elif group >= _PIXEL_GROUP and not levels:
                return
            else:
                self._step_over_element(place, size)

    def _step_into_item(self, element: int, size: int) -> None:
        """Go on behind an item's head or an end."""
        self._at += 8
        if element != _ITEM:
            if self._levels:
                self._levels.pop()
            else:
                self._elements += 1
            return
        self._elements += 1
        is_fragment = bool(self._levels) and self._levels[-1][2]
        if is_fragment and size != _UNDEFINED:
            self._at += size
        else:
            self._open(size, is_implicit=self._implicit_here())

    def _step_over_element(self, place: int, size: int) -> None:
        """Go on behind an element, or into it if it is a sequence that matters."""
        self._elements += 1
        vr = b"" if self._implicit_here() else self._block[place + 4 : place + 6]
        value = 8
        if vr in _LONG:
            (size,) = self._whole.unpack_from(self._block, place + 8)
            value = 12
        elif vr and _is_vr(vr):
            (size,) = self._short.unpack_from(self._block, place + 6)
        elif vr:  # not what it should be: its length is as without one
            vr = b""
        self._at += value
        if size == _UNDEFINED:
            is_implicit = self._implicit_here() or vr == b"UN"  # PS3.5 6.2.2
            is_fragments = vr not in _MAYBE_SEQUENCE
            self._open(size, is_implicit=is_implicit, is_fragments=is_fragments)
        elif vr != b"SQ" and not (vr in _MAYBE_SEQUENCE and self._is_item_next(size)):
            self._at += size
        elif self._is_harmless(size):
            self._unseen_bytes += size
            self._at += size
        else:
            self._open(size, is_implicit=self._implicit_here() or vr == b"UN")

    def _open(
        self, size: int, *, is_implicit: bool, is_fragments: bool = False
    ) -> None:
        """Go one level down; a sequence and its item are one level each.

        Raises:
            _TooDeepError: If there are too many.
        """
        end = _ENDLESS if size == _UNDEFINED else self._at + size
        self._levels.append((end, is_implicit, is_fragments))
        if len(self._levels) > 2 * MAX_NESTING:
            raise _TooDeepError

    def _is_harmless(self, size: int) -> bool:
        """Say whether so many bytes are too few for sequences nested too deeply."""
        room = 2 * MAX_NESTING - len(self._levels)
        return not self._is_exact and 2 * (size // _LEAST_LEVEL) <= room

    def _implicit_here(self) -> bool:
        return self._levels[-1][1] if self._levels else self._is_implicit

    def _is_item_next(self, size: int) -> bool:
        """Say whether a value of so many bytes begins with an item's tag."""
        if size < _LEAST_ELEMENT:
            return False
        if self._at + 4 > self._base + len(self._block):
            self._fill(self._at)
        (group,) = self._short.unpack_from(self._block, self._at - self._base)
        return bool(group == _ITEM_GROUP)

    def _fill(self, at: int) -> None:
        self._file.seek(at)
        self._block, self._base = self._file.read(_BLOCK_BYTES), at


def _is_vr(letters: bytes) -> bool:
    """Say whether two bytes can be a value representation."""
    return len(letters) == 2 and letters.isalpha() and letters.isupper()
