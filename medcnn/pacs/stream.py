"""What a sender's bytes may amount to, judged before any memory is taken for them.

pynetdicom reads a PDU of whatever length a sender announces, keeps a command of any
length in memory, and waits for the rest of a PDU for ever. Here each byte is looked at
as it arrives; a sender that goes beyond a bound is told by an A-ABORT and cut off.

References:
    [1] DICOM PS3.8 9.3: PDUs; annex D.1: the maximum length; annex E: fragments.
    [2] DICOM PS3.7 E.1: elements of commands.
"""

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["ABORT", "Bounds", "StreamError", "Watch"]

ABORT = bytes((7, 0, 0, 0, 0, 4, 0, 0, 2, 6))
"""A-ABORT-RQ: by the provider, for the value of a parameter."""

_HEAD = 6
_ASSOCIATE, _DATA, _LAST_KIND = 1, 4, 7
_COMMAND_FIELD, _DATA_SET_TYPE = (0x0000, 0x0100), (0x0000, 0x0800)
_STORE, _NO_DATA_SET = 0x0001, 0x0101
_ROOM_EVERY = 4 << 20


class StreamError(ConnectionAbortedError):
    """A sender went beyond a bound."""


@dataclass(frozen=True)
class Bounds:
    """What one connection may do.

    Attributes:
        pdu_bytes: Longest PDU of data, as it is negotiated.
        object_bytes: Longest object.
        has_room: Whether there is room on the disk for more of an object.
        request_bytes: Longest request of an association, and other PDU.
        command_bytes: Longest command.
        pdu_s: Seconds for one PDU from its first byte to its last.
    """

    pdu_bytes: int
    object_bytes: int
    has_room: Callable[[], bool] = lambda: True
    request_bytes: int = 1 << 20
    command_bytes: int = 1 << 16
    pdu_s: float = 60.0


@dataclass
class Watch:
    """Follows the bytes of one connection.

    Attributes:
        bounds: What it may do.
    """

    bounds: Bounds
    _head: bytearray = field(default_factory=bytearray)
    _kind: int = 0
    _left: int = 0
    _item_left: int = 0
    _control: int = 0
    _command: bytearray = field(default_factory=bytearray)
    _object: int = 0
    _has_data_set: bool = False
    _since: float | None = None

    def seconds_left(self) -> float:
        """Return how long the rest of the PDU may take.

        Raises:
            StreamError: If it took too long already.
        """
        if self._since is None:
            return self.bounds.pdu_s
        left = self._since + self.bounds.pdu_s - time.monotonic()
        if left <= 0:
            msg = "a PDU was not complete in time"
            raise StreamError(msg)
        return left

    def see(self, data: bytes) -> None:
        """Judge the next bytes, however they are cut.

        Raises:
            StreamError: If they go beyond a bound.
        """
        at = 0
        if data and self._since is None:
            self._since = time.monotonic()
        while at < len(data):
            if not self._left:
                at += self._fill(data, at)
                if len(self._head) == _HEAD:
                    self._start_pdu()
            elif self._kind == _DATA:
                at += self._see_fragment(data, at)
            else:
                at += self._pass(min(self._left, len(data) - at))
            if not self._left and not self._head:
                self._since = None

    def _fill(self, data: bytes, at: int) -> int:
        """Collect the head of a PDU or fragment; return how many bytes that took."""
        taken = data[at : at + _HEAD - len(self._head)]
        self._head += taken
        return len(taken)

    def _pass(self, count: int) -> int:
        """Count bytes of the PDU as seen."""
        self._left -= count
        return count

    def _start_pdu(self) -> None:
        """Judge the length that a PDU announces.

        Raises:
            StreamError: If it is none, or too long.
        """
        self._kind, _, length = struct.unpack(">BBL", self._head)
        self._head.clear()
        is_data = self._kind == _DATA
        most = self.bounds.pdu_bytes if is_data else self.bounds.request_bytes
        if not _ASSOCIATE <= self._kind <= _LAST_KIND or length > most:
            msg = f"a PDU of {length} bytes was announced, at most {most} may come"
            raise StreamError(msg)
        self._left = length

    def _see_fragment(self, data: bytes, at: int) -> int:
        """Judge bytes inside a PDU of data; return how many.

        Raises:
            StreamError: If a fragment does not fit its PDU, or is beyond a bound.
        """
        if self._item_left:
            count = min(self._item_left, len(data) - at)
            self._item_left -= count
            self._count(data[at : at + count])
            if not self._item_left:
                self._end_fragment()
            return self._pass(count)
        taken = self._pass(min(self._fill(data, at), self._left))
        if len(self._head) == _HEAD:
            length, _, self._control = struct.unpack(">LBB", self._head)
            self._head.clear()
            self._item_left = length - 2
            if not 0 <= self._item_left <= self._left:
                msg = "a fragment does not fit into its PDU"
                raise StreamError(msg)
            if not self._item_left:
                self._end_fragment()
        elif not self._left:
            msg = "a PDU ends within the head of a fragment"
            raise StreamError(msg)
        return taken

    def _count(self, part: bytes) -> None:
        """Add bytes to the command or the object.

        Raises:
            StreamError: If that is beyond a bound.
        """
        if self._control & 1:
            self._command += part
            if len(self._command) > self.bounds.command_bytes or self._has_data_set:
                msg = "a command is too long"
                raise StreamError(msg)
            return
        if not self._has_data_set:
            msg = "a data set came without a command that stores it"
            raise StreamError(msg)
        before, self._object = self._object, self._object + len(part)
        if self._object > self.bounds.object_bytes:
            msg = f"an object is larger than {self.bounds.object_bytes} bytes"
            raise StreamError(msg)
        steps = self._object // _ROOM_EVERY
        if steps > before // _ROOM_EVERY and not self.bounds.has_room():
            msg = "the disk is nearly full"
            raise StreamError(msg)

    def _end_fragment(self) -> None:
        """Take up what the last fragment of a command or object means.

        Raises:
            StreamError: If a data set comes with a command that stores nothing.
        """
        if not self._control & 2:
            return
        if self._control & 1:
            numbers = _numbers(bytes(self._command))
            self._has_data_set = numbers.get(_DATA_SET_TYPE) != _NO_DATA_SET
            if self._has_data_set and numbers.get(_COMMAND_FIELD) != _STORE:
                msg = "a command that is none of C-STORE has a data set"
                raise StreamError(msg)
        else:
            self._has_data_set = False
        self._object = 0
        self._command.clear()


def _numbers(command: bytes) -> dict[tuple[int, int], int]:
    """Return the 16-bit numbers of a command, which is Implicit VR Little Endian."""
    found = {}
    at = 0
    while at + 8 <= len(command):
        group, element, length = struct.unpack_from("<HHL", command, at)
        if length == 2 and at + 10 <= len(command):
            (found[group, element],) = struct.unpack_from("<H", command, at + 8)
        at += 8 + length
    return found
