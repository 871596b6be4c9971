"""What a path is, before any reader touches it: checks, content, declared sizes."""

import gzip
import os
import stat
import zlib
from pathlib import Path

from medcnn.errors import DecodeError, ReadError, UnknownFormatError
from medcnn.io.bounds import MAX_SAMPLES, bounds
from medcnn.io.kinds import (
    HEAD_BYTES,
    ZIP,
    Kind,
    is_nifti,
    kind_of,
    kind_of_zip,
    words_for,
)
from medcnn.io.regular import open_regular
from medcnn.io.slide_head import is_whole_slide

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_SAMPLES",
    "check_frames",
    "check_samples",
    "identify",
    "is_folder",
    "is_zip",
    "nifti_pair",
    "packed_kind",
    "require",
    "shown",
]

MAX_FILE_BYTES = 2**32
"""Largest file that is opened, in bytes."""

_SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def shown(path: Path) -> str:
    """Return a path as text that is safe to print, whatever bytes its name holds."""
    text = os.fsencode(path).decode("utf-8", errors="replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def require(path: Path) -> os.stat_result:
    """Return the status of an existing file or folder.

    Raises:
        ReadError: If nothing is there, or it may not be looked at.
    """
    try:
        return path.stat()
    except FileNotFoundError as error:
        if path.is_symlink():
            msg = f"{shown(path)} is a link to something that does not exist."
            hint = "Mend the link, or put the file in its place."
            raise ReadError(msg, path=path, hint=hint) from error
        msg = f"{shown(path)} does not exist."
        raise ReadError(msg, path=path, hint="Check the spelling.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        msg = f"{shown(path)} cannot be reached: {reason}."
        hint = "Check the path and your right to go there."
        raise ReadError(msg, path=path, hint=hint) from error


def is_folder(path: Path) -> bool:
    """Say whether an existing path is a folder.

    Raises:
        ReadError: If nothing is there, or it may not be looked at.
    """
    return stat.S_ISDIR(require(path).st_mode)


def identify(path: Path) -> Kind:
    """Say which format a file is by its first bytes, never by its name.

    Raises:
        ReadError: If it is missing, not a regular file, empty, too large or locked.
        UnknownFormatError: If its content is of no format that is read.
    """
    status = require(path)
    _check_regular(path, status.st_mode)
    if status.st_size == 0:
        msg = f"{shown(path)} is empty (0 bytes)."
        raise ReadError(msg, path=path, hint="Copy it again from where it came from.")
    head, is_packed = _first_bytes(path)
    if is_whole_slide(path, head, most_samples=bounds().samples) and not is_packed:
        return Kind.SLIDE
    if status.st_size > MAX_FILE_BYTES:
        msg = f"{shown(path)} has {status.st_size} bytes; at most {MAX_FILE_BYTES}."
        raise ReadError(msg, path=path)
    kind = kind_of(head, status.st_size)
    if kind is not None and (not is_packed or kind is Kind.NIFTI):
        return kind
    if _is_analyze_image(path):
        return Kind.NIFTI
    what = "it is a gzip file of something else" if is_packed else words_for(head)
    if head[257:262] == b"ustar":
        what = f"it is a {'packed ' * is_packed}tar archive"
    msg = f"{shown(path)} holds no image that is read: {what}."
    hint = "DICOM, NIfTI, MetaImage, NRRD, NumPy, PNG, JPEG, TIFF and BMP are read."
    if "archive" in what:
        hint = "Unpack it, or put its files into a zip archive."
    raise UnknownFormatError(msg, path=path, hint=hint)


def check_samples(path: Path | None, *sizes: int) -> None:
    """Refuse a declared size before anything of that size is made.

    Args:
        path: The file, for the message.
        sizes: Columns, rows, slices, channels.

    Raises:
        DecodeError: If a size is below 1 or the product is above this process' bound.
    """
    total = 1
    for size in sizes:
        total *= max(int(size), 0)
    declared = " x ".join(str(size) for size in sizes)
    if total < 1:
        msg = f"the header declares an image of {declared}, which holds nothing."
        raise DecodeError(msg, path=path)
    most = bounds().samples
    if total > most:
        msg = f"the header declares {declared} numbers; at most {most} are read."
        raise DecodeError(
            msg, path=path, hint="It is either broken or larger than any image."
        )


def check_frames(path: Path | None, frames: int) -> None:
    """Refuse a declared number of frames before any is decoded.

    Raises:
        DecodeError: If there are more than this process' bound.
    """
    most = bounds().frames
    if frames > most:
        msg = f"the header declares {frames} frames; at most {most} are read."
        raise DecodeError(msg, path=path, hint="Allow more of them, or split the file.")


def _check_regular(path: Path, mode: int) -> None:
    """Refuse what would block or never end, without opening it.

    Raises:
        ReadError: If it is a folder, pipe, socket or device.
    """
    if stat.S_ISDIR(mode):
        msg = f"{shown(path)} is a folder, not a file."
        raise ReadError(msg, path=path)
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _SPECIAL if is_kind(mode)), "special")
        msg = f"{shown(path)} is {kind}, not a regular file; it was not opened."
        raise ReadError(msg, path=path, hint="Put images into files.")


def _first_bytes(path: Path) -> tuple[bytes, bool]:
    """Read the head of a file, or of what a gzip file holds; and whether it is one.

    Raises:
        DecodeError: If a gzip file is broken.
        ReadError: If it may not be read.
    """
    try:
        with open_regular(path) as file:
            head = file.read(HEAD_BYTES)
        is_packed = head[:2] == b"\x1f\x8b"
        if is_packed:
            with gzip.open(path) as file:
                head = file.read(HEAD_BYTES)
    except PermissionError as error:
        msg = f"{shown(path)} may not be read by this user."
        raise ReadError(msg, path=path, hint="Ask for the right to read it.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        msg = f"{shown(path)} is a gzip file that is broken or cut off."
        raise DecodeError(msg, path=path, hint="Copy it again.") from error
    except OSError as error:
        msg = f"{shown(path)} cannot be read: {error.strerror or error}."
        raise ReadError(msg, path=path) from error
    return head, is_packed


def is_zip(path: Path) -> Kind | None:
    """Say which kind of zip archive a regular file is; None if it is none.

    Raises:
        OSError: If it cannot be read.
    """
    with open_regular(path) as file:
        head = file.read(len(ZIP))
        return kind_of_zip(head + file.read(HEAD_BYTES)) if head == ZIP else None


def packed_kind(path: Path) -> Kind | None:
    """Return the kind of image that a gzip file holds and that has to be unpacked.

    None for every other file, for NIfTI, which is read as it is, and for what cannot be
    read: `identify` says why.
    """
    try:
        _check_regular(path, require(path).st_mode)
        with open_regular(path) as file:
            if file.read(2) != b"\x1f\x8b":
                return None
        head, _ = _first_bytes(path)
    except (OSError, ReadError):
        return None
    kind = kind_of(head, MAX_FILE_BYTES)
    is_image = kind not in {Kind.NIFTI, Kind.ARCHIVE, Kind.DICOMDIR, None}
    return kind if is_image and head[257:262] != b"ustar" else None


def _is_analyze_image(path: Path) -> bool:
    """Say whether this is the raw half of a NIfTI pair, by what its header holds."""
    header, voxels = nifti_pair(path)
    return voxels == path != header and is_nifti(_first_bytes(header)[0])


def nifti_pair(path: Path) -> tuple[Path, Path]:
    """Return (header, voxels) of a pair by the name of either; else the path twice.

    Either half may be packed: .hdr, .hdr.gz, .img, .img.gz; or in capitals.
    """
    ending = ".gz" if path.suffix.lower() == ".gz" else ""
    bare = path.with_suffix("") if ending else path
    suffix = bare.suffix.lower()
    if suffix not in {".hdr", ".img"}:
        return path, path
    other = {".hdr": ".img", ".img": ".hdr"}[suffix]
    endings = other, f"{other}.gz", other.upper(), f"{other}.GZ".upper()
    names = [bare.with_suffix(ending) for ending in endings]
    found = next((name for name in names if name.is_file()), names[0])
    if suffix == ".hdr":
        return path, found
    return (found, path) if found.is_file() else (path, path)
