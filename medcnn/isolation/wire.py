"""What travels between a process and its workers.

Workers read files that may be hostile, so what they send is plain data (JSON and raw
bytes), never pickles: nothing in it can be executed.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, Any

import numpy as np

__all__ = [
    "FOLDER_PREFIX",
    "Buffer",
    "Failure",
    "Kind",
    "Message",
    "receive",
    "receive_bytes",
    "send",
    "send_bytes",
]

Buffer = bytes | bytearray | memoryview

FOLDER_PREFIX = "medcnn-unpacked-"
"""How the temporary folder of a worker is called."""

_SIZE = struct.Struct("<I")
_PARTS = struct.Struct("<II")
_MOST_PARTS = 1 << 16


class Kind(StrEnum):
    """What a message is to its request."""

    ANSWER = "answer"
    """The last one; the request is done."""
    PIECE = "piece"
    """A part of the answer; more follows, and the clock starts again."""
    BEAT = "beat"
    """Which file is opened now; the clock starts again."""
    FAILURE = "failure"
    """There is no answer, for this reason."""


@dataclass(frozen=True, eq=False)
class Message:
    """Facts that fit into JSON, and buffers that would not.

    Attributes:
        facts: JSON values.
        parts: Raw bytes, such as pixels, in an order that `facts` tells.
    """

    facts: Mapping[str, Any]
    parts: Sequence[Buffer] = ()


@dataclass(frozen=True)
class Failure:
    """Why a file gave no image.

    Attributes:
        stage: "open", "format", "header", "decode" or "geometry" as `ReadError` says;
            "prepare", "memory", "timeout" or "crash" for what happened after.
        error: What was wrong, in a sentence.
        hint: What to do; empty if nothing can be.
        at: The file that was open last, if the worker told.
        opening: How often it had been opened by then.
    """

    stage: str
    error: str
    hint: str = ""
    at: str = ""
    opening: int = 0


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


def send(channel: IO[bytes], kind: Kind, message: Message) -> None:
    """Send a message; the parts are written as they lie in memory.

    Raises:
        OSError: If the other side is gone.
    """
    text = json.dumps({"kind": kind, "facts": dict(message.facts)}).encode()
    views = [memoryview(part).cast("B") for part in message.parts]
    sizes = struct.pack(f"<{len(views)}Q", *(view.nbytes for view in views))
    channel.write(_PARTS.pack(len(text), len(views)) + sizes + text)
    for view in views:
        channel.write(view)
    channel.flush()


def receive(channel: IO[bytes], most_bytes: int) -> tuple[Kind, Message]:
    """Receive a message.

    Args:
        channel: Where it comes from.
        most_bytes: Largest message that is taken.

    Raises:
        EOFError: If the other side is gone.
        ValueError: If it sends what `send` would not, or too much.
    """
    length, count = _PARTS.unpack(_exactly(channel, _PARTS.size))
    if count > _MOST_PARTS:
        msg = f"a message of {count} parts"
        raise ValueError(msg)
    sizes = struct.unpack(f"<{count}Q", _exactly(channel, 8 * count))
    if length + sum(sizes) > most_bytes:
        msg = f"a message of {length + sum(sizes)} bytes"
        raise ValueError(msg)
    head = json.loads(bytes(_exactly(channel, length)))
    parts = tuple(_exactly(channel, size) for size in sizes)
    try:
        return Kind(head["kind"]), Message(dict(head["facts"]), parts)
    except (KeyError, TypeError) as error:
        msg = "a message of another form"
        raise ValueError(msg) from error


def _exactly(channel: IO[bytes], size: int) -> memoryview:
    """Read that many bytes into memory that may be written to.

    Raises:
        EOFError: If fewer come.
    """
    view = np.empty(size, np.uint8).data  # a bytearray would be filled with zeros
    have = 0
    while have < size:
        got = channel.readinto(view[have:])  # type: ignore[attr-defined]
        if not got:
            raise EOFError
        have += got
    return view
