"""Pictures of heatmaps: one scale for every image, true proportions, true words."""

import cv2
import numpy as np
import pytest
from bundles import make_bundle

from medcnn.cli.feature_files import feature_grid
from medcnn.explanation import METHODS, Explainer, shown
from medcnn.explanation.legend import overlay_with_legend
from medcnn.explanation.shown import ShownScale
from medcnn.geometry import Geometry
from medcnn.image import Image
from medcnn.model import Model
from medcnn.results import Heatmap, Prediction
from medcnn.screening.heat import HeatPainter

SAID = Prediction({"mass": 0.7}, {"mass": 0.5}, "tiny", "ab" * 32)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Model.open(make_bundle(tmp_path_factory.mktemp("models") / "tiny").path)


@pytest.fixture(scope="module")
def film():
    return Image.from_picture(np.random.default_rng(3).normal(0, 1, (60, 80)))


def test_a_cells_level_is_its_log_odds_above_what_a_flag_takes(model):
    scale = ShownScale.of(model, "abnormal")
    bias = float(model.bundle.head()[1][0])
    alone = np.float32([0.5, 3.0])  # log-odds of two cells of sixteen
    got = scale.levels(alone / 16, 16)
    flag = np.log(0.55 / 0.45)
    np.testing.assert_allclose(got, np.maximum(alone + bias - flag, 0), atol=1e-5)
    assert HeatPainter(model).scale.high == scale.span == 4


@pytest.mark.parametrize("method", METHODS)
def test_no_method_is_hotter_than_cam_says(model, film, method):
    explainer = Explainer(model, method=method, steps=4, samples=4)
    explained = explainer.explain(film, ["all"])
    for heatmap, hottest in zip(explained.heatmaps, explained.hottest, strict=True):
        on_screen = shown(model, heatmap, hottest)
        scale = ShownScale.of(model, heatmap.label)
        most = min(max(hottest * scale.slope - scale.low, 0), scale.span)
        assert on_screen.top == scale.span
        if heatmap.array.any():
            highest = min(float(on_screen.levels.max()), scale.span)
            assert highest == pytest.approx(most, rel=0.02, abs=1e-5)


def test_a_map_in_which_nothing_reaches_a_flag_is_grey_and_the_legend_says_so(model):
    weak = np.full((80, 60, 1), 1e-6, np.float32)
    for method in ("cam", "occlusion"):
        heatmap = Heatmap(weak, None, "abnormal", method, "tiny", cells=16)
        on_screen = shown(model, heatmap, 16e-6)
        assert on_screen.levels.max() < 0.02 * on_screen.top
    calm = shown(model, Heatmap(weak * 0, None, "abnormal", "cam", "tiny"), 0.0)
    assert not calm.levels.any()


def test_without_a_feature_map_the_scale_is_the_images_own_and_says_so(model):
    array = np.zeros((80, 60, 1), np.float32)
    array[3, 4] = 7
    heatmap = Heatmap(array, None, "abnormal", "occlusion", "tiny")
    on_screen = shown(model, heatmap, None)
    assert on_screen.top == 7
    assert "own highest" in on_screen.words


@pytest.mark.parametrize(
    ("spacing", "ratio"), [((0.5, 1.5, 2), 1 / 3), ((2.0, 0.5, 1), 4), ((1, 1, 9), 1)]
)
def test_pixels_of_unequal_sides_are_drawn_in_true_proportions(spacing, ratio):
    shape = (600, 620, 3)
    grid = Geometry(shape, np.diag([-spacing[0], -spacing[1], spacing[2], 1.0]))
    image = Image(np.zeros((1, *shape), np.float32), geometry=grid)
    heatmap = Heatmap(np.zeros(shape, np.float32), grid, "mass", "cam", "tiny")
    drawn = overlay_with_legend(image, heatmap, SAID)
    grey = (drawn == drawn[0, 0]).all(axis=(1, 2))  # the picture is flat, not a legend
    rows = int(np.argmin(grey))
    assert drawn.shape[1] / rows == pytest.approx(600 / 620 * ratio, rel=0.01)


def test_of_equal_highest_places_the_middle_one_is_the_peak_in_any_storage_order():
    array = np.zeros((9, 8, 7), np.float32)
    array[2:7, 3:6, 1:4] = 1
    affine = np.diag([2.0, 1.0, 3.0, 1.0])
    heatmap = Heatmap(array, Geometry((9, 8, 7), affine), "mass", "cam", "tiny")
    assert heatmap.peak == (4, 4, 2)
    flipped = affine @ np.diag([-1.0, 1, 1, 1])
    flipped[0, 3] = 2.0 * 8
    two = np.zeros_like(array)
    two[0, 0, 0] = two[8, 7, 6] = 1
    places = []
    for values, way in ((two, affine), (two[::-1], flipped)):
        one = Heatmap(values, Geometry((9, 8, 7), way), "mass", "cam", "tiny")
        places.append(way @ [*one.peak, 1])
    assert (places[0] == places[1]).all()


def test_the_grid_of_feature_maps_shows_where_a_filter_responds():
    maps = np.zeros((3, 8, 8), np.float32)
    maps[1, 6, 2] = 5
    sheet = feature_grid(maps, "tiny, layer body")
    hot = np.argwhere(sheet[44:] == 255)
    assert len(hot) >= (112 // 8) ** 2
    for volume in (np.repeat(maps[:, None], 4, 1), maps[:1]):
        assert feature_grid(volume, "tiny").dtype == np.uint8


def test_explain_draws_a_method_a_layer_and_feature_maps(medcnn, model, tmp_path):
    film = tmp_path / "film.png"
    noise = np.random.default_rng(0).integers(0, 255, (90, 100), np.uint8)
    cv2.imwrite(str(film), noise)
    to = ["--model", model.bundle.path, "--output", tmp_path / "out", "--quiet"]
    done = medcnn("explain", film, *to, "--method", "layercam", "--layer",
                  "body.block2", "--feature-maps", "body.block1", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"layer": "body.block2"' in done.stdout
    assert "not a lesion's outline" in done.stdout
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["film.abnormal.layercam.png", "film.features.body.block1.png"]
    wrong = medcnn("explain", film, *to, "--method", "grad-cam", "--layer", "body.x")
    assert wrong.returncode == 1
    assert "layer 'body.x' is unknown; there are body.block1" in wrong.stderr
    wrong = medcnn("explain", film, *to, "--method", "magic")
    assert "method 'magic' is unknown, expected one of auto, cam" in wrong.stderr


def test_the_page_of_heatmaps_has_every_method(repository):
    page = (repository / "docs" / "heatmaps.md").read_text(encoding="utf-8")
    for name in METHODS:
        assert f"| `{name}` |" in page
