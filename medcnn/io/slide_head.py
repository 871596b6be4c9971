"""Whole-slide images, told from other DICOM and TIFF by how their files begin."""

from pathlib import Path

from medcnn.errors import ReadError
from medcnn.io.tiff_directories import Directory, is_tiff, tiff_directories

__all__ = ["HEAD_BYTES", "is_tiled_tiff", "is_whole_slide"]

HEAD_BYTES = 1024
"""How many first bytes are looked at."""

# (0002,0002) of VL Whole Slide Microscopy Image Storage, and the next element's group:
# other SOP classes begin with the same characters.
_WHOLE_SLIDE = b"1.2.840.10008.5.1.4.1.1.77.1.6\x02\x00"
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _SAMPLES = 254, 256, 257, 258, 277
_TILE_WIDTH, _SUB_DIRECTORIES = 322, 330
_REDUCED = 1


def is_whole_slide(path: Path, head: bytes, *, most_samples: int) -> bool:
    """Say whether a regular file holds a whole slide, or one level of it.

    A TIFF is one if it is a colour picture in tiles and a pyramid (it has reduced
    copies), is described as Aperio's scanners do, or is too large for any other.

    Args:
        path: The file.
        head: Its first HEAD_BYTES bytes.
        most_samples: Most numbers that an image which is none may have.
    """
    if head[128:132] == b"DICM":
        return _WHOLE_SLIDE in head
    found = _directories(path) if is_tiff(head) else ()
    if not found or not _is_colour_in_tiles(found[0]):
        return False
    first, others = found[0], found[1:]
    is_pyramid = _SUB_DIRECTORIES in first.counts or any(
        one.first(_SUBFILE) & _REDUCED for one in others
    )
    is_aperio = first.words.startswith(b"Aperio")
    return is_pyramid or is_aperio or _samples(first) > most_samples


def is_tiled_tiff(path: Path, head: bytes) -> bool:
    """Say whether a regular file is a TIFF whose first picture is stored in tiles."""
    found = _directories(path) if is_tiff(head) else ()
    return bool(found) and _TILE_WIDTH in found[0].numbers


def _directories(path: Path) -> tuple[Directory, ...]:
    """Return the directories of a TIFF; none of one that is broken."""
    try:
        return tiff_directories(path)
    except (ReadError, OSError):
        return ()


def _is_colour_in_tiles(directory: Directory) -> bool:
    """Say whether a directory is of a picture as slides are stored."""
    is_colour = directory.first(_SAMPLES, 1) in {3, 4}
    is_bytes = directory.first(_BITS, 1) == 8
    return is_colour and is_bytes and _TILE_WIDTH in directory.numbers


def _samples(directory: Directory) -> int:
    """Return how many numbers a directory's picture declares."""
    total = 1
    for tag in (_WIDTH, _HEIGHT, _SAMPLES):
        total *= directory.first(tag, 1)
    return total
