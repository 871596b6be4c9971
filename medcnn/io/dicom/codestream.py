"""Size of a compressed frame as its own header declares it."""

__all__ = ["declared_size"]

_SOF_MARKERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_START_OF_SCAN = 0xDA


def declared_size(codestream: bytes) -> tuple[int, int] | None:
    """Return (rows, columns) that a JPEG, JPEG-LS or JPEG 2000 frame declares.

    Returns:
        None where the bytes are none of these, or end before they say it.

    References:
        [1] ITU-T T.81 B.2.2 (frame header), T.87 C.2.2, T.800 A.5.1 (SIZ).
    """
    if codestream[:4] == b"\xff\x4f\xff\x51":
        return _siz(codestream)
    if codestream[:2] == b"\xff\xd8":
        return _sof(codestream)
    return None


def _siz(codestream: bytes) -> tuple[int, int] | None:
    """Read the image area of a JPEG 2000 SIZ segment."""
    if len(codestream) < 24:
        return None
    right, bottom, left, top = (
        int.from_bytes(codestream[at : at + 4], "big") for at in (8, 12, 16, 20)
    )
    return bottom - top, right - left


def _sof(codestream: bytes) -> tuple[int, int] | None:
    """Walk the JPEG segments up to the frame header."""
    at = 2
    while at + 9 <= len(codestream):
        if codestream[at] != 0xFF:
            return None
        marker = codestream[at + 1]
        if marker in _SOF_MARKERS:
            rows = int.from_bytes(codestream[at + 5 : at + 7], "big")
            return rows, int.from_bytes(codestream[at + 7 : at + 9], "big")
        if marker == _START_OF_SCAN:
            return None
        if marker == 0xFF:
            at += 1
        elif marker in _STANDALONE:
            at += 2
        else:
            at += 2 + int.from_bytes(codestream[at + 2 : at + 4], "big")
    return None
