"""Files made to block, burst or mislead a reader; the same bytes every time."""

import gzip
import os
import socket
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import cv2
import imagecodecs
import nibabel as nib
import numpy as np
from dicoms import picture, save
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

__all__ = ["CRAFTED"]

Make = Callable[[Path], object]

_ITEM = b"\xfe\xff\x00\xe0"
_OPEN_SEQUENCE = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + _ITEM + b"\xff\xff\xff\xff"


def _film() -> np.ndarray:
    rows, columns = np.mgrid[:64, :64]
    return (rows * 3 + columns).astype(np.uint8)


def _plain() -> bytes:
    """Return a sound file up to its pixels."""
    file = BytesIO()
    picture(_film()).save_as(file, enforce_file_format=True)
    return file.getvalue()[: -64 * 64 - 12]


def _compressed(frame: bytes, syntax: UID, side: int = 64) -> Make:
    """Return what writes a DICOM file that holds a codestream."""

    def make(path: Path) -> None:
        dataset = picture(_film(), Rows=side, Columns=side)
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate([frame])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        save(dataset, path)

    return make


def _j2k(side: int) -> bytes:
    frame = bytearray(imagecodecs.jpeg2k_encode(_film(), codecformat="j2k"))
    frame[8:16] = struct.pack(">2I", side, side)  # Xsiz, Ysiz
    frame[24:32] = struct.pack(">2I", side, side)  # XTsiz, YTsiz: one tile
    return bytes(frame)


def _with_sof(frame: bytes, side: int) -> bytes:
    """Patch the size in the frame header of a JPEG or JPEG-LS."""
    at = next(frame.find(m) for m in (b"\xff\xc0", b"\xff\xf7") if m in frame)
    return frame[: at + 5] + struct.pack(">2H", side, side) + frame[at + 9 :]


def _jpeg(side: int) -> bytes:
    return _with_sof(imagecodecs.jpeg8_encode(_film()), side)


def _jpegls(side: int) -> bytes:
    return _with_sof(imagecodecs.jpegls_encode(_film()), side)


def _rle(path: Path) -> None:
    """Write runs that stand for 400 million bytes in 6 million."""
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\0" * (400_000_000 // 128)
    _compressed(frame, RLELossless, side=20_000)(path)


def _short_rle(path: Path) -> None:
    """Write a few bytes that claim to be 256 million."""
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\0" * 1000
    _compressed(frame, RLELossless, side=16_000)(path)


def _zeros(gigabytes: int, *, raw: bool) -> bytes:
    """Deflate so many GiB of zeros; a block is packed once and repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * (64 * gigabytes) + (packer.flush() if raw else b"")


def _deflate_bomb(path: Path) -> None:
    dataset = picture(_film())
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    save(dataset, path)
    whole = path.read_bytes()
    head = whole[: 144 + struct.unpack_from("<I", whole, 140)[0]]
    element = b"\x09\0\x10\x10OB\0\0" + struct.pack("<I", 0x7FFFFFFE)
    packer = zlib.compressobj(0, zlib.DEFLATED, -zlib.MAX_WBITS)
    start = packer.compress(element) + packer.flush(zlib.Z_FULL_FLUSH)
    path.write_bytes(head + start + _zeros(2, raw=True))


def _nifti(**fields: object) -> bytes:
    header = nib.Nifti1Header()
    header.set_data_shape((8, 8, 8))
    header.set_data_dtype(np.int16)
    header["magic"] = b"n+1"
    header["vox_offset"] = 352
    for name, value in fields.items():
        header[name] = value
    return header.binaryblock + bytes(4)


def _gzip_of(head: bytes, gigabytes: int) -> bytes:
    one = gzip.compress(bytes(1 << 24), mtime=0)
    return gzip.compress(head, mtime=0) + one * (64 * gigabytes)


def _png(columns: int, rows: int) -> bytes:
    whole = bytearray(cv2.imencode(".png", _film())[1].tobytes())
    whole[16:24] = struct.pack(">2I", columns, rows)
    whole[29:33] = struct.pack(">I", zlib.crc32(whole[12:29]))
    return bytes(whole)


def _tiff(side: int) -> bytes:
    whole = cv2.imencode(".tif", _film(), (cv2.IMWRITE_TIFF_COMPRESSION, 1))[1]
    data = bytearray(whole.tobytes())
    (at,) = struct.unpack_from("<I", data, 4)
    for n in range(struct.unpack_from("<H", data, at)[0]):
        place = at + 2 + 12 * n
        (tag,) = struct.unpack_from("<H", data, place)
        if tag in {256, 257, 278}:
            data[place : place + 12] = struct.pack("<2H2I", tag, 4, 1, side)
    return bytes(data)


def _bytes(content: Callable[[], bytes]) -> Make:
    return lambda path: path.write_bytes(content())


def _preamble(start: bytes) -> Make:
    def make(path: Path) -> None:
        save(picture(_film()), path)
        path.write_bytes(start.ljust(128, b"\0")[:128] + path.read_bytes()[128:])

    return make


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def _huge(path: Path) -> None:
    save(picture(_film(), Rows=65535, Columns=65535, NumberOfFrames="1000"), path)


def _to_zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _to_itself(path: Path) -> None:
    path.symlink_to(path)


_OPENS = "not a regular file|cannot be reached|is a folder"
_SIZES = "rows x|declare|RLE|numbers"
_ANY = ""

CRAFTED: dict[str, tuple[Make, str | None]] = {
    "pipe.dcm": (os.mkfifo, _OPENS),
    "socket.dcm": (_socket, _OPENS),
    "zero.dcm": (_to_zero, _OPENS),
    "loop.dcm": (_to_itself, _OPENS),
    "folder.dcm": (Path.mkdir, "holds no image"),
    "j2k_huge.dcm": (_compressed(_j2k(60_000), JPEG2000Lossless), "60000"),
    "j2k_both_lie.dcm": (_compressed(_j2k(16_000), JPEG2000Lossless, 16_000), _ANY),
    "jpeg_huge.dcm": (_compressed(_jpeg(65_000), JPEGBaseline8Bit), "65000"),
    "jpeg_both_lie.dcm": (_compressed(_jpeg(16_000), JPEGBaseline8Bit, 16_000), _ANY),
    "jpegls_huge.dcm": (_compressed(_jpegls(65_000), JPEGLSLossless), "65000"),
    "jpegls_both_lie.dcm": (_compressed(_jpegls(16_000), JPEGLSLossless, 16_000), _ANY),
    "rle_400_million.dcm": (_rle, _SIZES),
    "rle_short.dcm": (_short_rle, _ANY),
    "deflate_bomb.dcm": (_deflate_bomb, "inflates to more than"),
    "nested_500.dcm": (_bytes(lambda: _plain() + _OPEN_SEQUENCE * 500), "nested"),
    "nested_5000.dcm": (_bytes(lambda: _plain() + _OPEN_SEQUENCE * 5000), "nested"),
    "nested_50000.dcm": (_bytes(lambda: _plain() + _OPEN_SEQUENCE * 50_000), "nested"),
    "million_items.dcm": (
        _bytes(
            lambda: (
                _plain()
                + b"\x08\x00\x40\x11SQ\0\0"
                + struct.pack("<I", 8_000_000)
                + (_ITEM + bytes(4)) * 1_000_000
            )
        ),
        "more than 200000 elements",
    ),
    "huge_native.dcm": (_huge, "declares"),
    "windows_program.dcm": (_preamble(b"MZ\x90\0"), None),
    "linux_program.dcm": (_preamble(b"\x7fELF\2\1\1"), None),
    "web_page.dcm": (_preamble(b"<html><script>alert(1)</script>"), None),
    "tiff_before.dcm": (_preamble(b"II*\0\x08\0\0\0"), None),
    "gzip_bomb.nii.gz": (_bytes(lambda: _gzip_of(_nifti(), 2)), None),
    "gzip_far_voxels.nii.gz": (
        _bytes(lambda: _gzip_of(_nifti(vox_offset=2.0**31), 2)),
        _ANY,
    ),
    "gzip_extension.nii.gz": (
        _bytes(
            lambda: _gzip_of(
                _nifti(vox_offset=2.0**30)[:348]
                + b"\1\0\0\0"
                + struct.pack("<2i", 2**30 - 352, 6),
                2,
            )
        ),
        _ANY,
    ),
    "huge.nii": (
        _bytes(lambda: _nifti(dim=[3, 30000, 30000, 30000, 1, 1, 1, 1]) + bytes(99)),
        "declares",
    ),
    "negative.nii": (_bytes(lambda: _nifti(dim=[3, -8, 8, 8, 1, 1, 1, 1])), _ANY),
    "huge.png": (_bytes(lambda: _png(60_000, 60_000)), "declares"),
    "wide.png": (_bytes(lambda: _png(2**31 - 1, 1)), "declares"),
    "short.png": (_bytes(lambda: _png(16_000, 16_000)), _ANY),
    "huge.jpg": (_bytes(lambda: _jpeg(65_000)), "cannot hold"),
    "short.jpg": (_bytes(lambda: _jpeg(16_000)), "cannot hold"),
    "huge.tif": (_bytes(lambda: _tiff(60_000)), "declares"),
    "short.tif": (_bytes(lambda: _tiff(16_000)), _ANY),
}
"""Name: what makes the file, and what its refusal must say.

None where it is an image like any other; "" where an image or any refusal will do, as
long as it costs little.
"""
