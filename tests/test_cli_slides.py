"""medcnn predict and explain on whole slides."""

import csv
import json

import cv2
import numpy as np
import pytest
from slides import SPACING_MM, stained_picture, write_dicom_slide, write_tiff_slide
from stain_bundle import make_stain_bundle
from typer.testing import CliRunner

from medcnn.cli import app

BLOB = 560, 150


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    make_stain_bundle(folder / "stain")
    write_dicom_slide(folder / "slide", stained_picture(blob=BLOB))
    write_tiff_slide(folder / "slide.svs", stained_picture(blob=BLOB), kind="svs")
    return folder


def run(*words):
    found = CliRunner().invoke(app, [str(word) for word in words])
    assert found.exit_code == 0, found.output
    return found


@pytest.mark.slow
def test_predict_gives_one_row_for_each_slide_with_the_counts_of_its_tiles(place):
    found = run(
        "predict", place / "slide", place / "slide.svs", "--model", place / "stain",
        "--json",
    )  # fmt: skip
    first, second = json.loads(found.stdout)["images"]
    assert first["status"] == second["status"] == "ok"
    assert first["band"] == "flag"
    assert first["rule"].startswith("highest of")
    tiles = first["tiles"]
    assert tiles["total"] == 24 * 16
    assert tiles["total"] == tiles["screened"] + tiles["without_tissue"]
    assert first["tile_spacing_mm"] == pytest.approx([SPACING_MM] * 2)
    assert abs(first["probability"] - second["probability"]) < 0.05


@pytest.mark.slow
def test_predict_says_in_words_how_tiles_became_a_number(place):
    found = run(
        "predict", place / "slide.svs", "--model", place / "stain", "--tile-um", 4,
        "--slide-rule", "top-mean",
    )  # fmt: skip
    assert "mean of the 10 highest of" in found.stdout
    assert "without tissue" in found.stdout


@pytest.mark.slow
def test_the_chest_model_refuses_a_slide_with_a_reason(place):
    found = run("predict", place / "slide", "--json")
    (row,) = json.loads(found.stdout)["images"]
    assert row["status"] == "out_of_scope"
    assert row["band"] is None
    assert "modality SM" in row["out_of_scope"]
    assert "probability" not in row
    shown = run("predict", place / "slide")
    assert "out of scope" in shown.stdout


@pytest.mark.slow
def test_explain_writes_overlays_and_a_table_of_tiles(place, tmp_path):
    found = run(
        "explain", place / "slide", "--model", place / "stain", "--output", tmp_path,
        "--json",
    )  # fmt: skip
    names = {
        "slide.abnormal.tile-probability.png", "slide.abnormal.cam.png",
        "slide.tiles.csv",
    }  # fmt: skip
    assert {file.name for file in tmp_path.iterdir()} == names
    answer = json.loads(found.stdout)
    assert {file.rpartition("/")[2] for file in answer["files"]} == names

    with (tmp_path / "slide.tiles.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == answer["tiles"]["screened"] + answer["tiles"]["out_of_scope"]
    best = max(rows, key=lambda row: float(row["probability:abnormal"]))
    # Image Orientation (Slide) is 0\-1\0\-1\0\0 and the origin 20, 50 mm
    blob = 20 - SPACING_MM * BLOB[1], 50 - SPACING_MM * BLOB[0]
    apart = np.hypot(float(best["x_mm"]) - blob[0], float(best["y_mm"]) - blob[1])
    assert apart < 32 * SPACING_MM

    picture = cv2.imread(str(tmp_path / "slide.abnormal.cam.png"))[:512]
    plain = stained_picture(blob=BLOB)[..., ::-1]
    changed = np.abs(picture.astype(int) - plain).sum(axis=2) > 150
    row, column = (n.mean() for n in np.nonzero(changed))
    assert np.hypot(column - BLOB[0], row - BLOB[1]) < 12


@pytest.mark.slow
def test_a_broken_slide_is_a_row_of_the_errors(place, tmp_path):
    write_dicom_slide(tmp_path / "cut", stained_picture(), downs=(1,))
    file = tmp_path / "cut" / "level-1.dcm"
    file.write_bytes(file.read_bytes()[:-99_999])
    found = CliRunner().invoke(
        app,
        [
            "predict", str(tmp_path / "cut"), str(place / "slide"),
            "--model", str(place / "stain"), "--json",
        ],
    )  # fmt: skip
    assert found.exit_code == 8
    (error,) = json.loads(found.stdout)["errors"]
    assert "cut off" in error["error"]
