"""Folders to files, whatever lies in them."""

import os
import socket
import subprocess
import sys

import pytest

from medcnn import io
from medcnn.errors import ReadError

_COUNTING = """
import sys, tracemalloc
from medcnn import io

tracemalloc.start()
count = sum(1 for _ in io.discover([sys.argv[1]]))
print(count, tracemalloc.get_traced_memory()[1])
"""


def names(*paths):
    return [found.name for found in io.discover(paths)]


def touch(folder, *parts):
    for part in parts:
        path = folder / part
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_files_come_sorted_with_sub_folders_in_their_place(tmp_path):
    touch(tmp_path, "b.dcm", "a/2.dcm", "a/1.dcm", "c", "a.png")
    assert names(tmp_path) == ["a/1.dcm", "a/2.dcm", "a.png", "b.dcm", "c"]


def test_hidden_files_and_directories_of_media_are_skipped(tmp_path):
    touch(tmp_path, ".hidden", ".git/config", "DICOMDIR", "x/DICOMDIR", "x/a")
    touch(tmp_path, "Icon\r", "Desktop.ini", "x/thumbs.db", "__MACOSX/._a", "x/._a")
    assert names(tmp_path) == ["x/a"]


def test_a_named_file_is_itself_even_if_hidden(tmp_path):
    touch(tmp_path, ".hidden")
    assert names(tmp_path / ".hidden") == [".hidden"]


def test_several_paths_come_in_the_order_named(tmp_path):
    touch(tmp_path, "b/1", "a/2")
    assert names(tmp_path / "b", tmp_path / "a") == ["1", "2"]


def test_missing_path_is_refused_at_once(tmp_path):
    with pytest.raises(ReadError, match=r"nowhere does not exist"):
        io.discover([tmp_path, tmp_path / "nowhere"])


def test_loop_of_links_ends(tmp_path):
    touch(tmp_path, "a/1")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert names(tmp_path) == ["a/1"]


def test_linked_folder_is_entered_once(tmp_path):
    touch(tmp_path, "real/1")
    (tmp_path / "zlink").symlink_to(tmp_path / "real")
    assert names(tmp_path) == ["real/1"]


def test_dead_link_is_a_file_that_reading_refuses(tmp_path):
    (tmp_path / "dead").symlink_to(tmp_path / "gone")
    (found,) = io.discover([tmp_path])
    with pytest.raises(ReadError, match="does not exist"):
        io.load(found.path)


def test_special_files_are_refused_without_being_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.dcm")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket"))
    (tmp_path / "zero").symlink_to("/dev/zero")
    reasons = {}
    for found in io.discover([tmp_path]):
        with pytest.raises(ReadError) as caught:
            io.load(found.path)
        reasons[found.name] = caught.value.message
    server.close()
    assert "a named pipe" in reasons["pipe.dcm"]
    assert "a socket" in reasons["socket"]
    assert "a device" in reasons["zero"]


def test_names_of_any_bytes_are_found_and_can_be_shown(tmp_path):
    for raw in (b"new\nline", b"\xff\xfe", b"x" * 255):
        (tmp_path / os.fsdecode(raw)).write_bytes(b"not an image")
    found = list(io.discover([tmp_path]))
    assert len(found) == 3
    for one in found:
        with pytest.raises(ReadError) as caught:
            io.load(one.path)
        caught.value.message.encode("utf-8")
        assert "\n" not in caught.value.message


def test_folder_named_like_a_file_is_a_folder(tmp_path):
    touch(tmp_path, "x.dcm/1")
    assert names(tmp_path) == ["x.dcm/1"]


def test_unreadable_folder_is_a_problem_not_an_exception(tmp_path, monkeypatch):
    touch(tmp_path, "a/1", "locked/2", "z")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = list(io.discover([tmp_path]))
    assert [one.name for one in found] == ["a/1", "locked", "z"]
    assert found[1].problem == "the folder cannot be read: Permission denied"
    assert found[0].problem == found[2].problem == ""


def test_ten_thousand_names_need_little_memory(tmp_path):
    for number in range(10_000):
        (tmp_path / f"{number:05d}.dcm").touch()
    # in a process of its own: a thread that an earlier test left takes memory, too
    command = [sys.executable, "-c", _COUNTING, str(tmp_path)]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    count, peak = map(int, told.stdout.split())
    assert count == 10_000
    assert peak < 5_000_000


def test_a_link_to_nothing_is_told_as_such(tmp_path):
    (tmp_path / "dead.dcm").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ReadError, match=r"dead\.dcm is a link to something"):
        io.load(tmp_path / "dead.dcm")


def test_a_folder_to_stay_out_of_is_not_entered_by_any_way(tmp_path):
    touch(tmp_path, "films/1", "out/thumbnails/x.jpg", "out/films/2")
    (tmp_path / "films/results").symlink_to(tmp_path / "out")
    apart = {"apart_from": tmp_path / "films" / "results"}
    assert [f.name for f in io.discover([tmp_path], **apart)] == ["films/1"]
    assert not list(io.discover([tmp_path / "out"], **apart))
    assert [f.name for f in io.discover([tmp_path / "out/films"], **apart)] == ["2"]
    none = {"apart_from": tmp_path / "not yet there"}
    assert len(list(io.discover([tmp_path / "films"], **none))) == 3
