"""Only regular files are opened, and none takes more memory than it has bytes."""

import os
import tracemalloc

import pytest

from medcnn.errors import ReadError
from medcnn.io.regular import open_regular


def test_what_would_block_or_never_end_is_refused_when_it_is_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero", "."):
        with pytest.raises(ReadError, match="not a regular file"):
            open_regular(tmp_path / name)
    with pytest.raises(OSError, match="No such file"):
        open_regular(tmp_path / "nothing")


@pytest.mark.parametrize("size", [0, 5, 200_000])
def test_a_file_is_read_as_always(tmp_path, size):
    content = os.urandom(size)
    (tmp_path / "a").write_bytes(content)
    with open_regular(tmp_path / "a") as file:
        assert file.read(3) == content[:3]
        assert file.read() == content[3:]
        assert file.read(1 << 20) == b""
        file.seek(1)
        assert file.read(None) == content[1:]
        file.seek(size + 100_000)
        assert file.read(1 << 20) == b""


def test_asking_for_more_than_there_is_takes_no_memory_for_it(tmp_path):
    (tmp_path / "a").write_bytes(bytes(1000))
    with open_regular(tmp_path / "a") as file:
        tracemalloc.start()
        try:
            assert file.read(1 << 32) == bytes(1000)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 1 << 20
