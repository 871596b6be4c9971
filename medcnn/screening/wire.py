"""What travels between the screening process and its reader processes.

Readers work on files that may be hostile, so their answers are plain data (JSON, pixels
and JPEG bytes), never pickles: nothing in them can be executed.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from medcnn.image import Identity

__all__ = [
    "Failure",
    "Grid",
    "Reading",
    "receive",
    "receive_bytes",
    "send",
    "send_bytes",
]

_SIZES = struct.Struct("<IIQ")
_SIZE = struct.Struct("<I")
_MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class Failure:
    """Why a file gave no image.

    Attributes:
        stage: "open", "format", "header", "decode" or "geometry" as `ReadError` says;
            "prepare", "memory", "timeout" or "crash" for what happened after.
        error: What was wrong, in a sentence.
        hint: What to do; empty if nothing can be.
    """

    stage: str
    error: str
    hint: str = ""


@dataclass(frozen=True)
class Grid:
    """Where a stack of small pictures lies.

    Attributes:
        shape: (columns, rows, pictures).
        from_tensor: (4, 4) by rows, from tensor (column, row, slice, 1) to stack
            (column, row, picture, 1).
    """

    shape: tuple[int, int, int]
    from_tensor: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Reading:
    """What a reader process found in one file.

    Attributes:
        identity: patient_id, study_uid, series_uid, sop_uid as the file says.
        failure: Why it gave no image; None if it did.
        reason: Why it is out of the model's scope; empty if it is not.
        pictures: Small JPEG pictures, one for a 2-D image, several slices of a volume.
        grid: Where they lie; None without a tensor.
        tensor: What the network sees; None after a failure or out of scope.
    """

    identity: Mapping[str, str | None] = field(default_factory=dict)
    failure: Failure | None = None
    reason: str = ""
    pictures: tuple[bytes, ...] = ()
    grid: Grid | None = None
    tensor: npt.NDArray[np.float32] | None = None


def send_bytes(channel: IO[bytes], content: bytes) -> None:
    """Send a short message.

    Raises:
        OSError: If the other side is gone.
    """
    channel.write(_SIZE.pack(len(content)) + content)
    channel.flush()


def receive_bytes(channel: IO[bytes]) -> bytes:
    """Receive a short message.

    Raises:
        EOFError: If the other side is gone.
    """
    (size,) = _SIZE.unpack(_exactly(channel, _SIZE.size))
    return bytes(_exactly(channel, size))


def send(channel: IO[bytes], reading: Reading) -> None:
    """Send what was found in one file.

    Raises:
        OSError: If the other side is gone.
    """
    header: dict[str, Any] = {
        "identity": dict(reading.identity),
        "failure": None if reading.failure is None else asdict(reading.failure),
        "reason": reading.reason,
        "pictures": [len(picture) for picture in reading.pictures],
        "grid": None if reading.grid is None else asdict(reading.grid),
        "shape": None if reading.tensor is None else reading.tensor.shape,
    }
    text = json.dumps(header).encode()
    pixels = memoryview(b"")
    if reading.tensor is not None:
        pixels = np.ascontiguousarray(reading.tensor, "<f4").data.cast("B")
    pictures = b"".join(reading.pictures)
    channel.write(_SIZES.pack(len(text), len(pictures), pixels.nbytes))
    channel.write(text)
    channel.write(pictures)
    channel.write(pixels)
    channel.flush()


def receive(channel: IO[bytes]) -> Reading:
    """Receive what was found in one file.

    Raises:
        EOFError: If the other side is gone.
        ValueError: If it sends what `send` would not.
    """
    sizes = _SIZES.unpack(_exactly(channel, _SIZES.size))
    if max(sizes) > _MOST_BYTES:
        msg = f"a message of {sizes} bytes"
        raise ValueError(msg)
    text, pictures, pixels = (_exactly(channel, size) for size in sizes)
    try:
        return _reading(json.loads(text), pictures, pixels)
    except (AttributeError, KeyError, TypeError) as error:
        msg = "a message of another form"
        raise ValueError(msg) from error


def _reading(header: Any, pictures: bytearray, pixels: bytearray) -> Reading:
    """Put the parts of a message together."""
    failure, grid, shape = header["failure"], header["grid"], header["shape"]
    tensor = None
    if shape is not None:
        tensor = (
            np.frombuffer(pixels, "<f4").reshape(shape).astype(np.float32, copy=False)
        )
    ends = np.cumsum([0, *header["pictures"]])
    return Reading(
        identity=asdict(Identity(**header["identity"])),
        failure=None if failure is None else Failure(**failure),
        reason=header["reason"],
        pictures=tuple(bytes(pictures[start:end]) for start, end in pairwise(ends)),
        grid=None if grid is None else _grid(grid),
        tensor=tensor,
    )


def _grid(parts: Mapping[str, Any]) -> Grid:
    columns, rows, pictures = parts["shape"]
    return Grid((columns, rows, pictures), tuple(parts["from_tensor"]))


def _exactly(channel: IO[bytes], size: int) -> bytearray:
    """Read that many bytes into memory that may be written to.

    Raises:
        EOFError: If fewer come.
    """
    buffer = bytearray(size)
    view = memoryview(buffer)
    have = 0
    while have < size:
        got = channel.readinto(view[have:])  # type: ignore[attr-defined]
        if not got:
            raise EOFError
        have += got
    return buffer
