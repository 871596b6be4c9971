"""The directories of a TIFF or BigTIFF, walked with limits before others parse them.

EXIF blocks are small TIFFs, and say which way up a picture is.

References:
    [1] TIFF 6.0 section 2; BigTIFF: 8-byte offsets and counts, version 43.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import BinaryIO

from medcnn.errors import DecodeError
from medcnn.io.regular import open_regular

__all__ = ["Directory", "exif_turn", "is_tiff", "tiff_directories"]

MAX_DIRECTORIES = 10_000
_MAX_ENTRIES = 4096
_MAX_VALUES = 2**23
"""Most numbers of one entry: tile offsets of the largest level that is accepted."""

_KEPT_VALUES = 1024
"""Numbers of one entry that are kept: a palette, not the offsets of tiles."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8,
          13: 4, 16: 8, 17: 8, 18: 8}  # fmt: skip
_WHOLE = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_DESCRIPTION, _ORIENTATION, _SUB_DIRECTORIES = 270, 274, 330
_WORDS_BYTES = 64
_HINT = "Copy the file again."


@dataclass(frozen=True)
class Directory:
    """One directory.

    Attributes:
        numbers: First values of each entry that holds whole numbers, by tag.
        counts: Number of values of each entry, by tag.
        words: First 64 bytes of (270) ImageDescription.
        is_page: Whether it is in the main chain, not below another directory.
    """

    numbers: Mapping[int, tuple[int, ...]]
    counts: Mapping[int, int]
    words: bytes
    is_page: bool

    def first(self, tag: int, default: int = 0) -> int:
        """Return the first value of an entry."""
        return next(iter(self.numbers.get(tag, ())), default)


def is_tiff(head: bytes) -> bool:
    """Say whether these bytes begin a TIFF or BigTIFF."""
    return head[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}


def tiff_directories(path: Path) -> tuple[Directory, ...]:
    """Walk all directories, and those below them, in the order of the file's chain.

    Raises:
        DecodeError: If there are too many, they run in a circle or end early.
        OSError: If the file cannot be opened.
        ReadError: If it is no regular file.
    """
    with open_regular(path) as file:
        try:
            return _Walk(file).all()
        except (
            OSError,
            OverflowError,
            ValueError,
            struct.error,
            _BrokenError,
        ) as error:
            reason = f": {error}" if isinstance(error, _BrokenError) else ""
            msg = f"its TIFF directories are broken or cut off{reason}."
            raise DecodeError(msg, path=path, hint=_HINT) from error


def exif_turn(block: bytes) -> int:
    """Return the orientation of an EXIF block, 1 to 8; 1 if it does not say."""
    try:
        turn = _Walk(BytesIO(block), is_strict=False).one().first(_ORIENTATION, 1)
    except (OverflowError, ValueError, struct.error, _BrokenError):
        return 1
    return turn if 1 <= turn <= 8 else 1


@dataclass(frozen=True)
class _Entry:
    """One entry: its tag, type, number of values, and the first bytes of them."""

    tag: int
    kind: int
    count: int
    raw: bytes


class _BrokenError(Exception):
    """The directories contradict themselves or a limit."""


class _Walk:
    """One walk over the directories of an open file.

    Args:
        file: At its beginning.
        is_strict: Refuse entries that are broken instead of passing them over.
    """

    def __init__(self, file: BinaryIO, *, is_strict: bool = True) -> None:
        self.file, self.is_strict = file, is_strict
        head = file.read(16)
        self.size = file.seek(0, SEEK_END)
        self.order = "<" if head[:2] == b"II" else ">"
        self.is_big = head[2:4] in {b"+\0", b"\0+"}
        self.offset = "Q" if self.is_big else "I"
        (self.start,) = self._unpack(
            self.offset, head[8:16] if self.is_big else head[4:8]
        )

    def all(self) -> tuple[Directory, ...]:
        """Return every directory in the order in which the file chains them.

        Raises:
            _BrokenError: If a limit is reached or an offset is met twice.
        """
        found: list[Directory] = []
        seen: set[int] = set()
        waiting = [(self.start, True)]
        while waiting:
            at, is_page = waiting.pop(0)
            if at == 0 or (at in seen and not is_page):
                continue  # those below a directory may be listed and chained as well
            if at in seen or len(found) >= MAX_DIRECTORIES:
                msg = "they run in a circle" if at in seen else "there are too many"
                raise _BrokenError(msg)
            seen.add(at)
            directory = self._directory(at, is_page=is_page)
            raw = self.file.read(struct.calcsize(self.offset))
            found.append(directory)
            below = directory.numbers.get(_SUB_DIRECTORIES, ())
            waiting += [(one, False) for one in below]
            waiting.append((self._unpack(self.offset, raw)[0], is_page))
        return tuple(found)

    def one(self) -> Directory:
        """Return the first directory.

        Raises:
            _BrokenError: If it is broken.
        """
        return self._directory(self.start, is_page=True)

    def _directory(self, at: int, *, is_page: bool) -> Directory:
        """Read one directory; the file is left where the next one's offset is.

        Raises:
            _BrokenError: If it lies outside the file, or has no or too many entries.
        """
        width, entry_size = (8, 20) if self.is_big else (2, 12)
        if at + width > self.size:
            msg = "one lies outside the file"
            raise _BrokenError(msg)
        self.file.seek(at)
        (count,) = self._unpack("Q" if self.is_big else "H", self.file.read(width))
        if not 1 <= count <= _MAX_ENTRIES:
            msg = f"one has {count} entries"
            raise _BrokenError(msg)
        body = self.file.read(count * entry_size)
        end = self.file.tell()
        if len(body) < count * entry_size and self.is_strict:
            msg = "one ends early"
            raise _BrokenError(msg)
        whole = range(0, len(body) - entry_size + 1, entry_size)
        found = [self._entry(body[n : n + entry_size]) for n in whole]
        self.file.seek(end)
        return Directory(
            {e.tag: self._numbers(e) for e in found if e.kind in _WHOLE},
            {e.tag: e.count for e in found},
            next((e.raw[:_WORDS_BYTES] for e in found if e.tag == _DESCRIPTION), b""),
            is_page,
        )

    def _numbers(self, entry: _Entry) -> tuple[int, ...]:
        """Return the kept values of an entry of whole numbers."""
        count = len(entry.raw) // _SIZES[entry.kind]
        return self._unpack(f"{count}{_WHOLE[entry.kind]}", entry.raw)

    def _entry(self, entry: bytes) -> _Entry:
        """Return one entry; without its values if they are broken and no numbers.

        Raises:
            _BrokenError: If there are too many numbers, or they lie outside the file.
        """
        tag, kind = self._unpack("HH", entry[:4])
        inline = entry[12:] if self.is_big else entry[8:]
        (count,) = self._unpack(self.offset, entry[4:12] if self.is_big else entry[4:8])
        size = count * _SIZES.get(kind, 0)
        if size <= len(inline):
            return _Entry(tag, kind, count, inline[:size])
        (start,) = self._unpack(self.offset, inline)
        problem = ""
        if count > _MAX_VALUES:
            problem = f"entry {tag} has {count} values"
        elif start + size > self.size:
            problem = f"entry {tag} lies outside the file"
        if problem and kind in _WHOLE and self.is_strict:
            raise _BrokenError(problem)
        if problem:
            return _Entry(tag, kind, count, b"")
        self.file.seek(start)
        most = MAX_DIRECTORIES if tag == _SUB_DIRECTORIES else _KEPT_VALUES
        return _Entry(tag, kind, count, self.file.read(min(size, most * _SIZES[kind])))

    def _unpack(self, form: str, raw: bytes) -> tuple[int, ...]:
        """Return whole numbers."""
        return struct.unpack(f"{self.order}{form}", raw)
