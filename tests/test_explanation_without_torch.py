"""Four methods work in the base install; the others say what they need."""

import subprocess
import sys

import numpy as np
import pytest
from bundles import make_bundle

from medcnn.explanation import METHODS, explain
from medcnn.image import Image
from medcnn.model import Model

HIDE = """
import sys
for name in ("torch", "monai", "captum", "lightning", "onnx"):
    sys.modules[name] = None  # as if it were not installed
import medcnn
model = medcnn.Model.open(sys.argv[1])
image = medcnn.load(sys.argv[2])
for method in sys.argv[3:]:
    try:
        heatmap = medcnn.explain(model, image, method=method)
        print(method, heatmap.layer or "-", heatmap.array.shape == image.shape)
    except medcnn.MedcnnError as error:
        print(method, type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("models") / "tiny")


def test_what_needs_no_gradient_needs_no_torch(bundle, tmp_path):
    np.save(tmp_path / "film.npy", np.random.default_rng(0).normal(0, 1, (64, 64)))
    command = [sys.executable, "-c", HIDE, bundle.path, tmp_path / "film.npy", *METHODS]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    told = dict(line.split(" ", 1) for line in ran.stdout.splitlines())
    works = {name for name, words in told.items() if words.endswith("True")}
    assert works == {"cam", "eigen-cam", "score-cam", "occlusion"}
    for name in set(METHODS) - works:
        assert told[name].startswith("MissingDependencyError")
        assert "pip install 'medcnn-imaging[explain]'" in told[name]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_explains_a_bundle_and_says_what_it_did(bundle, method):
    model = Model.open(bundle.path)
    film = Image.from_picture(np.random.default_rng(0).normal(0, 1, (50, 70)))
    options = {"steps": 4, "samples": 4}
    first, second = explain(
        model, film, label=["abnormal", "mass"], method=method, **options
    )
    assert first.array.shape == (70, 50, 1)
    assert first.array.min() >= 0
    assert max(first.array.max(), second.array.max()) > 0
    assert (first.label, second.label) == ("abnormal", "mass")
    assert (first.method, first.model) == (method, "tiny")
    assert first.layer == ("body" if METHODS[method].has_layer else "")
    assert first.unit
    assert first.meaning.endswith(".")
    assert first.limits == "shows what moved the score, not a lesion's outline"


def test_another_layer_of_a_bundle_can_be_given(bundle):
    model = Model.open(bundle.path)
    film = Image.from_picture(np.random.default_rng(0).normal(0, 1, (50, 70)))
    coarse = explain(model, film)
    fine = explain(model, film, layer="body.block2")
    assert (coarse.method, fine.method) == ("cam", "hirescam")
    assert fine.cells == 4 * coarse.cells
    same = explain(model, film, layer="body", method="grad-cam")
    np.testing.assert_allclose(same.array, coarse.array, rtol=1e-3, atol=1e-6)


def test_a_fully_connected_bundle_has_the_maps_that_need_no_places(tmp_path):
    bundle = make_bundle(tmp_path / "flat", network="mlp", arguments={"hidden": 8})
    model = Model.open(bundle.path)
    film = Image.from_picture(np.random.default_rng(0).normal(0, 1, (64, 64)))
    for method in METHODS:
        if METHODS[method].has_layer:
            with pytest.raises(Exception, match=r"\(mlp\): .* occlusion, integrated"):
                explain(model, film, method=method)
        else:
            assert explain(model, film, method=method, steps=4).array.max() > 0
