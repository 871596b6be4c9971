"""Open regular files only: a named pipe would block for ever, a device never end."""

import io
import os
import stat
from pathlib import Path

from medcnn.errors import ReadError

__all__ = ["RegularFile", "open_regular"]

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
)
_SMALL_BYTES = 1 << 16


class RegularFile(io.BufferedReader):
    """A regular file that takes no memory for more bytes than it has.

    Python's own files take it before they find out: an element that claims 4 GiB costs
    4 GiB, whatever the size of the file.

    Args:
        number: File descriptor, which it closes.
        size: Bytes of the file.
        name: Its path; pydicom puts it into texts.
    """

    def __init__(self, number: int, size: int, name: str) -> None:
        super().__init__(io.FileIO(name, opener=lambda *_: number))
        self._bytes = size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read so many bytes, fewer if there are fewer; all by default."""
        if size is not None and size > _SMALL_BYTES:
            size = min(size, max(self._bytes - self.tell(), 0))
        return super().read(size)


def open_regular(path: Path) -> RegularFile:
    """Open a file for reading; what is opened is checked, not what was there before.

    Raises:
        OSError: If it cannot be opened.
        ReadError: If it is no regular file.
    """
    number = os.open(path, _FLAGS)
    status = os.fstat(number)
    if not stat.S_ISREG(status.st_mode):
        os.close(number)
        msg = "it is not a regular file."
        raise ReadError(msg, path=path, hint="Put images into files.")
    return RegularFile(number, status.st_size, os.fspath(path))
