import json

import cv2
import numpy as np
import pytest
from bundles import make_bundle

from medcnn import load
from medcnn.bundle import file_sha256
from medcnn.cli.selftest import run_selftest
from medcnn.errors import BundleError, EngineError
from medcnn.model import Model


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("models") / "tiny")


def give_selftest(bundle, *, error=0.0):
    """Add an image, and what the model says of it plus an error."""
    folder = bundle.path / "selftest"
    folder.mkdir(exist_ok=True)
    pixels = np.random.default_rng(3).integers(0, 255, (50, 60), np.uint8)
    (folder / "input.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    told = Model.open(bundle.path).predict(load(folder / "input.png"))
    expected = {
        "input": "input.png",
        "probabilities": {n: p + error for n, p in told.probabilities.items()},
        "tolerance": 1e-3,
    }
    (folder / "expected.json").write_text(json.dumps(expected))
    spec = json.loads((bundle.path / "bundle.json").read_text())
    for name in ("selftest/input.png", "selftest/expected.json"):
        spec["files"][name] = file_sha256(bundle.path / name)
    (bundle.path / "bundle.json").write_text(json.dumps(spec))
    return bundle.path


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "torch"])
def test_every_engine_answers_what_the_model_said_when_it_was_made(bundle, engine):
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime")

    device, words = run_selftest(give_selftest(bundle), engine)

    assert device == "cpu"
    assert words.startswith("right within")


def test_a_wrong_answer_is_an_engine_error(bundle):
    path = give_selftest(bundle, error=0.01)

    with pytest.raises(EngineError, match=r"up to 0\.01 beside what .* said"):
        run_selftest(path, "openvino")


def test_a_model_without_an_image_of_its_own_cannot_be_judged(tmp_path):
    path = make_bundle(tmp_path / "bare").path

    with pytest.raises(BundleError, match=r"carries no selftest/expected\.json"):
        run_selftest(path, "openvino")
