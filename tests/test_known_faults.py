"""`medcnn doctor` names versions with known faults."""

import json
import os
import re
from importlib import metadata

import pytest

from medcnn.cli.known_faults import FLOORS, faults_of, versions_of_programs


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("pydicom", "3.0.1"),
        ("torch", "2.9.1+cpu"),
        ("monai", "1.5.2"),
        ("pillow", "12.1.9"),
        ("Orthanc", "1.9.7"),
        ("openjpeg (in imagecodecs)", "2.5.3"),
    ],
)
def test_an_old_version_is_named(name, version):
    (found,) = faults_of({name: version, "numpy": "1.0"})
    assert (found["name"], found["version"]) == (name, version)
    assert re.search(r"CVE-\d{4}-\d+", found["fault"])


def test_a_version_that_is_mended_or_absent_is_not():
    mended = {name: floor.version for name, floor in FLOORS.items()}
    assert faults_of(mended) == []
    assert faults_of({name: version + ".1" for name, version in mended.items()}) == []
    assert faults_of({"torch": "2.13.0+cpu", "pydicom": None}) == []


def test_no_pin_has_a_known_fault(repository):
    lines = (repository / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    assert {"pydicom", "pillow", "monai", "torch"} <= pins.keys()
    assert faults_of(pins) == []


def test_the_decoder_that_is_installed_has_none():
    programs = versions_of_programs()
    assert programs["openjpeg (in imagecodecs)"] is not None
    assert faults_of(programs | {"Orthanc": None}) == []


@pytest.mark.slow
def test_doctor_warns_of_a_fake_old_version(medcnn, monkeypatch, tmp_path):
    real = metadata.version

    def version(name):
        return "3.0.0" if name == "pydicom" else real(name)

    program = tmp_path / "Orthanc"
    program.write_text("#!/bin/sh\necho Orthanc 1.12.10\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(metadata, "version", version)

    found = json.loads(medcnn("doctor", "--json").stdout)["faults"]
    assert [one["name"] for one in found] == ["pydicom", "Orthanc"]
    shown = medcnn("doctor")
    words = " ".join((shown.stdout + shown.stderr).split())
    assert "pydicom 3.0.0 has a known fault" in words
    assert "pip install 'pydicom>=3.0.2'" in words
