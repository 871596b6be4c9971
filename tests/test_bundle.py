"""A model directory is data that is checked before anything runs."""

import hashlib
import json

import numpy as np
import pytest
from bundles import make_bundle
from safetensors.numpy import save_file

import medcnn
from medcnn.bundle import CARD, GATE, SPEC, WEIGHTS, open_bundle
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


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"format": ' + "9" * 5000 + "}", "[]", "\udcff"]
)
def test_hostile_text_is_one_sentence(bundle, text):
    (bundle.path / SPEC).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(BundleError, match=r"bundle\.json") as refused:
        open_bundle(bundle.path)
    assert refused.value.hint


def test_a_name_with_a_null_byte_is_refused(bundle):
    _edit(bundle, lambda spec: spec["files"].update({"a\0b": "0"}))
    with pytest.raises(BundleError, match="outside the bundle"):
        open_bundle(bundle.path)


def _replace(bundle, name, content):
    (bundle.path / name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    _edit(bundle, lambda spec: spec["files"].update({name: digest}))
    return open_bundle(bundle.path)


def test_weights_that_are_none_are_refused_whatever_their_checksum(bundle):
    again = _replace(bundle, WEIGHTS, b"junk" * 8)
    with pytest.raises(BundleError, match=r"weights\.safetensors cannot be read"):
        again.weights()


def test_a_gate_that_is_none_or_fits_nothing_is_refused(bundle, tmp_path):
    again = _replace(bundle, GATE, b"junk" * 8)
    with pytest.raises(BundleError, match=r"gate\.safetensors cannot be read"):
        again.feature_model()

    gate = FeatureModel.fit(np.random.default_rng(0).normal(size=(9, 4)), directions=2)
    for change in ({"mean": np.zeros(3, np.float32)}, {"residual": np.zeros(1)}):
        save_file(gate.arrays() | change, tmp_path / GATE)
        again = _replace(bundle, GATE, (tmp_path / GATE).read_bytes())
        with pytest.raises(BundleError, match="do not fit each other"):
            again.feature_model()


def test_a_shape_of_other_dimensions_and_a_label_named_twice_are_refused(bundle):
    _edit(bundle, lambda spec: spec["input"].update(shape=[32, 32, 32]))
    with pytest.raises(BundleError, match="does not have 2 dimensions"):
        open_bundle(bundle.path)
    _edit(bundle, lambda spec: spec["input"].update(shape=[32, 32]))
    _edit(bundle, lambda spec: spec.update(labels=["mass", "mass"]))
    _edit(
        bundle, lambda spec: [p.update(label="mass") for p in spec["operating_points"]]
    )
    with pytest.raises(BundleError, match="named twice"):
        open_bundle(bundle.path)


def test_a_card_in_another_coding_is_shown_as_far_as_it_can_be(bundle):
    assert _replace(bundle, CARD, b"Caf\xe9").card() == "Caf\N{REPLACEMENT CHARACTER}"


# ------------------------------------------------------------ names of models


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder of one's own models, with one in it."""
    folder = tmp_path / "mine"
    make_bundle(folder / "site")
    (folder / "notes").mkdir()
    monkeypatch.setenv("MEDCNN_MODELS", str(folder))
    return folder


def test_ones_own_models_are_opened_by_name(own):
    assert medcnn.own_bundles() == ("own/site",)
    assert open_bundle("own/site").path == own / "site"
    assert medcnn.Model.open("own/site").bundle.path == own / "site"


@pytest.mark.parametrize("name", ["own/none", "own/../mine/site", "own/", "site"])
def test_an_unknown_name_is_refused_with_those_that_there_are(own, name):
    with pytest.raises(BundleError, match="no model '") as refused:
        open_bundle(name)
    assert f"Your own in {own}: own/site." in refused.value.hint
    assert "chest-xray" in refused.value.hint
