"""The private image header of Siemens MR: named values in (0029,1010).

Only its second form, which begins with SV10, is read.

References:
    [1] nibabel.org/nipy/nibabel, doc/source/dicom/siemens_csa.rst (the layout).
"""

import struct

from pydicom.dataset import Dataset

__all__ = ["csa_values"]

_CREATOR = "SIEMENS CSA HEADER"
_START = 16
_TAG = struct.Struct("<64si4s3i")
_ITEM = struct.Struct("<4i")
_MAX_TAGS = 1024
_MAX_ITEMS = 1024


def csa_values(dataset: Dataset, *names: str) -> dict[str, tuple[str, ...]]:
    """Return named values of the CSA image header as text; absent ones are left out.

    Args:
        dataset: The header.
        names: Which values are wanted, such as "SliceNormalVector".
    """
    try:
        raw = dataset.private_block(0x0029, _CREATOR)[0x10].value
    except (KeyError, ValueError):
        return {}
    if not isinstance(raw, bytes) or raw[:4] != b"SV10":
        return {}
    try:
        return _read(raw, frozenset(names))
    except struct.error:
        return {}


def _read(raw: bytes, wanted: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Walk over the tags.

    Raises:
        struct.error: If it ends too early.
    """
    (count,) = struct.unpack_from("<I", raw, 8)
    at, found = _START, {}
    for _ in range(min(count, _MAX_TAGS)):
        name, _, _, _, items, _ = _TAG.unpack_from(raw, at)
        at += _TAG.size
        values = []
        for _ in range(min(max(items, 0), _MAX_ITEMS)):
            length = _ITEM.unpack_from(raw, at)[1]
            if length < 0:
                msg = "negative length"
                raise struct.error(msg)
            at += _ITEM.size
            values.append(_words(raw[at : at + length]))
            at += length + -length % 4
        key = _words(name)
        if key in wanted:
            found[key] = tuple(value for value in values if value)
    return found


def _words(raw: bytes) -> str:
    """Return the text before the first zero byte."""
    return raw.split(b"\0", 1)[0].decode("latin-1").strip()
