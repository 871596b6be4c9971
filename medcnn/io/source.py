"""What a path is, before any reader touches it: checks, content, declared sizes."""

import codecs
import gzip
import os
import stat
import zlib
from enum import StrEnum
from pathlib import Path

from medcnn.errors import DecodeError, ReadError, UnknownFormatError

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_SAMPLES",
    "Kind",
    "check_samples",
    "identify",
    "is_folder",
    "nifti_pair",
    "require",
    "shown",
]

MAX_SAMPLES = 2**28
"""Most numbers one image may declare (columns x rows x slices x channels)."""

MAX_FILE_BYTES = 2**32
"""Largest file that is opened, in bytes."""

_HEAD_BYTES = 1024
_NIFTI_MAGIC = {b"n+1\0", b"ni1\0"}
_NIFTI2_MAGIC = {b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n"}
_SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_FIRST_GROUPS = {b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08"}
_VALUE_REPRESENTATIONS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OF OW PN SH SL SQ SS ST TM UC UI UL UN "
    b"UR US UT".split()
)
_OTHER_FORMATS = (
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"RIFF", "a RIFF file such as WebP"),
    (b"PK\x03\x04", "a zip archive"),
    (b"%PDF", "a PDF document"),
    (b"II+\0", "a BigTIFF picture"),
    (b"MM\0+", "a BigTIFF picture"),
    (b"\x89HDF", "an HDF5 file"),
    (b"NRRD", "an NRRD file"),
    (b"\0\0\0\x0cjP  ", "a bare JPEG 2000 file"),
)


class Kind(StrEnum):
    """Which reader a file is for."""

    DICOM = "dicom"
    NIFTI = "nifti"
    RASTER = "raster"


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
    if status.st_size > MAX_FILE_BYTES:
        msg = f"{shown(path)} has {status.st_size} bytes; at most {MAX_FILE_BYTES}."
        raise ReadError(msg, path=path)
    head, is_packed = _first_bytes(path)
    kind = _kind_of(head, status.st_size)
    if kind is Kind.NIFTI or (kind is not None and not is_packed):
        return kind
    if _is_analyze_image(path):
        return Kind.NIFTI
    what = "it is a gzip file of something else" if is_packed else _looks_like(head)
    msg = f"{shown(path)} holds no image that is read: {what}."
    hint = "DICOM, NIfTI, PNG, JPEG and TIFF are read."
    raise UnknownFormatError(msg, path=path, hint=hint)


def check_samples(path: Path | None, *sizes: int) -> None:
    """Refuse a declared size before anything of that size is made.

    Args:
        path: The file, for the message.
        sizes: Columns, rows, slices, channels.

    Raises:
        DecodeError: If a size is below 1 or the product is above MAX_SAMPLES.
    """
    total = 1
    for size in sizes:
        total *= max(int(size), 0)
    declared = " x ".join(str(size) for size in sizes)
    if total < 1:
        msg = f"the header declares an image of {declared}, which holds nothing."
        raise DecodeError(msg, path=path)
    if total > MAX_SAMPLES:
        msg = f"the header declares {declared} numbers; at most {MAX_SAMPLES} are read."
        raise DecodeError(
            msg, path=path, hint="It is either broken or larger than any image."
        )


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
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        is_packed = head[:2] == b"\x1f\x8b"
        if is_packed:
            with gzip.open(path) as file:
                head = file.read(_HEAD_BYTES)
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


def _kind_of(head: bytes, size: int) -> Kind | None:
    """Name the format of a file from its first bytes; None if it is none of ours."""
    if head[128:132] == b"DICM":
        return Kind.DICOM
    if _is_nifti(head):
        return Kind.NIFTI
    if head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*")):
        return Kind.RASTER
    return Kind.DICOM if _is_bare_dataset(head, size) else None


def _is_nifti(head: bytes) -> bool:
    """Say whether these bytes begin a NIfTI-1 or NIfTI-2 header."""
    sizes = {int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")}
    if 348 in sizes:
        return head[344:348] in _NIFTI_MAGIC
    return 540 in sizes and head[4:12] in _NIFTI2_MAGIC


def _is_bare_dataset(head: bytes, size: int) -> bool:
    """Say whether these bytes begin a DICOM data set without preamble.

    References:
        [1] DICOM PS3.5 section 7.1, data elements: tag, VR or length, length.
    """
    if len(head) < 8 or head[:2] not in _FIRST_GROUPS:
        return False
    if head[4:6] in _VALUE_REPRESENTATIONS:
        return True
    order = "little" if head[1] == 0 else "big"
    element = int.from_bytes(head[2:4], "little" if order == "little" else "big")
    length = int.from_bytes(head[4:8], "little" if order == "little" else "big")
    return element <= 0x0100 and length % 2 == 0 and length + 8 <= size


def _is_analyze_image(path: Path) -> bool:
    """Say whether this is the raw half of a NIfTI pair, by what its header holds."""
    header, voxels = nifti_pair(path)
    return voxels == path != header and _is_nifti(_first_bytes(header)[0])


def nifti_pair(path: Path) -> tuple[Path, Path]:
    """Return (header, voxels) of a pair by the name of either; else the path twice.

    Either half may be packed: .hdr, .hdr.gz, .img, .img.gz.
    """
    ending = ".gz" if path.suffix.lower() == ".gz" else ""
    bare = path.with_suffix("") if ending else path
    suffix = bare.suffix.lower()
    if suffix not in {".hdr", ".img"}:
        return path, path
    other = bare.with_suffix({".hdr": ".img", ".img": ".hdr"}[suffix])
    names = [other, other.with_name(other.name + ".gz")]
    found = next((name for name in names if name.is_file()), names[0])
    if suffix == ".hdr":
        return path, found
    return (found, path) if found.is_file() else (path, path)


def _looks_like(head: bytes) -> str:
    """Describe bytes of no known format in words."""
    for magic, words in _OTHER_FORMATS:
        if head.startswith(magic):
            return f"it is {words}"
    if int.from_bytes(head[:4], "little") == 348:
        return "it is an Analyze 7.5 header, which does not say left from right"
    if head.lstrip()[:1] in {b"<", b"{", b"["} or _is_text(head):
        return "it is a text file"
    return f"it begins with the bytes {head[:8].hex(' ')}"


def _is_text(head: bytes) -> bool:
    """Say whether bytes are plain text."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c in "\t\r\n\f" for c in text)
