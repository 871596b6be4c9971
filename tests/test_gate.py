"""The input gate: facts, pixels, features."""

import numpy as np
import pytest

from medcnn.errors import DataError
from medcnn.gate import FeatureModel, GateRules, look_at_facts, look_at_features
from medcnn.image import Image

RULES = GateRules(
    modalities=("CR", "DX"),
    body_parts=("CHEST", "THORAX"),
    refused_views=("LATERAL", "LL"),
    ood_limit=1.5,
)
FILM = np.random.default_rng(0).integers(0, 4000, (256, 200)).astype(np.uint16)


def _reason(picture=FILM, modality="CR", **facts):
    image = Image.from_picture(picture, modality=modality, facts=facts)
    return look_at_facts(RULES, image, dims=2)


def test_a_chest_radiograph_may_pass():
    assert _reason(body_part="CHEST", view="PA") == ""


def test_what_is_not_stated_is_not_held_against_it():
    assert _reason(modality=None) == ""


def test_a_longer_body_part_that_names_the_chest_may_pass():
    assert _reason(body_part="Chest PA Port") == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"modality": "CT"}, "modality CT, the model takes CR, DX"),
        ({"body_part": "LEG"}, "body part LEG"),
        ({"view": "LATERAL"}, "view LATERAL"),
        ({"picture": FILM[:40]}, "200 x 40 pixels"),
        ({"picture": FILM[:70]}, "aspect 2.9"),
        ({"picture": np.full((99, 99), 7)}, "blank"),
        ({"picture": np.dstack([FILM] * 3)}, "colour"),
    ],
)
def test_what_is_not_a_chest_radiograph_is_named(change, words):
    assert words in _reason(**change)


def test_a_volume_is_no_picture():
    image = Image(np.zeros((1, 99, 99, 4)))
    assert "3-D (99 x 99 x 4)" in look_at_facts(RULES, image, dims=2)


def test_distance_with_all_directions_is_the_mahalanobis_distance():
    rng = np.random.default_rng(1)
    features = rng.normal(0, 1, (500, 6)) @ rng.normal(0, 1, (6, 6)) + 3
    model = FeatureModel.fit(features, directions=5)
    query = rng.normal(0, 3, (20, 6))
    inverse = np.linalg.inv(np.cov(features.T))
    away = query - features.mean(axis=0)
    oracle = np.sqrt(np.einsum("nf,fg,ng->n", away, inverse, away) / 6)
    assert np.allclose(model.distance(query), oracle)


def test_distance_is_about_one_for_what_was_trained_on_and_large_elsewhere():
    rng = np.random.default_rng(2)
    basis = rng.normal(0, 1, (8, 100))
    draw = lambda n: rng.normal(0, 1, (n, 8)) @ basis + rng.normal(0, 0.1, (n, 100))  # noqa: E731
    model = FeatureModel.fit(draw(1000), directions=8)
    assert np.median(model.distance(draw(200))) == pytest.approx(1, abs=0.1)
    outside = draw(50) + rng.normal(0, 1, (50, 100))
    assert model.distance(outside).min() > 5


def test_a_feature_model_comes_back_from_its_arrays():
    features = np.random.default_rng(3).normal(0, 1, (100, 20))
    model = FeatureModel.fit(features, directions=4)
    again = FeatureModel.from_arrays(model.arrays())
    assert np.allclose(model.distance(features), again.distance(features), rtol=1e-4)


def test_too_few_images_are_refused():
    with pytest.raises(DataError, match="too few"):
        FeatureModel.fit(np.zeros((10, 100)), directions=64)


def test_a_far_feature_vector_is_named_with_its_limit():
    assert look_at_features(RULES, 1.4) == ""
    assert "2.50, the limit is 1.50" in look_at_features(RULES, 2.5)
    assert look_at_features(RULES, float("nan"))
    assert look_at_features(RULES, None) == ""
