"""The training's history for TensorBoard, written without it.

A file of events is a row of records: length, checksum of the length, content, checksum
of the content. The content is a protocol buffer with the time, the step and some named
numbers; so little of that format is needed that it is written out here.

References:
    [1] TensorFlow: tensorflow/core/lib/io/record_writer.h (records, masked CRC-32C),
        tensorflow/core/util/event.proto and framework/summary.proto (field numbers).
"""

import struct
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from medcnn.errors import OutputError

__all__ = ["append_events"]

_NAME = "events.out.tfevents.0.medcnn"
_POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reversed


def append_events(folder: Path, row: Mapping[str, float | None]) -> None:
    """Append one epoch's numbers to the folder's file of events.

    Args:
        folder: Where it goes; `tensorboard --logdir` finds it there.
        row: Numbers by name, "epoch" among them.

    Raises:
        OutputError: If the disk refuses.
    """
    path = folder / _NAME
    summary = b"".join(
        _field(1, _field(1, name.encode()) + b"\x15" + struct.pack("<f", value))
        for name, value in row.items()
        if name != "epoch" and value is not None
    )
    step = b"\x10" + _varint(int(row["epoch"] or 0))
    event = _time() + step + _field(5, summary)
    records = _record(event)
    try:
        if not path.exists():
            records = _record(_time() + _field(3, b"brain.Event:2")) + records
        with path.open("ab", buffering=0) as file:
            file.write(records)  # one call: a kill leaves all of it or nothing
    except OSError as error:
        msg = f"the training's events cannot be written to {folder}: {error}"
        raise OutputError(msg) from error


def _time() -> bytes:
    return b"\x09" + struct.pack("<d", time.time())


def _field(number: int, content: bytes) -> bytes:
    """Return a field of bytes: key, length, content."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Return an integer, seven bits a byte, lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    sums = [struct.pack("<I", _masked(part)) for part in (length, content)]
    return length + sums[0] + content + sums[1]


def _masked(content: bytes) -> int:
    """Return the checksum as records carry it: turned, and a constant added."""
    table = _table()
    value = 0xFFFFFFFF
    for byte in content:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    """Return the CRC-32C of every byte."""
    found = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        found.append(value)
    return tuple(found)
