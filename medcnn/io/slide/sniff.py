"""Is this file or folder a whole-slide image? By its first bytes, without a library."""

import stat
from itertools import islice
from pathlib import Path

from medcnn.errors import DecodeError, ReadError
from medcnn.io.source import MAX_SAMPLES, require
from medcnn.io.tiff_directories import Directory, is_tiff, tiff_directories

__all__ = ["is_dicom_slide", "slide_kind"]

# (0002,0002) of VL Whole Slide Microscopy Image Storage, and the next element's group:
# other SOP classes begin with the same characters.
_WHOLE_SLIDE = b"1.2.840.10008.5.1.4.1.1.77.1.6\x02\x00"
_HEAD_BYTES = 1024
_MOST_FILES = 2**16
_WIDTH, _HEIGHT, _SAMPLES, _TILE_WIDTH, _SUB_DIRECTORIES = 256, 257, 277, 322, 330


def slide_kind(path: Path) -> str:
    """Say whether a file, or all images of a folder, are a whole slide.

    Returns:
        "dicom" or "tiff"; "" if it is none.

    Raises:
        ReadError: If nothing is there, or it may not be read.
    """
    mode = require(path).st_mode
    if stat.S_ISDIR(mode):
        return "dicom" if _is_folder_of_slides(path) else ""
    if not stat.S_ISREG(mode):
        return ""
    head = _head(path)
    if head[128:132] == b"DICM":
        return "dicom" if _WHOLE_SLIDE in head else ""
    return "tiff" if is_tiff(head) and _is_slide_tiff(path) else ""


def is_dicom_slide(path: Path) -> bool:
    """Say whether a path is a regular file with a DICOM whole-slide image in it."""
    try:
        return path.is_file() and slide_kind(path) == "dicom"
    except (OSError, ReadError):
        return False


def _head(path: Path) -> bytes:
    """Read the first bytes of a file.

    Raises:
        ReadError: If it may not be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError as error:
        msg = f"it cannot be read: {error.strerror or error}."
        raise ReadError(msg, path=path, hint="Ask for the right to read it.") from error


def _is_folder_of_slides(folder: Path) -> bool:
    """Say whether a folder holds files of whole slides and nothing else."""
    try:
        names = sorted(islice(folder.iterdir(), _MOST_FILES))
    except OSError:
        return False
    files = [name for name in names if not name.name.startswith(".")]
    return bool(files) and all(is_dicom_slide(file) for file in files)


def _is_slide_tiff(path: Path) -> bool:
    """Say whether a TIFF is stored as slides are: in tiles, and large or in levels."""
    try:
        found = tiff_directories(path)
    except (DecodeError, OSError):
        return False
    if not found or _TILE_WIDTH not in found[0].numbers:
        return False
    first = found[0]
    has_levels = len(found) > 1 or _SUB_DIRECTORIES in first.counts
    return has_levels or first.is_big or _samples(first) > MAX_SAMPLES


def _samples(directory: Directory) -> int:
    """Return how many numbers a directory's picture declares."""
    sizes = (directory.numbers.get(tag, 1) for tag in (_WIDTH, _HEIGHT, _SAMPLES))
    total = 1
    for size in sizes:
        total *= size
    return total
