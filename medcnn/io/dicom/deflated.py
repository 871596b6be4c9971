"""The deflated transfer syntax, in which a small file can hide a huge one."""

import zlib
from pathlib import Path
from typing import BinaryIO

from pydicom.uid import DeflatedExplicitVRLittleEndian

from medcnn.errors import DecodeError

__all__ = ["DEFLATED", "HEAD_BYTES", "MAX_INFLATED_BYTES", "check_inflated_size"]

DEFLATED = DeflatedExplicitVRLittleEndian.encode()
"""What the head of a deflated file contains."""

HEAD_BYTES = 4096
"""Within how many bytes of the start the transfer syntax lies."""

MAX_INFLATED_BYTES = 2**30
"""Largest data set that is inflated."""

_CHUNK = 2**20
_GROUP_LENGTH = b"\x02\0\0\0UL\x04\0"
_META_START = 144


def check_inflated_size(file: BinaryIO, path: Path) -> None:
    """Inflate a file in small pieces, keeping none, and refuse one that never ends.

    Args:
        file: The open file; its position is changed.
        path: Where it is, for the error.

    Raises:
        DecodeError: If it inflates to more than MAX_INFLATED_BYTES, or does not say
            where its deflated part begins.

    References:
        [1] DICOM PS3.10 7.1, File Meta Information; PS3.5 A.5, deflate.
    """
    file.seek(0)
    head = file.read(_META_START)
    if head[132:140] != _GROUP_LENGTH:
        msg = "it is deflated, but lacks (0002,0000) File Meta Group Length."
        raise DecodeError(msg, path=path)
    file.seek(_META_START + int.from_bytes(head[140:144], "little"))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    total = 0
    # what follows the end of the stream, such as a byte of padding, stays unconsumed
    while not inflater.eof and (
        packed := inflater.unconsumed_tail or file.read(_CHUNK)
    ):
        total += len(inflater.decompress(packed, _CHUNK))
        if total > MAX_INFLATED_BYTES:
            msg = f"its data set inflates to more than {MAX_INFLATED_BYTES} bytes."
            raise DecodeError(msg, path=path, hint="It is broken or hostile.")
