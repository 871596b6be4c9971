"""medcnn.training.events: what TensorBoard reads."""

import struct

import pytest

from medcnn.errors import OutputError
from medcnn.training.events import append_events

NAME = "events.out.tfevents.0.medcnn"


def crc32c(content):
    """Bit by bit, as RFC 3720 B.4 describes it."""
    value = 0xFFFFFFFF
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 * (value & 1))
    return value ^ 0xFFFFFFFF


def masked(content):
    value = crc32c(content)
    return (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def records(content):
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        assert struct.unpack("<I", content[8:12])[0] == masked(content[:8])
        body = content[12 : 12 + length]
        tail = content[12 + length : 16 + length]
        assert struct.unpack("<I", tail)[0] == masked(body)
        yield body
        content = content[16 + length :]


def test_the_checksum_is_castagnolis():
    assert crc32c(b"123456789") == 0xE3069283  # the polynomial's known answer


def test_records_are_whole_and_tell_numbers_by_name(tmp_path):
    append_events(tmp_path, {"epoch": 1, "val_auc": 0.5, "train_auc": None})
    append_events(tmp_path, {"epoch": 200, "val_auc": 0.75, "train_auc": 1.0})
    version, first, second = records((tmp_path / NAME).read_bytes())
    assert version[9:] == b"\x1a\x0dbrain.Event:2"
    assert first[9:11] == b"\x10\x01"
    assert b"\x0a\x07val_auc\x15" + struct.pack("<f", 0.5) in first
    assert b"train_auc" not in first
    assert second[9:12] == b"\x10\xc8\x01"
    assert b"\x0a\x09train_auc\x15" + struct.pack("<f", 1.0) in second


def test_tensorboard_reads_them(tmp_path):
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard is not installed",
    )
    for epoch in range(1, 4):
        append_events(tmp_path, {"epoch": epoch, "val_auc": epoch / 4})
    found = reader.EventAccumulator(str(tmp_path))
    found.Reload()
    told = [(one.step, one.value) for one in found.Scalars("val_auc")]
    assert told == [(1, 0.25), (2, 0.5), (3, 0.75)]


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(OutputError, match="events cannot be written"):
        append_events(tmp_path / "none", {"epoch": 1})
