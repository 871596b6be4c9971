"""Bytes of a file or of what a gzip or zlib stream holds, never more than asked for.

Readers of raw voxels know from a header how many bytes there must be. Whether the file
can hold them is asked before any memory is taken: deflate packs 1032 to 1 at best.
"""

import gzip
import os
import zlib
from io import BufferedIOBase
from pathlib import Path
from types import TracebackType
from typing import Self

import imagecodecs
import numpy as np

from medcnn.errors import DecodeError
from medcnn.io.regular import open_regular

__all__ = ["Content", "inflate"]

_BEST_RATIO = 1032
_WHOLE_BYTES = 2**29
_PIECE_BYTES = 2**20
_HINT = "The file is broken or cut off; copy it again."


class Content:
    """A file open for reading, through gzip if that is what it holds.

    Args:
        path: A regular file.

    Attributes:
        is_packed: Whether the file is a gzip file.

    Raises:
        OSError: If it cannot be opened.
        ReadError: If it is no regular file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._raw = open_regular(path)
        self._size = os.fstat(self._raw.fileno()).st_size
        self.is_packed = self._raw.read(2) == b"\x1f\x8b"
        self._raw.seek(0)
        self._file: BufferedIOBase = self._raw
        if self.is_packed:
            self._file = gzip.GzipFile(fileobj=self._raw)
        self._end = 0
        self._whole: memoryview | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._whole = None
        self._file.close()
        self._raw.close()

    def head(self, size: int) -> bytes:
        """Return the first bytes, fewer if there are fewer.

        Raises:
            DecodeError: If a gzip stream is broken.
        """
        try:
            self._file.seek(0)
            return self._file.read(size)
        except (EOFError, OSError, zlib.error) as error:
            msg = f"it cannot be read ({type(error).__name__})."
            raise DecodeError(msg, path=self._path, hint=_HINT) from error

    def expect(self, end: int) -> None:
        """Refuse a file that cannot hold so many bytes, before any of them is read.

        Raises:
            DecodeError: If it cannot.
        """
        most = self._size * _BEST_RATIO if self.is_packed else self._size
        if end > most:
            what = f"{self._size} bytes" + (" of gzip" if self.is_packed else "")
            msg = f"its voxels are cut off: {end} bytes are declared, it has {what}."
            raise DecodeError(msg, path=self._path, hint=_HINT)
        self._end = end

    def read(self, start: int, size: int) -> memoryview:
        """Return exactly so many bytes.

        Raises:
            DecodeError: If there are fewer, or a gzip stream is broken.
        """
        try:
            if self._is_best_read_whole():
                self._whole = self._inflated()
            if self._whole is not None:
                return self._whole[start : start + size]
            self._file.seek(start)
            raw = np.empty(size, np.uint8).data
            have = self._fill(raw)
            if start + size == self._end and self.is_packed:
                self._file.read(1)  # the end is where gzip compares its checksum
        except (EOFError, OSError, zlib.error, imagecodecs.DeflateError) as error:
            msg = f"its voxels cannot be read ({type(error).__name__})."
            raise DecodeError(msg, path=self._path, hint=_HINT) from error
        if have < size:
            msg = f"its voxels are cut off: {have} of {size} bytes are there."
            raise DecodeError(msg, path=self._path, hint=_HINT)
        return raw

    def _fill(self, raw: memoryview) -> int:
        """Read into memory until it is full or the file ends; return how far."""
        have = 0
        while have < len(raw):
            got = self._file.readinto(raw[have:])
            if not got:
                break
            have += got
        return have

    def _is_best_read_whole(self) -> bool:
        """Say whether the faster decoder, which wants the whole file, can be used.

        A gzip file ends with the size of what it holds, modulo 2^32. Several streams in
        one file, or bytes after the voxels, show there and go the slower way.
        """
        if not self.is_packed or self._whole is not None or self._end > _WHOLE_BYTES:
            return False
        with open_regular(self._path) as file:
            file.seek(-4, 2)
            return int.from_bytes(file.read(4), "little") == self._end

    def _inflated(self) -> memoryview | None:
        """Unpack the whole file; None if it is no single stream."""
        with open_regular(self._path) as file:
            raw = imagecodecs.gzip_decode(file.read(), out=self._end)
        return memoryview(raw) if len(raw) == self._end else None


def inflate(packed: bytes, size: int, path: Path) -> memoryview:
    """Return the exact number of bytes that a zlib or gzip stream must hold.

    Args:
        packed: The stream; what follows it is not looked at.
        size: How many bytes it must hold.
        path: The file, for errors.

    Raises:
        DecodeError: If it is broken, or holds another number of bytes.
    """
    if size > len(packed) * _BEST_RATIO:
        msg = f"its voxels are cut off: {size} bytes cannot be in {len(packed)}."
        raise DecodeError(msg, path=path, hint=_HINT)
    is_gzip = packed[:2] == b"\x1f\x8b"
    decode = imagecodecs.gzip_decode if is_gzip else imagecodecs.deflate_decode
    try:
        raw = decode(packed, out=size)
    except imagecodecs.DeflateError as error:
        msg = f"its packed voxels are broken, or not the {size} bytes declared."
        raise DecodeError(msg, path=path, hint=_HINT) from error
    if len(raw) != size:
        msg = f"its packed voxels are {len(raw)} bytes; {size} are declared."
        raise DecodeError(msg, path=path, hint=_HINT)
    return memoryview(raw)
