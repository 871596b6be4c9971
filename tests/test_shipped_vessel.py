"""The shipped model for volumes: whole, small, as its recipe says, with a heatmap."""

import numpy as np
import pytest

import medcnn
from medcnn.bundle import open_bundle
from medcnn.cli.selftest import run_selftest
from medcnn.errors import BundleError
from medcnn.training import read_recipe

NAME = "vessel-3d"
MOST_BYTES = 9_000_000


@pytest.fixture(scope="module")
def bundle():
    try:
        return open_bundle(NAME)  # every checksum is compared
    except BundleError:
        pytest.skip("vessel-3d is not in this tree")


@pytest.fixture(scope="module")
def model(bundle):
    return medcnn.Model.open(bundle.path)


def test_it_is_small(bundle):
    files = [path for path in bundle.path.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES


def test_it_was_made_by_its_recipe_and_the_card_holds_every_word_of_it(
    bundle, repository
):
    recipe = read_recipe(repository / "recipes" / f"{NAME}.toml")
    assert bundle.spec.network.arguments == recipe.network.arguments
    kept = bundle.spec.training.recipe
    assert kept["optimiser"] == recipe.optimiser.model_dump(mode="json")
    for name, text in recipe.card.model_dump().items():
        assert text.strip() in bundle.card(), name


def test_the_card_gives_the_figures_of_bundle_json_and_the_baselines(bundle):
    (test,) = (
        score
        for score in bundle.spec.evaluation
        if (score.data, score.label) == ("test", "aneurysm")
    )
    assert (test.n_positive, test.n_negative) == (43, 339)
    assert f"| aneurysm | all | 43 / 339 | {test.auroc:.3f} |" in bundle.card()
    assert "Gradient boosting" in bundle.card()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "torch"])
def test_its_selftest_holds_in_every_engine(bundle, engine):
    assert "right within" in run_selftest(bundle.path, engine)[1]


@pytest.mark.slow
def test_it_tells_the_phantoms_apart_and_its_map_has_places(model, phantoms):
    ill, well = (
        medcnn.load(phantoms / name) for name in ("vessel_aneurysm.nii", "vessel.nii")
    )
    told = [model.predict(image).probabilities["aneurysm"] for image in (ill, well)]
    assert told[0] > told[1] + 0.3
    assert model.answer(ill)[0].features.shape[1:] == (4, 4, 4)
    heat = medcnn.explain(model, ill).array
    assert heat.shape[-3:] == ill.shape
    assert np.unique(heat.round(3)).size > 50
