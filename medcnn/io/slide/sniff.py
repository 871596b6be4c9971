"""Is this file or folder a whole-slide image? By its first bytes, without a library."""

import stat
from itertools import islice
from pathlib import Path

from medcnn.errors import ReadError
from medcnn.io.bounds import bounds
from medcnn.io.regular import open_regular
from medcnn.io.slide_head import HEAD_BYTES, is_tiled_tiff, is_whole_slide
from medcnn.io.source import require

__all__ = ["format_of", "is_dicom_slide", "slide_kind"]

_MOST_FILES = 2**16


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
    if not is_whole_slide(path, head, most_samples=bounds().samples):
        return ""
    return "dicom" if head[128:132] == b"DICM" else "tiff"


def format_of(path: Path) -> str:
    """Say in which format a file or folder can be opened as a slide, as it was asked.

    Other than for `slide_kind`, every TIFF in tiles will do.

    Returns:
        "dicom" or "tiff"; "" if it cannot.

    Raises:
        ReadError: If nothing is there, or it may not be read.
    """
    kind = slide_kind(path)
    if kind or not stat.S_ISREG(require(path).st_mode):
        return kind
    return "tiff" if is_tiled_tiff(path, _head(path)) else ""


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
        with open_regular(path) as file:
            return file.read(HEAD_BYTES)
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
