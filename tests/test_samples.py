"""Real sample images out of installed packages."""

import errno
import hashlib
import json
import os
import socket
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from importlib.resources import files

import pytest

from medcnn import samples
from medcnn.errors import MissingDependencyError, OutputError
from medcnn.io import discover, load
from medcnn.samples import SAMPLES, SOURCES_FILE, write_samples


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    write_samples(folder)
    return folder


def test_images_have_the_checksums_that_pydicom_publishes(written):
    published = json.loads(files("pydicom.data").joinpath("hashes.json").read_text())
    for name in ("RG1_UNCR.dcm", "RG1_J2KI.dcm", "RG3_UNCR.dcm", "MR2_J2KI.dcm"):
        found = hashlib.sha256((written / name).read_bytes()).hexdigest()
        assert found == published[name]


def test_sources_name_every_image_with_its_checksum(written):
    lines = (written / SOURCES_FILE).read_text().splitlines()
    rows = {line.split(" | ")[0].strip("| "): line for line in lines}
    for sample in SAMPLES:
        digest = hashlib.sha256((written / sample.name).read_bytes()).hexdigest()
        assert digest in rows[sample.name]
        assert sample.licence in rows[sample.name]


def test_discovery_finds_the_images_and_not_their_table(written):
    names = {found.name for found in discover([written])}
    assert names == {sample.name for sample in SAMPLES}


def test_no_network_is_touched(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        pytest.fail("a sample was looked for on the network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert len(write_samples(tmp_path / "new")) == len(SAMPLES)


def test_writing_twice_leaves_the_same_files(tmp_path):
    write_samples(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.dcm")}
    write_samples(tmp_path)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.dcm")}


def test_a_file_of_the_users_is_never_overwritten(tmp_path):
    mine = tmp_path / "CT_small.dcm"
    mine.write_text("mine")
    with pytest.raises(OutputError, match=r"CT_small\.dcm is there already"):
        write_samples(tmp_path)
    assert mine.read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(OutputError, match="a file is where a folder is needed"):
        write_samples(blocked / "below")


def test_a_missing_package_names_the_command_that_adds_it(tmp_path, monkeypatch):
    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(samples, "distribution", absent)
    with pytest.raises(MissingDependencyError, match=r"medcnn-imaging\[samples\]"):
        write_samples(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_package_without_the_file_says_which(tmp_path, monkeypatch):
    gone = replace(SAMPLES[0], member="data_store/data/gone.dcm")
    monkeypatch.setattr(samples, "SAMPLES", (gone,))
    with pytest.raises(MissingDependencyError, match=r"does not carry .*gone\.dcm"):
        write_samples(tmp_path)


def test_the_chest_and_the_leg_are_radiographs_that_say_so(written):
    chest, leg = load(written / "RG1_UNCR.dcm"), load(written / "RG3_UNCR.dcm")
    assert (chest.modality, chest.facts["body_part"]) == ("CR", "CHEST")
    assert (leg.modality, leg.facts["body_part"]) == ("CR", "EXTREMITY")


def test_a_disk_that_fills_up_leaves_no_part_of_a_file(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="the disk is full"):
        write_samples(tmp_path)
    assert list(tmp_path.iterdir()) == []
