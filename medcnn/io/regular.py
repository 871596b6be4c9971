"""Open regular files only: a named pipe would block for ever, a device never end."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from medcnn.errors import ReadError

__all__ = ["open_regular"]

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
)


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; what is opened is checked, not what was there before.

    Raises:
        OSError: If it cannot be opened.
        ReadError: If it is no regular file.
    """
    number = os.open(path, _FLAGS)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        msg = "it is not a regular file."
        raise ReadError(msg, path=path, hint="Put images into files.")
    # opened by name, as pydicom puts the name into its messages
    return open(path, "rb", opener=lambda *_: number)
