"""medcnn.training.cache: decoded once, as preprocessing makes it."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from trainings import write_blobs

from medcnn.dataset import content_hashes, read_cases
from medcnn.errors import DataError
from medcnn.planning.sections import Input
from medcnn.training.cache import build_cache


def test_the_cache_holds_what_preprocessing_makes_and_is_made_once(tmp_path):
    table = read_cases(write_blobs(tmp_path, count=6), labels=["blob"])
    spec = Input(shape=(20, 24), fit="stretch", cache_bits=16)
    hashes = content_hashes(table)
    made: list[int] = []
    pixels, _looks = build_cache(table, hashes, spec, tmp_path / "c", tick=made.append)
    assert (pixels.shape, pixels.dtype, sum(made)) == ((6, 1, 20, 24), np.uint16, 6)
    picture = cv2.imread(str(table.cases[2].path), cv2.IMREAD_GRAYSCALE)
    small = cv2.resize(picture, (24, 20), interpolation=cv2.INTER_AREA)
    low, high = np.percentile(small, [0.5, 99.5])
    expected = np.clip((small - low) / (high - low), 0, 1)
    np.testing.assert_allclose(pixels[2, 0] / 65535, expected, atol=1e-3)
    table.cases[2].path.unlink()  # not read again
    again, _seen = build_cache(table, hashes, spec, tmp_path / "c")
    np.testing.assert_array_equal(again, pixels)


def test_an_unreadable_image_is_named(tmp_path):
    table = read_cases(write_blobs(tmp_path, count=6), labels=["blob"])
    (tmp_path / "4.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"1 of 6 images cannot be used: .*4\.png"):
        build_cache(table, content_hashes(table), Input(shape=(8, 8)), tmp_path / "c")


FULL = """
import sys
from pathlib import Path
from medcnn.dataset import content_hashes, read_cases
from medcnn.errors import OutputError
from medcnn.training.cache import build_cache
from medcnn.planning.sections import Input

table = read_cases(sys.argv[1], labels=["blob"])
spec = Input(shape=(512, 512), fit="stretch")
try:
    build_cache(table, content_hashes(table), spec, Path(sys.argv[2]))
except OutputError as error:
    print(error.message)
"""


def test_a_full_disk_is_told_and_kills_nothing(tmp_path, monkeypatch):
    table = write_blobs(tmp_path, count=6)
    small = tmp_path / "small"
    small.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    try:
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path.cwd())]))
        command = [sys.executable, "-c", FULL, str(table), str(small)]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told
        assert "cannot be written: No space left" in told.stdout
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], capture_output=True, check=False)
