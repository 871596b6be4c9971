"""What a file holds, told from its first bytes alone.

References:
    [1] DICOM PS3.5 section 7.1 and PS3.10 section 7.1; nifti1.h; PKWARE APPNOTE 4.3.7.
"""

import codecs
import re
from enum import StrEnum

__all__ = [
    "HEAD_BYTES",
    "ZIP",
    "Kind",
    "is_nifti",
    "kind_of",
    "kind_of_zip",
    "words_for",
]

HEAD_BYTES = 1024
"""How many first bytes are looked at."""

ZIP = b"PK\x03\x04"
"""How a zip archive begins."""

_NIFTI_MAGIC = {b"n+1\0", b"ni1\0"}
_NIFTI2_MAGIC = {b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n"}
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


def kind_of(head: bytes, size: int) -> Kind | None:
    """Name the format of a file from its first bytes; None if it is none of ours."""
    if head[128:132] == b"DICM":
        return Kind.DICOMDIR if _DICOMDIR in head else Kind.DICOM
    if is_nifti(head):
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
    return kind_of_zip(head)


def kind_of_zip(head: bytes) -> Kind | None:
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
    if not head.startswith(ZIP) or head[128:132] == b"DICM":
        return None  # a DICOM file may begin with 128 bytes of anything
    return head[30 : 30 + int.from_bytes(head[26:28], "little")]


def is_nifti(head: bytes) -> bool:
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


def words_for(head: bytes) -> str:
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
