"""Slides read in a worker process: the same pixels, and no harm from broken ones."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from slides import stained_picture, write_dicom_slide, write_tiff_slide

from medcnn.errors import DecodeError, IsolationError, SeveralSeriesError
from medcnn.io.slide import open_slide
from medcnn.isolation import open_slide_safely

PICTURE = stained_picture(300, 200, blob=(200, 60))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    write_dicom_slide(folder / "dicom", PICTURE, sparse=True, left_out={(1, 1)})
    write_tiff_slide(folder / "tiff", PICTURE, kind="svs")
    return folder


@pytest.mark.parametrize("name", ["dicom", "tiff"])
def test_a_slide_is_the_same_from_a_worker(files, name):
    with (
        open_slide(files / name) as near,
        open_slide_safely(files / name) as far,
    ):
        assert far.levels == near.levels
        assert np.array_equal(far.geometry.affine, near.geometry.affine)
        assert dict(far.facts) == dict(near.facts)
        assert far.identity == near.identity
        assert (far.path, far.modality) == (near.path, near.modality)
        pairs = zip(near.tiles((70, 50)), far.tiles((70, 50)), strict=True)
        for ours, theirs in pairs:
            assert np.array_equal(ours.image.array, theirs.image.array)
            assert ours.image.geometry.same_grid(theirs.image.geometry)


def test_errors_are_those_of_reading_here(files, tmp_path):
    write_dicom_slide(tmp_path, PICTURE, downs=(1,))
    data = (tmp_path / "level-1.dcm").read_bytes()
    (tmp_path / "level-1.dcm").write_bytes(data[:-5000])
    with pytest.raises(DecodeError, match="cut off"):
        open_slide_safely(tmp_path)
    write_dicom_slide(tmp_path / "planes", PICTURE, planes=2, downs=(1,))
    with pytest.raises(SeveralSeriesError, match="focal plane"):
        open_slide_safely(tmp_path / "planes")


def children():
    tasks = Path("/proc/self/task")
    if not tasks.exists():
        pytest.skip("it needs Linux to name a process's children")
    lists = [file.read_text() for file in tasks.glob("*/children")]
    return {int(number) for words in lists for number in words.split()}


def test_a_worker_that_dies_is_told_or_replaced_and_the_next_tile_is_read(files):
    before = children()
    with open_slide_safely(files / "dicom") as slide:
        (worker,) = children() - before
        os.kill(worker, signal.SIGKILL)
        try:
            first = slide.tiles((70, 50), tissue=False).tile(0, 0).image.array
        except IsolationError:
            first = slide.tiles((70, 50), tissue=False).tile(0, 0).image.array
        assert np.array_equal(first[:, :, :, 0].transpose(2, 1, 0), PICTURE[:70, :50])
        assert worker not in children()
    assert children() <= before
