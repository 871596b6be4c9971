"""What a path is, before any reader touches it: checks, content, declared sizes."""

import codecs
import gzip
import os
import re
import stat
import zlib
from enum import StrEnum
from pathlib import Path

from medcnn.errors import DecodeError, ReadError, UnknownFormatError
from medcnn.io.slide_head import is_whole_slide

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_SAMPLES",
    "Kind",
    "check_samples",
    "identify",
    "is_folder",
    "is_zip",
    "nifti_pair",
    "packed_kind",
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
    (b"RIFF", "a RIFF file such as WebP"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\0", "an XZ file"),
    (b"(\xb5/\xfd", "a Zstandard file"),
    (b"%PDF", "a PDF document"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\0\0\0\x0cjP  ", "a bare JPEG 2000 file"),
    (b"\xff\x4f\xff\x51", "a bare JPEG 2000 codestream"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
)


_ZIP = b"PK\x03\x04"
_ZIP_DOCUMENTS = (b"[Content_Types].xml", b"_rels/", b"mimetype", b"META-INF/")
_DICOMDIR = b"\x02\x00\x02\x00UI\x14\x001.2.840.10008.1.3.10"
"""(0002,0002) Media Storage SOP Class UID, Media Storage Directory Storage."""

_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}
_META_IMAGE = re.compile(rb"\s*(ObjectType|NDims|Comment|ID|BinaryData) *=", re.ASCII)


class Kind(StrEnum):
    """Which reader a file is for; the last two are lists of files."""

    DICOM = "dicom"
    NIFTI = "nifti"
    RASTER = "raster"
    TIFF = "tiff"
    NUMPY = "numpy"
    METAIMAGE = "metaimage"
    NRRD = "nrrd"
    SLIDE = "slide"
    ARCHIVE = "archive"
    DICOMDIR = "dicomdir"


_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", Kind.RASTER),
    (b"\xff\xd8\xff", Kind.RASTER),
    *((magic, Kind.TIFF) for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (b"NRRD000", Kind.NRRD),
    (b"\x93NUMPY", Kind.NUMPY),
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
    if is_whole_slide(path, head, most_samples=MAX_SAMPLES) and not is_packed:
        return Kind.SLIDE
    if status.st_size > MAX_FILE_BYTES:
        msg = f"{shown(path)} has {status.st_size} bytes; at most {MAX_FILE_BYTES}."
        raise ReadError(msg, path=path)
    kind = _kind_of(head, status.st_size)
    if kind is not None and (not is_packed or kind is Kind.NIFTI):
        return kind
    if _is_analyze_image(path):
        return Kind.NIFTI
    what = "it is a gzip file of something else" if is_packed else _looks_like(head)
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
        return Kind.DICOMDIR if _DICOMDIR in head else Kind.DICOM
    if _is_nifti(head):
        return Kind.NIFTI
    kind = _kind_by_magic(head)
    return kind or (Kind.DICOM if _is_bare_dataset(head, size) else None)


def _kind_by_magic(head: bytes) -> Kind | None:
    """Name the format of a file that begins with bytes of its own."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:2] == b"BM" and head[14:18] and head[14] in _BMP_HEADERS:
        return Kind.RASTER
    if _META_IMAGE.match(head) and b"NDims" in head:
        return Kind.METAIMAGE
    return _kind_of_zip(head)


def _kind_of_zip(head: bytes) -> Kind | None:
    """Say what a zip archive holds by the name of its first member.

    NumPy's .npz is a zip archive of .npy files. Documents and checkpoints of PyTorch
    are none that are looked into.
    """
    name = _first_member(head)
    if name is None or name.startswith(_ZIP_DOCUMENTS) or name.endswith(b"/data.pkl"):
        return None
    return Kind.NUMPY if name.endswith(b".npy") else Kind.ARCHIVE


def _first_member(head: bytes) -> bytes | None:
    """Return the name of the first member of a zip archive; None if it is none."""
    if not head.startswith(_ZIP):
        return None
    return head[30 : 30 + int.from_bytes(head[26:28], "little")]


def is_zip(path: Path) -> Kind | None:
    """Say which kind of zip archive a regular file is; None if it is none.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(len(_ZIP))
        return _kind_of_zip(head + file.read(_HEAD_BYTES)) if head == _ZIP else None


def packed_kind(path: Path) -> Kind | None:
    """Return the kind of image that a gzip file holds and that has to be unpacked.

    None for every other file, for NIfTI, which is read as it is, and for what cannot be
    read: `identify` says why.
    """
    try:
        _check_regular(path, require(path).st_mode)
        with path.open("rb") as file:
            if file.read(2) != b"\x1f\x8b":
                return None
        head, _ = _first_bytes(path)
    except (OSError, ReadError):
        return None
    kind = _kind_of(head, MAX_FILE_BYTES)
    is_image = kind not in {Kind.NIFTI, Kind.ARCHIVE, Kind.DICOMDIR, None}
    return kind if is_image and head[257:262] != b"ustar" else None


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
    name = _first_member(head)
    if name is not None:
        is_model = name.endswith(b"/data.pkl")
        return "it is a PyTorch file" if is_model else "it is a zipped document"
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
