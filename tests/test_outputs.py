"""Files appear whole or not at all, and a sentence says why not."""

import errno
import os

import pytest

from medcnn.errors import OutputError
from medcnn.outputs import cannot_write, make_folder, whole_file, write_whole


def test_a_file_appears_only_when_it_is_complete(tmp_path):
    target = tmp_path / "a.csv"
    with whole_file(target) as file:
        file.write(b"half")
        assert not target.exists()
    assert target.read_bytes() == b"half"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "a.csv"
    write_whole(target, b"old")
    with pytest.raises(ZeroDivisionError), whole_file(target) as file:
        file.write(b"new" + bytes(1 // 0))
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_file_in_place_of_a_folder_is_said_so(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="a file is where a folder is needed"):
        make_folder(tmp_path / "out")
    with pytest.raises(OutputError, match="a file is where a folder is needed"):
        make_folder(tmp_path / "out" / "deeper")
    assert (tmp_path / "out").read_text() == "mine"


def test_a_folder_in_place_of_a_file_is_said_so(tmp_path):
    (tmp_path / "a.csv" / "full").mkdir(parents=True)
    with pytest.raises(OutputError, match="a folder is where a file is needed"):
        write_whole(tmp_path / "a.csv", b"")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EACCES, "this user may not write there"),
        (errno.ENOTTY, "Inappropriate ioctl"),
    ],
)
def test_each_reason_is_a_sentence_with_the_place_and_what_to_do(
    tmp_path, number, words
):
    told = cannot_write(tmp_path, OSError(number, os.strerror(number)))
    assert words in told.message
    assert str(tmp_path) in told.message
    assert told.hint


def test_a_name_that_is_too_long_is_told_as_such(tmp_path):
    with pytest.raises(OutputError, match="the name is too long"):
        write_whole(tmp_path / ("a" * 253), b"")
