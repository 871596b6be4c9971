"""Write files whole or not at all, and say in one sentence why it cannot be done."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from medcnn.errors import OutputError

__all__ = [
    "TEMPORARY",
    "cannot_write",
    "make_folder",
    "sync_folder",
    "whole_file",
    "write_whole",
]

TEMPORARY = ".tmp"
"""Suffix of a file that is still being written; such a file may be deleted."""

_REASONS = {
    errno.ENOSPC: ("the disk is full", "Free some space, then run it again."),
    errno.EDQUOT: ("the disk quota is used up", "Free some space, then run it again."),
    errno.EROFS: ("the file system is read-only", "Choose another output folder."),
    errno.EACCES: ("this user may not write there", "Choose another output folder."),
    errno.EPERM: ("this user may not write there", "Choose another output folder."),
    errno.ENOTDIR: ("a file is where a folder is needed", "Choose another folder."),
    errno.EEXIST: ("a file is where a folder is needed", "Choose another folder."),
    errno.EISDIR: ("a folder is where a file is needed", "Move the folder away."),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter one."),
    errno.EIO: ("the disk reports an error", "Check the disk or the network."),
}


def cannot_write(path: Path, error: OSError) -> OutputError:
    """Return the error that says why `path` cannot be written, and what to do."""
    reason, hint = _REASONS.get(
        error.errno or 0, (error.strerror or str(error), "Choose another output.")
    )
    return OutputError(f"{path} cannot be written: {reason}.", hint=hint)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, unless it is there.

    Raises:
        OutputError: If it cannot be made, or a file is in its place.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        told = cannot_write(path, error)
        raise told from error


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that appears under its name only when it is complete.

    The bytes go to a temporary neighbour, are forced to the disk, and the name is
    changed in one step: a reader sees the old file or the new one, never a part. After
    a failure the neighbour is removed.

    Raises:
        OutputError: If it cannot be written.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        _remove(temporary)
        told = cannot_write(path, error)
        raise told from error
    except BaseException:
        _remove(temporary)
        raise


def _remove(temporary: Path) -> None:
    """Remove a file if it is there, and hide no other error by failing to."""
    with suppress(OSError):
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a small file whole or not at all.

    Raises:
        OutputError: If it cannot be written.
    """
    with whole_file(path) as file:
        file.write(content)


def sync_folder(folder: Path) -> None:
    """Force a folder's names to the disk.

    Raises:
        OSError: If the system cannot.
    """
    if os.name == "nt":  # Windows has no handle of a folder to flush
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
