"""What a connection may do, byte by byte; the messages are pynetdicom's own."""

import struct
from io import BytesIO

import pytest
from pynetdicom.dimse_messages import C_ECHO_RQ, C_FIND_RQ, C_STORE_RQ
from pynetdicom.dimse_primitives import C_ECHO, C_FIND, C_STORE
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.sop_class import ComputedRadiographyImageStorage

from medcnn.pacs.stream import Bounds, StreamError, Watch

ECHO, STORE, FIND = (C_ECHO, C_ECHO_RQ), (C_STORE, C_STORE_RQ), (C_FIND, C_FIND_RQ)


def encoded(kind, data=b"", *, length=1 << 14):
    """A message as pynetdicom sends it, in PDUs of at most so many bytes."""
    primitive = kind[0]()
    primitive.MessageID, primitive.Priority = 1, 2
    primitive.AffectedSOPClassUID = ComputedRadiographyImageStorage
    if kind is STORE:
        primitive.AffectedSOPInstanceUID = "1.2.3"
        primitive.DataSet = BytesIO(data)
    elif kind is FIND:
        primitive.Identifier = BytesIO(data)
    message = kind[1]()
    message.primitive_to_message(primitive)
    pdus = []
    for part in message.encode_msg(1, length):
        pdu = P_DATA_TF()
        pdu.from_primitive(part)
        pdus.append(pdu.encode())
    return b"".join(pdus)


def fragment(control, data):
    """A PDU with one fragment."""
    body = struct.pack(">LBB", len(data) + 2, 1, control) + data
    return struct.pack(">BBL", 4, 0, len(body)) + body


def feed(watch, stream, size):
    for at in range(0, len(stream), size):
        watch.see(stream[at : at + size])


@pytest.mark.parametrize("size", [1, 2, 5, 6, 7, 13, 4096, 1 << 20])
def test_what_a_sender_may_send_passes_however_it_is_cut(size):
    stream = (encoded(ECHO) + encoded(STORE, bytes(50_000), length=999)) * 3
    stream += struct.pack(">BBLL", 5, 0, 4, 0)  # release
    watch = Watch(Bounds(pdu_bytes=1 << 14, object_bytes=50_000))
    feed(watch, stream, size)
    assert watch.seconds_left() == pytest.approx(60)


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (b"\x04\x00" + struct.pack(">L", 16385), "16385 bytes was announced"),
        (b"\x01\x00\xff\xff\xff\xff", "4294967295 bytes was announced"),
        (b"\x09\x00\x00\x00\x00\x04", "was announced"),
        (fragment(1, bytes(9000)) * 8, "command is too long"),
        (fragment(0, b"12"), "without a command"),
        (encoded(STORE, bytes(50_002)), "larger than 50000"),
        (encoded(FIND, bytes(20)), "none of C-STORE"),
        (encoded(STORE, b"12")[:-14] + fragment(3, b"1234"), "command is too long"),
        (struct.pack(">BBLLBB", 4, 0, 10, 999, 1, 0), "does not fit"),
        (struct.pack(">BBLLBB", 4, 0, 10, 1, 1, 0), "does not fit"),
        (struct.pack(">BBL", 4, 0, 3) + b"123", "ends within"),
    ],
)
def test_what_goes_beyond_a_bound_is_refused(stream, said):
    for size in (1, len(stream)):
        watch = Watch(Bounds(pdu_bytes=1 << 14, object_bytes=50_000))
        with pytest.raises(StreamError, match=said):
            feed(watch, stream, size)


def test_a_disk_that_gets_full_is_noticed_while_an_object_comes():
    watch = Watch(Bounds(1 << 17, 1 << 30, has_room=lambda: False))
    stream = encoded(STORE, bytes(5 << 20), length=1 << 17)
    watch.see(stream[: 3 << 20])
    with pytest.raises(StreamError, match="disk is nearly full"):
        watch.see(stream[3 << 20 :])


def test_a_pdu_must_be_complete_in_time():
    watch = Watch(Bounds(1 << 14, 1 << 20, pdu_s=0.0))
    watch.see(b"\x04")
    with pytest.raises(StreamError, match="not complete in time"):
        watch.seconds_left()
