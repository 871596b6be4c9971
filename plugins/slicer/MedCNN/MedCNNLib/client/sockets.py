"""A socket in steps: what it takes and gives at once, and never a wait for more."""

from __future__ import annotations

import http.client
import selectors
import ssl
import time
from typing import TYPE_CHECKING, Any

from MedCNNLib.client.steps import PIECE

if TYPE_CHECKING:
    import socket

    from MedCNNLib.client.steps import Steps

__all__ = ["ANSWER_SECONDS", "READ", "receiving", "sending", "until"]

ANSWER_SECONDS = 120.0
"""How long the other side may say nothing, where a call names no other time."""

READ = selectors.EVENT_READ
_WRITE = selectors.EVENT_WRITE


def sending(connection: socket.socket, body: Any, size: int) -> Steps:
    """Send a file as the other side takes it; ends early if it has answered already."""
    sent = 0
    while sent < size:
        piece = memoryview(body.read(PIECE))
        if not piece:
            return
        while piece:
            yield from until(connection, READ | _WRITE)
            if _is_ready(connection, READ):
                return
            try:
                count = connection.send(piece)
            except (BrokenPipeError, ConnectionResetError):
                return  # refused before all was sent: the answer may be there
            piece, sent = piece[count:], sent + count
            yield sent / size


def receiving(
    connection: socket.socket, response: http.client.HTTPResponse, into: Any
) -> Steps:
    """Write an answer's body to a file as it comes.

    Raises:
        IncompleteRead: If it is cut off.
    """
    whole, got = response.length, 0
    if whole is None:  # of no told length: such answers are short
        into.write(response.read())
        return
    while got < whole:
        # the first read empties the buffer of the head, the others ask the socket
        piece = response.read1(min(PIECE, whole - got))
        if not piece:
            cut_off = http.client.IncompleteRead(b"", whole - got)
            raise cut_off
        into.write(piece)
        got += len(piece)
        yield got / whole
        if got < whole:
            yield from until(connection, READ)


def until(
    connection: socket.socket, events: int, seconds: float | None = None
) -> Steps:
    """Wait for a socket, in steps that do not.

    Raises:
        TimeoutError: If it takes too long.
    """
    until = time.monotonic() + (seconds or ANSWER_SECONDS)
    while not _is_ready(connection, events):
        if time.monotonic() > until:
            message = "no answer"
            raise TimeoutError(message)
        yield None


def _is_ready(connection: socket.socket, events: int) -> bool:
    """Say whether a socket can be read or written at once."""
    is_read = bool(events & READ)
    if is_read and isinstance(connection, ssl.SSLSocket) and connection.pending():
        return True
    with selectors.DefaultSelector() as selector:
        selector.register(connection, events)
        return bool(selector.select(0))
