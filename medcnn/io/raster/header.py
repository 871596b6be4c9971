"""Size, depth and orientation of a PNG, JPEG or BMP, before anything is decoded.

References:
    [1] PNG (W3C, third edition) 11.2.1 IHDR, 11.3; ITU-T T.81 B.2.2; T.872 6.1 Adobe;
        BITMAPINFOHEADER.
"""

from dataclasses import dataclass
from pathlib import Path

from medcnn.errors import DecodeError
from medcnn.io.tiff_directories import exif_turn

__all__ = ["RasterHeader", "raster_header"]

_PNG_SAMPLES = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_SOF_MARKERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_LOSSLESS = {0xC3, 0xC7, 0xCB, 0xCF}
_HUFFMAN_MARKERS = {0xC0, 0xC1, 0xC2}
_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_HINT = "Save it as an 8- or 16-bit PNG."


@dataclass(frozen=True)
class RasterHeader:
    """What a picture's header declares.

    Attributes:
        kind: "PNG", "JPEG" or "BMP".
        columns: Number of columns as stored.
        rows: Number of rows as stored.
        samples: Numbers per pixel.
        turn: EXIF orientation, 1 to 8; 1 is upright.
        steps: What the decoder does to the samples, in words.
        warnings: What a careful reader would want to be told.
    """

    kind: str
    columns: int
    rows: int
    samples: int
    turn: int = 1
    steps: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def raster_header(data: bytes, path: Path) -> RasterHeader:
    """Parse the header of a picture.

    Raises:
        DecodeError: If it is broken, or of a kind that is not read.
    """
    parsers = {b"\x89P": _png, b"\xff\xd8": _jpeg, b"BM": _bmp}
    try:
        return parsers[data[:2]](data)
    except _NotReadError as error:
        raise DecodeError(str(error), path=path, hint=_HINT) from error
    except (IndexError, KeyError, _BrokenHeaderError) as error:
        why = f": {error}" if isinstance(error, _BrokenHeaderError) else ""
        msg = f"its header is broken or cut off{why}."
        raise DecodeError(msg, path=path, hint="Copy the file again.") from error


class _BrokenHeaderError(Exception):
    """A header ends early or contradicts itself."""


class _NotReadError(Exception):
    """A picture is sound, but of a kind that is not read."""


def _png(data: bytes) -> RasterHeader:
    """Walk the chunks of a PNG to its end.

    Raises:
        _BrokenHeaderError: If it ends early.
        _NotReadError: If it is animated.
    """
    if data[12:16] != b"IHDR" or len(data) < 33:
        msg = "it does not begin with IHDR"
        raise _BrokenHeaderError(msg)
    columns, rows, depth = _big(data[16:20]), _big(data[20:24]), data[24]
    chunks: dict[bytes, bytes] = {}
    at, name = 8, b""
    while at + 12 <= len(data) and name != b"IEND":
        length, name = _big(data[at : at + 4]), data[at + 4 : at + 8]
        if name in {b"eXIf", b"acTL", b"sBIT", b"iCCP", b"tRNS"}:
            chunks.setdefault(name, data[at + 8 : at + 8 + length])
        at += 12 + length
    if name != b"IEND" or at > len(data):
        msg = "it has no end"
        raise _BrokenHeaderError(msg)
    frames = _big(chunks.get(b"acTL", b"\0\0\0\1")[:4])
    if frames > 1:
        msg = f"it is an animated PNG of {frames} frames; one picture is read."
        raise _NotReadError(msg)
    turn = exif_turn(chunks.get(b"eXIf", b""))
    steps = ("palette applied",) if data[25] == 3 else ()
    return RasterHeader(
        *("PNG", columns, rows, _PNG_SAMPLES[data[25]], turn),
        steps=steps,
        warnings=_png_notes(chunks, depth),
    )


def _png_notes(chunks: dict[bytes, bytes], depth: int) -> tuple[str, ...]:
    """Say what chunks tell about the samples that decoding leaves alone."""
    notes = []
    bits = set(chunks.get(b"sBIT", b"")) - {0}
    if bits and bits != {depth}:
        told = " and ".join(str(n) for n in sorted(bits))
        notes.append(f"only {told} of {depth} bits are significant (sBIT)")
    if b"iCCP" in chunks:
        notes.append("an ICC colour profile is left alone")
    return tuple(notes)


def _jpeg(data: bytes) -> RasterHeader:
    """Walk the segments of a JPEG to its first scan, and look for its end.

    Raises:
        _BrokenHeaderError: If it ends early.
    """
    at, turn, has_profile = 2, 1, False
    frame: tuple[int, bytes] | None = None
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in _STANDALONE:
            at += 1 if marker == 0xFF else 2
            continue
        body = data[at + 4 : at + 2 + _big(data[at + 2 : at + 4])]
        if marker in _SOF_MARKERS:
            frame = marker, body
        elif marker == 0xE1 and body.startswith(b"Exif\0\0"):
            turn = exif_turn(body[6:])
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
            has_profile = True
        elif marker == 0xDA:
            break
        at += 4 + len(body)
    # Inside a scan every FF is stuffed, so FF D9 after it is the true end.
    if frame is None or data.find(b"\xff\xd9", at) < 0:
        msg = "it has no frame or no end"
        raise _BrokenHeaderError(msg)
    _check_scans(*frame, len(data) - at)
    return _jpeg_frame(*frame, turn, has_profile=has_profile)


def _check_scans(marker: int, body: bytes, size: int) -> None:
    """Refuse scans too short for the picture, which decoders fill up with grey.

    A Huffman code takes a bit for each block of 8 x 8 at the very least (T.81 F.1.2).

    Raises:
        _BrokenHeaderError: If they are.
    """
    pixels = _big(body[1:3]) * _big(body[3:5])
    if marker in _HUFFMAN_MARKERS and pixels > 64 * 8 * size:
        msg = f"{size} bytes cannot hold {pixels} pixels"
        raise _BrokenHeaderError(msg)


def _jpeg_frame(
    marker: int, body: bytes, turn: int, *, has_profile: bool
) -> RasterHeader:
    """Parse the frame header of a JPEG.

    Raises:
        _NotReadError: If its samples are of a kind that is not read.
    """
    depth, samples = body[0], body[5]
    if depth != 8 or marker in _LOSSLESS:
        kind = "a lossless" if marker in _LOSSLESS else "a"
        msg = f"it is {kind} JPEG of {depth} bits; baseline and progressive ones of 8 "
        msg += "bits are read outside DICOM."
        raise _NotReadError(msg)
    if samples not in {1, 3, 4}:
        msg = f"it is a JPEG of {samples} channels; 1, 3 and 4 are read."
        raise _NotReadError(msg)
    notes = ["an ICC colour profile is left alone"] if has_profile else []
    steps: tuple[str, ...] = ()
    if samples == 4:
        steps = ("CMYK turned to RGB",)
        notes.append("its CMYK colours were turned to RGB without a profile")
    return RasterHeader(
        *("JPEG", _big(body[3:5]), _big(body[1:3]), samples, turn),
        steps=steps,
        warnings=tuple(notes),
    )


def _bmp(data: bytes) -> RasterHeader:
    """Parse the header of a BMP.

    Raises:
        _BrokenHeaderError: If it is longer than the file.
    """
    header = int.from_bytes(data[14:18], "little")
    width = 2 if header == 12 else 4
    columns, rows = (
        int.from_bytes(data[at : at + width], "little", signed=width == 4)
        for at in (18, 18 + width)
    )
    declared = int.from_bytes(data[2:6], "little")
    starts = int.from_bytes(data[10:14], "little")
    if max(declared, starts) > len(data) or len(data) < 14 + header:
        msg = "it ends early"
        raise _BrokenHeaderError(msg)
    bits = int.from_bytes(data[18 + 2 * width + 2 : 18 + 2 * width + 4], "little")
    return RasterHeader("BMP", columns, abs(rows), 4 if bits == 32 else 3)


def _big(raw: bytes) -> int:
    """Return a big-endian number."""
    return int.from_bytes(raw, "big")
