"""A model directory is data that is checked before anything runs."""

import json

import numpy as np
import pytest
from bundles import make_bundle

from medcnn.bundle import SPEC, WEIGHTS, open_bundle
from medcnn.errors import BundleError, OutputError
from medcnn.gate import FeatureModel


@pytest.fixture
def bundle(tmp_path):
    return make_bundle(tmp_path / "tiny")


def _edit(bundle, change):
    spec = json.loads((bundle.path / SPEC).read_text())
    change(spec)
    (bundle.path / SPEC).write_text(json.dumps(spec))


def test_a_bundle_comes_back_as_it_was_written(bundle):
    again = open_bundle(bundle.path)
    assert again.spec == bundle.spec
    assert set(again.spec.files) == {"CARD.md", "graph.onnx", WEIGHTS}
    weight, bias = again.head()
    assert weight.shape == (2, 16)
    assert bias.shape == (2,)


def test_every_file_is_readable_for_all_users(bundle):
    modes = [p.stat().st_mode & 0o444 for p in bundle.path.rglob("*") if p.is_file()]
    assert set(modes) == {0o444}


def test_a_file_that_cannot_be_read_is_named(bundle, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("medcnn.bundle.file_sha256", refuse)
    with pytest.raises(BundleError, match="cannot be read: Permission denied"):
        open_bundle(bundle.path)


def test_an_altered_weight_is_refused_by_its_checksum(bundle):
    content = bytearray((bundle.path / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (bundle.path / WEIGHTS).write_bytes(content)
    with pytest.raises(BundleError, match=r"weights\.safetensors has checksum"):
        open_bundle(bundle.path)


def test_a_missing_file_is_named(bundle):
    (bundle.path / "graph.onnx").unlink()
    with pytest.raises(BundleError, match=r"lacks graph\.onnx"):
        open_bundle(bundle.path)


def test_an_unknown_key_is_named(bundle):
    _edit(bundle, lambda spec: spec["network"].update(_target_="os.system"))
    with pytest.raises(BundleError, match=r"network\._target_: unknown key"):
        open_bundle(bundle.path)


def test_a_wrong_value_is_named(bundle):
    _edit(bundle, lambda spec: spec["input"].update(dims=4))
    with pytest.raises(BundleError, match=r"input\.dims"):
        open_bundle(bundle.path)


def test_a_file_outside_the_bundle_is_refused(bundle):
    _edit(bundle, lambda spec: spec["files"].update({"../../etc/passwd": "0"}))
    with pytest.raises(BundleError, match="outside the bundle"):
        open_bundle(bundle.path)


def test_every_label_needs_its_operating_point(bundle):
    _edit(bundle, lambda spec: spec["operating_points"].pop())
    with pytest.raises(BundleError, match="operating points are for"):
        open_bundle(bundle.path)


def test_text_that_is_no_json_is_refused(bundle):
    (bundle.path / SPEC).write_text("{")
    with pytest.raises(BundleError, match="cannot be read"):
        open_bundle(bundle.path)


def test_a_name_that_is_no_model_says_which_there_are(tmp_path):
    with pytest.raises(BundleError, match="Shipped models"):
        open_bundle(tmp_path / "nothing")


def test_a_graph_that_is_not_listed_is_refused(bundle):
    _edit(bundle, lambda spec: spec["files"].pop("graph.onnx"))
    with pytest.raises(BundleError, match=r"no checksum for graph\.onnx"):
        open_bundle(bundle.path)


def test_the_gate_statistics_come_back(tmp_path):
    features = np.random.default_rng(0).normal(0, 1, (50, 16)).astype(np.float32)
    model = FeatureModel.fit(features, directions=4)
    bundle = make_bundle(tmp_path / "tiny", feature_model=model)
    again = bundle.feature_model()
    assert np.allclose(again.distance(features), model.distance(features), rtol=1e-4)


def test_a_bundle_that_cannot_be_written_leaves_the_old_one(bundle, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        make_bundle(tmp_path / "file" / "tiny")
    assert open_bundle(bundle.path).spec == bundle.spec
