"""Inverted films are told by their pixels."""

import csv
import json

import cv2
import numpy as np
import pytest
from bundles import make_bundle

import medcnn
from medcnn.gate import GateRules, fit_pattern, look_at_facts, look_at_pattern
from medcnn.gate.pattern import cells_of
from medcnn.image import Image


def _films(count, seed=0):
    """Bright in the middle and below, each with noise of its own; (1, 64, 64)."""
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[0:1:64j, 0:1:64j]
    film = np.exp(-((across - 0.5) ** 2) / 0.05) + down
    return [(film + rng.normal(0, 0.3, film.shape))[None] for _ in range(count)]


@pytest.fixture(scope="module")
def rules():
    found = fit_pattern(cells_of(film) for film in _films(200))
    return GateRules(pattern=found.cells, pattern_limit=found.limit)


def test_cells_are_block_means_of_mean_0_and_variance_1():
    film = _films(1)[0]
    means = film[0].reshape(8, 8, 8, 8).mean(axis=(1, 3)).ravel()
    expected = (means - means.mean()) / means.std()
    assert np.allclose(cells_of(film), expected, atol=1e-5)


def test_the_reason_tells_the_correlation_with_the_mean_film(rules):
    film = -_films(1, seed=5)[0]
    told = np.corrcoef(cells_of(film), rules.pattern)[0, 1]
    assert f"is {told:.2f}, that of its negative {-told:.2f}" in look_at_pattern(
        rules, film
    )


def test_films_pass_and_their_negatives_do_not_whatever_the_window(rules):
    for film in _films(50, seed=1):
        assert look_at_pattern(rules, 3 * film - 7) == ""
        assert "looks inverted" in look_at_pattern(rules, 4 - 0.1 * film)


def test_what_has_another_pattern_is_left_to_the_feature_distance(rules):
    noise = np.random.default_rng(0).normal(size=(1, 64, 64))
    assert look_at_pattern(rules, noise) == ""
    assert look_at_pattern(rules, np.zeros((1, 64, 64))) == ""


def test_images_without_a_common_pattern_get_no_rule():
    rng = np.random.default_rng(0)
    assert (
        fit_pattern(cells_of(rng.normal(size=(1, 64, 64))) for _ in range(99)) is None
    )
    assert fit_pattern([None]) is None


def test_volumes_colour_and_flat_pictures_have_no_cells():
    for shape in ((1, 9, 16, 16), (3, 16, 16), (1, 4, 16)):
        assert cells_of(np.random.default_rng(0).normal(size=shape)) is None
    assert cells_of(np.full((1, 16, 16), 0.3)) is None


def test_predict_and_screen_say_that_a_film_is_inverted(rules, tmp_path):
    bundle = make_bundle(tmp_path / "tiny")
    facts = json.loads((bundle.path / "bundle.json").read_text())
    facts["gate"] |= {"pattern": rules.pattern, "pattern_limit": rules.pattern_limit}
    (bundle.path / "bundle.json").write_text(json.dumps(facts))
    film = _films(1, seed=3)[0][0]
    grey = ((film - film.min()) / np.ptp(film) * 4095).astype(np.uint16)
    model = medcnn.Model.open(bundle.path)
    assert model.predict(Image.from_picture(grey)).out_of_scope == ""
    negative = model.predict(Image.from_picture(4095 - grey))
    assert negative.out_of_scope.startswith("looks inverted")
    assert 0 < negative.probability < 1

    folder = tmp_path / "films"
    folder.mkdir()
    cv2.imwrite(str(folder / "film.png"), grey)
    cv2.imwrite(str(folder / "negative.png"), 4095 - grey)
    cases = {
        c.path: c for c in medcnn.screen(folder, model=model, output=tmp_path / "o")
    }
    assert cases["film.png"].status == "ok"
    assert cases["negative.png"].reason.startswith("looks inverted")


@pytest.mark.parametrize("share", [0.991, 0.98])
def test_a_nearly_blank_image_is_told_with_its_share(share):
    picture = np.full(10_000, 7, np.uint16)
    rest = round(10_000 * (1 - share))
    picture[:rest] = np.arange(100, 100 + rest)
    image = Image.from_picture(picture.reshape(100, 100))
    reason = look_at_facts(GateRules(), image, dims=2)
    assert reason.startswith("nearly blank: 99.1 %") == (share > 0.99)


@pytest.mark.shared_data
@pytest.mark.slow
def test_real_chest_films_pass_and_their_negatives_do_not(shared_data):
    folder = shared_data / "chest-xray-nih"
    with (folder / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    taken = {"train": [], "val": []}
    for row in rows[::8]:
        film = medcnn.load(folder / "images" / row["image"]).array[0, :, :, 0].T
        taken[row["split"]].append(np.asarray(film, np.float32)[None])
    found = fit_pattern(cells_of(film) for film in taken["train"])
    rules = GateRules(pattern=found.cells, pattern_limit=found.limit)
    assert len(taken["val"]) > 30
    assert [look_at_pattern(rules, film) for film in taken["val"]].count("") == len(
        taken["val"]
    )
    caught = [bool(look_at_pattern(rules, -film)) for film in taken["val"]]
    assert np.mean(caught) > 0.95
