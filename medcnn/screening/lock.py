"""One run at a time in an output folder."""

import errno
import os
import sys
from pathlib import Path
from typing import Self

from medcnn.errors import OutputError
from medcnn.outputs import cannot_write

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["LOCK", "FolderLock"]

_HELD = {errno.EACCES, errno.EAGAIN, errno.EDEADLK, errno.EWOULDBLOCK}
"""How systems say that another process holds a lock."""

LOCK = ".screening.lock"
"""The file that is locked; it stays, for removing it would let two runs in."""


class FolderLock:
    """Hold an output folder; the system lets go of it however this process ends.

    Args:
        folder: It is there.
        verb: The command that works in such folders, for the error.

    Raises:
        OutputError: If another process holds it, the folder cannot be written, or its
            file system knows no locks.
    """

    def __init__(self, folder: Path, *, verb: str = "screen") -> None:
        self._verb = verb
        path = folder / LOCK
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            told = cannot_write(folder, error)
            raise told from error
        if not self._is_free(folder):
            os.lseek(self._file, 0, os.SEEK_SET)
            holder = os.read(self._file, 64).decode("ascii", "replace").strip()
            os.close(self._file)
            who = f" (process {holder})" if holder.isdigit() else ""
            msg = f"{folder} is in use by another medcnn {self._verb}{who}."
            raise OutputError(msg, hint="Wait for it, or choose another --output.")
        self._sign(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let go."""
        os.close(self._file)

    def _sign(self, folder: Path) -> None:
        """Note who holds it.

        Raises:
            OutputError: If the disk is full.
        """
        try:
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
            os.write(self._file, f"{os.getpid()}\n".encode())
        except OSError as error:
            os.close(self._file)
            told = cannot_write(folder, error)
            raise told from error

    def _is_free(self, folder: Path) -> bool:
        """Lock the file unless another process holds it.

        Raises:
            OutputError: If the file system knows no locks.
        """
        try:
            if sys.platform == "win32":
                os.lseek(self._file, 1 << 20, os.SEEK_SET)
                msvcrt.locking(self._file, msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                return False
            os.close(self._file)
            msg = f"{folder} cannot be locked: {error.strerror or error}."
            hint = "Choose an --output on a disk of this machine."
            raise OutputError(msg, hint=hint) from error
        return True
