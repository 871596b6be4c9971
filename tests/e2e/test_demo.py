"""The demo's road: samples out of packages, the shipped model, a finished run."""

import csv
import subprocess
import sys

import pytest

from medcnn.samples import SAMPLES

MEDCNN = [sys.executable, "-m", "medcnn"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    samples = [*MEDCNN, "samples", folder / "samples"]
    subprocess.run(samples, check=True, timeout=120)
    screen = [*MEDCNN, "screen", folder / "samples", "--output", folder / "run"]
    finished = subprocess.run(screen, check=False, timeout=300)
    assert finished.returncode == 8  # done, and one sample is cut off
    return folder / "run"


@pytest.fixture(scope="module")
def rows(demo):
    with (demo / "worklist.csv").open(newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def test_every_sample_has_its_row(rows):
    assert set(rows) == {sample.name for sample in SAMPLES}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_the_shipped_model_says_of_a_sample_what_it_should(rows, sample):
    row = rows[sample.name]
    assert sample.expected == (row["band"] or row["status"]), row["reason"]


def test_only_rows_without_an_answer_carry_a_reason(rows):
    assert all(bool(row["reason"]) == (row["status"] != "ok") for row in rows.values())


def test_the_report_shows_the_flagged_chest_and_names_the_leg(demo):
    report = (demo / "report.html").read_text(encoding="utf-8")
    assert "RG1_UNCR.dcm" in report
    assert "RG3_UNCR.dcm" in report
    assert list((demo / "heatmaps").iterdir())
