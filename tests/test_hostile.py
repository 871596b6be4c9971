"""Crafted and broken files through SafeReader: one result each, and life goes on."""

import os
import resource
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from dicoms import picture, save
from hostile import CRAFTED

import medcnn
from medcnn.errors import ReadError
from medcnn.isolation import Limits, SafeReader

pytestmark = pytest.mark.slow

LIMITS = Limits(timeout_s=20, memory_bytes=3 << 30)
_MOST_PARENT_BYTES = 800 << 20


@pytest.fixture(scope="module")
def reader():
    with SafeReader(LIMITS) as one:
        yield one


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _outcome(reader: SafeReader, path: Path) -> medcnn.Image | ReadError:
    try:
        return reader.load(path)
    except ReadError as error:
        told = error
    assert told.stage
    assert told.message
    assert told.path is not None
    return told


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_file_costs_one_result_and_the_next_is_read(reader, tmp_path, name):
    make, refusal = CRAFTED[name]
    bad, good = tmp_path / name, tmp_path / "good.dcm"
    pixels = np.arange(64, dtype=np.uint16).reshape(8, 8)
    save(picture(pixels), good)
    make(bad)
    before = _peak_bytes()
    began = time.monotonic()
    outcome = _outcome(reader, bad)
    assert time.monotonic() - began < 2 * LIMITS.timeout_s
    if refusal is None:
        assert isinstance(outcome, medcnn.Image)
    elif refusal:
        assert isinstance(outcome, ReadError)
        assert any(words in str(outcome) for words in refusal.split("|")), outcome
    assert (reader.load(good).picture() == pixels).all()
    assert _peak_bytes() - before < _MOST_PARENT_BYTES


def test_a_folder_of_crafted_files_is_a_study_with_problems(reader, tmp_path):
    names = ["pipe.dcm", "loop.dcm", "nested_5000.dcm", "jpeg_huge.dcm", "huge.nii"]
    for name in names:
        CRAFTED[name][0](tmp_path / name)
    save(picture(np.ones((8, 8), "<u2")), tmp_path / "good.dcm")
    study = reader.load_study(tmp_path)
    assert [image.source for image in study.images] == [tmp_path / "good.dcm"]
    assert sorted(path.name for path, _ in study.problems) == sorted(names)


def test_files_that_change_while_they_are_read_end_in_an_image_or_an_error(
    reader, tmp_path
):
    path = tmp_path / "film.dcm"
    save(picture(np.zeros((800, 800), "<u2")), path)
    whole = path.read_bytes()
    is_over = threading.Event()

    def gnaw():
        while not is_over.is_set():
            os.truncate(path, len(whole) // 3)
            path.write_bytes(whole)

    gnawing = threading.Thread(target=gnaw)
    gnawing.start()
    try:
        outcomes = [_outcome(reader, path) for _ in range(100)]
    finally:
        is_over.set()
        gnawing.join()
    assert all(isinstance(one, medcnn.Image | ReadError) for one in outcomes)
    assert all(
        getattr(one, "stage", "") not in {"crash", "timeout"} for one in outcomes
    )


@pytest.mark.shared_data
def test_malformed_files_from_elsewhere_are_one_result_each(reader, shared_data):
    torture = shared_data / "dicom-torture"
    files = sorted(path for path in torture.rglob("*") if path.is_file())
    outcomes = [_outcome(reader, path) for path in files]
    assert len(outcomes) == len(files) > 300
    assert sum(isinstance(one, medcnn.Image) for one in outcomes) > 50
