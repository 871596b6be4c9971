"""A model on a whole slide: the hot spot lies where the blob was painted, in mm."""

import numpy as np
import pytest
from slides import (
    SPACING_MM,
    STANDARD,
    TURNED,
    stained_picture,
    write_dicom_slide,
    write_tiff_slide,
)
from stain_bundle import make_stain_bundle

from medcnn.errors import DataError
from medcnn.geometry import Frame
from medcnn.io.slide import open_slide
from medcnn.model import Model
from medcnn.slides import lay_on, screen_slide

BLOB = 560, 150
ORIGIN = 20.0, 50.0
TILE = 32


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    make_stain_bundle(tmp_path_factory.mktemp("model") / "stain")
    return Model.open(tmp_path_factory.getbasetemp() / "model0" / "stain", threads=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("slide")
    return write_dicom_slide(
        path, stained_picture(blob=BLOB), orientation=TURNED, origin=ORIGIN, sparse=True
    )


def on_slide(column, row, orientation=TURNED):
    """Return where a pixel lies on the slide in mm, by the definition of DICOM."""
    across, down = np.array(orientation[:3]), np.array(orientation[3:])
    return (*ORIGIN, 0) + SPACING_MM * (column * across + row * down)


@pytest.fixture(scope="module")
def result(model, folder):
    with open_slide(folder) as slide:
        return screen_slide(model, slide, cam=("abnormal",))


def test_the_hottest_tile_lies_at_the_blob_within_one_tile(result):
    heatmap = result.heatmaps[0]
    assert heatmap.method == "tile probability"
    assert heatmap.geometry.frame is Frame.SLIDE
    hot = heatmap.geometry.to_world(heatmap.peak)
    assert np.linalg.norm(hot - on_slide(*BLOB)) < TILE * SPACING_MM
    assert heatmap.geometry.spacing_mm[:2] == pytest.approx((TILE * SPACING_MM,) * 2)


def test_the_class_activation_map_finds_the_blobs_middle_within_a_cell(result):
    heatmap = result.heatmaps[-1]
    assert heatmap.method == "cam"
    assert heatmap.array.shape == (24 * 8, 16 * 8, 1)
    i, j, k = np.nonzero(heatmap.array > heatmap.array.max() / 2)
    middle = heatmap.geometry.to_world(np.stack([i, j, k], axis=-1)).mean(axis=0)
    assert np.linalg.norm(middle - on_slide(*BLOB)) < 4 * SPACING_MM


def test_every_tile_is_counted_once(result):
    counts = result.counts
    assert counts["total"] == 24 * 16
    assert counts["without_tissue"] > 100
    assert sum(counts.values()) == 2 * counts["total"]
    assert len(result.tiles) == counts["screened"] + counts["out_of_scope"]


def test_the_slides_probability_is_that_of_its_highest_tile(result):
    label = "abnormal"
    values = result.tiles.probability[:, 0]
    assert result.prediction.probability == pytest.approx(values.max())
    assert result.rule == f"highest of {len(values)} tiles"
    words = f"mean of the 10 highest of {len(values)} tiles"
    assert result.summaries[words][label] == pytest.approx(np.sort(values)[-10:].mean())
    assert result.prediction.probability > 0.9
    assert "chosen on single images" in result.warnings[-1]


def test_another_rule_gives_the_other_number(model, folder):
    with open_slide(folder) as slide:
        found = screen_slide(model, slide, rule="top-mean", top=3)
    highest = np.sort(found.tiles.probability[:, 0])[-3:].mean()
    assert found.prediction.probability == pytest.approx(highest)
    assert found.rule.startswith("mean of the 3 highest")
    with (
        open_slide(folder) as slide,
        pytest.raises(ValueError, match="top must be at least 1"),
    ):
        screen_slide(model, slide, top=0)


def test_a_tiles_probability_is_that_of_the_tile_alone(model, folder, result):
    with open_slide(folder) as slide:
        tiles = {(t.across, t.down): t for t in slide.tiles((TILE, TILE))}
    for n in range(0, len(result.tiles), 29):
        tile = tiles[tuple(result.tiles.grid[n])]
        alone = model.predict(tile.image)
        assert result.tiles.probability[n, 0] == pytest.approx(alone.probability)
        middle = tile.image.geometry.to_world([(TILE - 1) / 2, (TILE - 1) / 2, 0])
        assert np.abs(result.tiles.centre_mm[n] - middle).max() < 1e-9


@pytest.mark.parametrize("overlap", [0, 8])
@pytest.mark.parametrize("spacing", [None, 0.003, 0.004])
def test_the_blob_is_found_at_any_scale_and_overlap_in_tiff_too(
    model, tmp_path, spacing, overlap
):
    path = write_tiff_slide(tmp_path / "a.svs", stained_picture(blob=BLOB), kind="svs")
    with open_slide(path) as slide:
        found = screen_slide(
            model, slide, spacing_mm=spacing, overlap=overlap, cam=("abnormal",)
        )
    tile_mm = TILE * (spacing or SPACING_MM)
    blob = SPACING_MM * np.array([BLOB[0] + 0.5, BLOB[1] + 0.5, 0])
    hot = found.heatmaps[0].geometry.to_world(found.heatmaps[0].peak)
    assert np.abs(hot - blob).max() < tile_mm
    cam = found.heatmaps[-1]
    cells = np.argwhere(cam.array > cam.array.max() / 2)
    middle = cam.geometry.to_world(cells).mean(axis=0)
    assert np.linalg.norm(middle - blob) < 5 * SPACING_MM


def test_a_model_for_something_else_refuses_the_slide_without_running_a_tile(folder):
    chest = Model.open("chest-xray")
    with open_slide(folder) as slide:
        found = screen_slide(chest, slide)
    assert "modality SM, the model takes" in found.prediction.out_of_scope
    assert found.prediction.probabilities == {}
    assert len(found.tiles) == 0
    assert found.heatmaps == ()


def test_a_tiff_that_says_no_modality_is_refused_for_its_colour(tmp_path):
    path = write_tiff_slide(tmp_path / "a.tif", stained_picture(blob=BLOB))
    with open_slide(path) as slide:
        found = screen_slide(Model.open("chest-xray"), slide)
    assert "colour" in found.prediction.out_of_scope


def test_a_slide_without_tissue_is_refused_with_the_number_of_tiles(model, tmp_path):
    write_dicom_slide(tmp_path, np.full((96, 128, 3), 245, np.uint8), downs=(1,))
    with (
        open_slide(tmp_path) as slide,
        pytest.raises(DataError, match="none of the 12 tiles"),
    ):
        screen_slide(model, slide)
    with open_slide(tmp_path) as slide:
        found = screen_slide(model, slide, tissue=False)
    assert found.prediction.out_of_scope.startswith("every tile is out of scope")
    assert found.counts["out_of_scope"] == 12


def test_an_unknown_label_is_refused(model, folder):
    with open_slide(folder) as slide, pytest.raises(DataError, match="no label 'x'"):
        screen_slide(model, slide, cam=("x",))


def test_progress_is_told_up_to_the_last_tile(model, folder):
    told = []
    with open_slide(folder) as slide:
        found = screen_slide(model, slide, progress=lambda *at: told.append(at))
    assert told[-1] == (len(found.tiles), len(found.tiles))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_the_table_of_tiles_says_where_each_lies(result):
    rows = list(result.tiles.rows())
    best = max(rows, key=lambda row: float(row["probability:abnormal"]))
    x, y = float(best["x_mm"]), float(best["y_mm"])
    there = on_slide(*BLOB)[:2]
    assert np.hypot(x - there[0], y - there[1]) < TILE * SPACING_MM
    assert abs(float(best["column"]) + TILE / 2 - BLOB[0]) <= TILE
    assert set(best) == {
        "across", "down", "column", "row", "x_mm", "y_mm", "tissue", "reason",
        "probability:abnormal", "probability:mass",
    }  # fmt: skip


def test_a_heatmap_lies_on_the_thumbnail_where_the_blob_is(model, tmp_path):
    write_dicom_slide(tmp_path, stained_picture(blob=BLOB), orientation=STANDARD)
    with open_slide(tmp_path) as slide:
        found = screen_slide(model, slide)
        thumbnail = slide.thumbnail(256)
        laid = lay_on(found, 0, thumbnail, slide.shape)
    hot = np.argwhere(laid.array[..., 0] == laid.array.max()).mean(axis=0)
    assert np.abs(hot * 3 + 1 - BLOB).max() < TILE
    assert laid.geometry is thumbnail.geometry
