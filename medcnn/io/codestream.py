"""What the header of a compressed frame says: size, bits, colour, resolution levels."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Codestream", "bare_codestream", "declared_size", "read_codestream"]

_SOF_MARKERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_DCT_MARKERS = {0xC0, 0xC1, 0xC2}
_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_START_OF_SCAN = 0xDA
_APP0, _APP14 = 0xE0, 0xEE
_SIZ = b"\xff\x4f\xff\x51"
_JP2_SIGNATURE = b"\0\0\0\x0cjP  "
_COD, _SOT = 0xFF52, 0xFF90
_RGB_IDS = {(82, 71, 66), (114, 103, 98)}


@dataclass(frozen=True)
class Codestream:
    """What the header of one frame declares.

    Attributes:
        rows: Number of rows.
        columns: Number of columns.
        components: Samples of one pixel.
        bits: Precision of a sample.
        is_signed: Whether samples are signed, which only JPEG 2000 can say.
        is_dct: Whether it is a JPEG of cosine transforms, lossy by nature.
        is_ybr: What a JPEG says about its colours: True YCbCr, False RGB, None nothing.
        is_transformed: Whether JPEG 2000 turned RGB into luminance and differences.
        is_at_origin: Whether JPEG 2000's picture starts at its reference grid's origin,
            all components at full resolution.
        levels: How often JPEG 2000 halved the resolution, 0 for the others.
        is_reversible: Whether JPEG 2000 used its lossless wavelets, the 5/3 ones.
    """

    rows: int
    columns: int
    components: int
    bits: int
    is_signed: bool = False
    is_dct: bool = False
    is_ybr: bool | None = None
    is_transformed: bool = False
    is_at_origin: bool = True
    levels: int = 0
    is_reversible: bool = False


def read_codestream(frame: bytes) -> Codestream | None:
    """Read the header of a JPEG, JPEG-LS or JPEG 2000 frame.

    Returns:
        None where the bytes are none of these, or end before they say it.

    References:
        [1] ITU-T T.81 B.2.2 (frame header), T.87 C.2.2, T.800 A.5.1 (SIZ), A.6.1 (COD);
            T.872 (Adobe and JFIF application segments).
    """
    try:
        if frame[:4] == _SIZ:
            return _jpeg_2000(frame)
        if frame[:2] == b"\xff\xd8":
            return _jpeg(frame)
    except (struct.error, IndexError, ValueError):
        return None
    return None


def declared_size(frame: bytes) -> tuple[int, int] | None:
    """Return (rows, columns) that a frame declares, or None if it does not say."""
    found = read_codestream(frame)
    return None if found is None else (found.rows, found.columns)


def bare_codestream(frame: bytes) -> bytes:
    """Return a JPEG 2000 codestream without the boxes of a JP2 file around it.

    PS3.5 A.4.4 wants the bare codestream; some writers embed the whole file.

    References:
        [1] ITU-T T.800 I.4, boxes.
    """
    if not frame.startswith(_JP2_SIGNATURE):
        return frame
    at = 0
    while at + 16 <= len(frame):
        size, kind = struct.unpack_from(">I4s", frame, at)
        head = 16 if size == 1 else 8
        if size == 1:
            size = struct.unpack_from(">Q", frame, at + 8)[0]
        end = at + size if size else len(frame)
        if kind == b"jp2c":
            return frame[at + head : end]
        if end <= at:
            break
        at = end
    return frame


def _jpeg_2000(frame: bytes) -> Codestream:
    """Read the main header of a JPEG 2000 codestream."""
    right, bottom, left, top = struct.unpack_from(">4I", frame, 8)
    components = struct.unpack_from(">H", frame, 40)[0]
    depths = {frame[42 + 3 * n] for n in range(components)}
    steps = {frame[42 + 3 * n + m] for n in range(components) for m in (1, 2)}
    levels, is_transformed, is_reversible = 0, False, False
    for marker, at, _ in _segments_2000(frame):
        if marker == _COD:
            is_transformed, levels = bool(frame[at + 8]), frame[at + 9]
            is_reversible = frame[at + 13] == 1
    depth = max(depths, key=lambda bits: bits & 0x7F)
    return Codestream(
        rows=bottom - top,
        columns=right - left,
        components=components,
        bits=(depth & 0x7F) + 1,
        is_signed=any(bits & 0x80 for bits in depths),
        is_transformed=is_transformed,
        is_at_origin=left == top == 0 and steps == {1},
        levels=levels,
        is_reversible=is_reversible,
    )


def _segments_2000(frame: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, where, length) of the main header's segments."""
    at = 2
    while at + 4 <= len(frame):
        marker, length = struct.unpack_from(">HH", frame, at)
        if marker == _SOT or length < 2:
            return
        yield marker, at, length
        at += 2 + length


def _jpeg(frame: bytes) -> Codestream | None:
    """Walk the JPEG segments up to the frame header."""
    is_ybr: bool | None = None
    for marker, at in _segments(frame):
        if marker == _APP0 and frame[at + 4 : at + 8] == b"JFIF":
            is_ybr = True
        elif marker == _APP14 and frame[at + 4 : at + 9] == b"Adobe":
            is_ybr = frame[at + 15] != 0
        elif marker in _SOF_MARKERS:
            bits, rows, columns, count = struct.unpack_from(">BHHB", frame, at + 4)
            names = tuple(frame[at + 10 + 3 * n] for n in range(count))
            return Codestream(
                rows=rows,
                columns=columns,
                components=count,
                bits=bits,
                is_dct=marker in _DCT_MARKERS,
                is_ybr=False if names in _RGB_IDS else is_ybr,
            )
    return None


def _segments(frame: bytes) -> Iterator[tuple[int, int]]:
    """Yield (marker, where) of JPEG segments until the first scan."""
    at = 2
    while at + 4 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == _START_OF_SCAN:
            return
        if marker == 0xFF:
            at += 1
        elif marker in _STANDALONE:
            at += 2
        else:
            yield marker, at
            at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
