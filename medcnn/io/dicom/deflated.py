"""The deflated transfer syntax, in which a small file can hide a huge one."""

import io
import zlib
from pathlib import Path
from typing import BinaryIO

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from medcnn.errors import DecodeError
from medcnn.io.dicom.structure import Start

__all__ = [
    "DEFLATED",
    "HEAD_BYTES",
    "MAX_INFLATED_BYTES",
    "inflated",
    "is_deflated",
]

DEFLATED = DeflatedExplicitVRLittleEndian.encode()
"""What the head of a deflated file contains."""

HEAD_BYTES = 4096
"""Within how many bytes of the start the transfer syntax lies."""

MAX_INFLATED_BYTES = 2**30
"""Largest data set that is inflated."""

_PACKED_CHUNK, _CHUNK = 2**16, 2**20


def is_deflated(start: Start) -> bool:
    """Say whether a data set is of the deflated transfer syntax."""
    return start.syntax == DeflatedExplicitVRLittleEndian


def inflated(file: BinaryIO, start: Start, path: Path) -> BinaryIO:
    """Inflate a file once, in small pieces, into one that says it is not deflated.

    Args:
        file: The open file; its position is changed.
        start: Where its data set begins.
        path: Where it is, for the error.

    Returns:
        The same file in memory, as explicit VR little endian.

    Raises:
        DecodeError: If it inflates to more than MAX_INFLATED_BYTES, or is cut off.

    References:
        [1] DICOM PS3.10 7.1, File Meta Information; PS3.5 A.5, deflate.
    """
    file.seek(0)
    head = bytearray(file.read(start.offset))
    end = start.syntax_at + len(DeflatedExplicitVRLittleEndian)
    head[start.syntax_at : end] = ExplicitVRLittleEndian.encode().ljust(
        end - start.syntax_at, b"\0"
    )
    whole = io.BytesIO()
    whole.write(head)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    # what follows the end of the stream, such as a byte of padding, stays unconsumed
    while not inflater.eof:
        packed = inflater.unconsumed_tail or file.read(_PACKED_CHUNK)
        whole.write(inflater.decompress(packed, _CHUNK))
        if whole.tell() > MAX_INFLATED_BYTES:
            msg = f"its data set inflates to more than {MAX_INFLATED_BYTES} bytes."
            raise DecodeError(msg, path=path, hint="It is broken or hostile.")
        if not packed and not inflater.eof:
            msg = "its deflated data set is cut off."
            raise DecodeError(msg, path=path, hint="Copy it again.")
    whole.seek(0)
    return whole
