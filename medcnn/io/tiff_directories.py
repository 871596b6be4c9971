"""The directories of a TIFF or BigTIFF, walked with limits before tifffile parses them.

References:
    [1] TIFF 6.0 section 2; BigTIFF: 8-byte offsets and counts, version 43.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from medcnn.errors import DecodeError
from medcnn.io.regular import open_regular

__all__ = ["Directory", "is_tiff", "tiff_directories"]

MAX_DIRECTORIES = 1024
_MAX_ENTRIES = 4096
_MAX_VALUES = 2**23
"""Most numbers of one entry: tile offsets of the largest level that is accepted."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8,
          13: 4, 16: 8, 17: 8, 18: 8}  # fmt: skip
_WHOLE = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_SUB_DIRECTORIES = 330
_HINT = "Copy the file again."


@dataclass(frozen=True)
class Directory:
    """One directory.

    Attributes:
        numbers: First value of each entry that holds whole numbers, by tag.
        counts: Number of values of each entry, by tag.
        words: First 64 bytes of (270) ImageDescription.
        is_big: Whether the file is a BigTIFF.
    """

    numbers: Mapping[int, int]
    counts: Mapping[int, int]
    words: bytes
    is_big: bool


def is_tiff(head: bytes) -> bool:
    """Say whether these bytes begin a TIFF or BigTIFF."""
    return head[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}


def tiff_directories(path: Path) -> tuple[Directory, ...]:
    """Walk all directories, and those below them.

    Raises:
        DecodeError: If there are too many, they run in a circle or end early.
        OSError: If the file cannot be read.
        ReadError: If it is no regular file.
    """
    with open_regular(path) as file:
        size = path.stat().st_size
        try:
            return _Walk(file, size).all()
        except (OverflowError, ValueError, struct.error, _BrokenError) as error:
            reason = f": {error}" if isinstance(error, _BrokenError) else ""
            msg = f"its TIFF directories are broken or cut off{reason}."
            raise DecodeError(msg, path=path, hint=_HINT) from error


class _BrokenError(Exception):
    """The directories contradict themselves or a limit."""


class _Walk:
    """One walk over the directories of an open file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size
        head = file.read(16)
        self.order = "<" if head[:2] == b"II" else ">"
        self.is_big = head[2:4] in {b"+\0", b"\0+"}
        self.offset = "Q" if self.is_big else "I"
        self.first = self._unpack(self.offset, head[8:16] if self.is_big else head[4:8])

    def all(self) -> tuple[Directory, ...]:
        """Return every directory in the order in which the file chains them.

        Raises:
            _BrokenError: If a limit is reached or an offset is met twice.
        """
        found: list[Directory] = []
        seen: set[int] = set()
        waiting = [(self.first, True)]
        while waiting:
            at, is_main = waiting.pop(0)
            if at == 0 or (at in seen and not is_main):
                continue  # those below a directory may be listed and chained as well
            if at in seen or len(found) >= MAX_DIRECTORIES:
                msg = "they run in a circle" if at in seen else "there are too many"
                raise _BrokenError(msg)
            seen.add(at)
            directory, below, following = self._directory(at)
            found.append(directory)
            waiting += [(one, False) for one in below]
            waiting.append((following, is_main))
        return tuple(found)

    def _directory(self, at: int) -> tuple[Directory, tuple[int, ...], int]:
        """Read one directory, the offsets of those below it and of the next one.

        Raises:
            _BrokenError: If it has no or too many entries.
        """
        width, entry_size = (8, 20) if self.is_big else (2, 12)
        self.file.seek(at)
        count = self._unpack("Q" if self.is_big else "H", self.file.read(width))
        if not 1 <= count <= _MAX_ENTRIES:
            msg = f"one has {count} entries"
            raise _BrokenError(msg)
        body = self.file.read(count * entry_size)
        following = self._unpack(self.offset, self.file.read(8 if self.is_big else 4))
        numbers: dict[int, int] = {}
        counts: dict[int, int] = {}
        words, below = b"", ()
        for n in range(count):
            entry = body[n * entry_size : (n + 1) * entry_size]
            tag, kind, values, raw = self._entry(entry)
            counts[tag] = values
            if tag == 270:
                words = raw[:64]
            if kind in _WHOLE and raw:
                numbers[tag] = self._unpack(_WHOLE[kind], raw[: _SIZES[kind]])
            if tag == _SUB_DIRECTORIES and kind in _WHOLE:
                form = f"{self.order}{len(raw) // _SIZES[kind]}{_WHOLE[kind]}"
                below = struct.unpack(form, raw)
        return Directory(numbers, counts, words, self.is_big), below, following

    def _entry(self, entry: bytes) -> tuple[int, int, int, bytes]:
        """Return tag, type, number of values, and the first bytes of the values.

        Raises:
            _BrokenError: If the values are too many or lie outside the file.
        """
        tag, kind = struct.unpack(f"{self.order}HH", entry[:4])
        inline = entry[12:] if self.is_big else entry[8:]
        counter = entry[4:12] if self.is_big else entry[4:8]
        values = self._unpack(self.offset, counter)
        size = values * _SIZES.get(kind, 0)
        if values > _MAX_VALUES:
            msg = f"entry {tag} has {values} values"
            raise _BrokenError(msg)
        if size <= len(inline):
            return tag, kind, values, inline[:size]
        start = self._unpack(self.offset, inline)
        if start + size > self.size:
            msg = f"entry {tag} lies outside the file"
            raise _BrokenError(msg)
        here = self.file.tell()
        self.file.seek(start)
        wanted = MAX_DIRECTORIES * 8 if tag == _SUB_DIRECTORIES else 64
        raw = self.file.read(min(size, wanted))
        self.file.seek(here)
        return tag, kind, values, raw

    def _unpack(self, form: str, raw: bytes) -> int:
        """Return one whole number."""
        return int(struct.unpack(f"{self.order}{form}", raw)[0])
