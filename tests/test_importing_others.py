"""Other people's published layouts: MONAI's model zoo, TorchXRayVision, turned axes."""

import json
import sys
import types
import warnings

import numpy as np
import pytest
import torch
import yaml
from foreign_models import LABELS, SAID, WEIGHTS, Foreign, images, seeded, written
from torch import nn

import medcnn
from medcnn.engines import open_engine
from medcnn.errors import BundleError, DataError, MissingDependencyError
from medcnn.networks import pretrained
from medcnn.networks.pickles import LEGACY_TORCH, classes_named_in

pytestmark = pytest.mark.slow


def logits_of(bundle, tensors):
    return np.array([out.logits for out in open_engine(bundle).stream(tensors)])


def said_of(folder, **changes):
    path = folder / "said.json"
    path.write_text(json.dumps({**SAID, **changes}))
    return path


# --------------------------------------------------------------------- turned axes


def test_a_network_that_sees_columns_first_gets_them_and_its_map_is_turned_back(
    tmp_path,
):
    path, _, network = written(tmp_path)
    turned = {"dims": 2, "channels": 1, "shape": [40, 32]}
    steps = [{"step": "resize", "shape": [40, 32]}, {"step": "percentiles"}]
    description = said_of(
        tmp_path,
        input=turned,
        preprocessing={"channels": 1, "steps": steps},
        axes="ijk",
    )
    made = medcnn.import_model(path, description=description, output=tmp_path / "out")
    model = medcnn.Model.open(made.bundle.path)
    theirs = images()[0]  # (1, 32, 40): columns, rows
    (answer,) = model.stream([np.ascontiguousarray(theirs.transpose(0, 2, 1))])
    with torch.no_grad():
        features = network.body(torch.from_numpy(theirs)[None])[0]
        wanted = network(torch.from_numpy(theirs)[None])[0].numpy()
        cam = torch.einsum("f,fhw->hw", network.head.weight[1], features)
    cam = (cam / features[0].numel()).clamp(min=0).numpy()
    np.testing.assert_allclose(answer.logits, wanted, atol=1e-4)
    assert made.keeps_places
    assert cam.max() > 0
    got = model.relevance(answer.features, "mass")
    np.testing.assert_allclose(got, cam.T, atol=1e-5)


def test_a_volumes_axes_are_reversed_too(tmp_path):
    network = seeded(
        nn.Sequential(
            nn.Conv3d(1, 4, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(1),
            nn.Linear(4, 3),
        )
    )
    path = tmp_path / "their.onnx"
    sample = torch.randn(1, 1, 10, 8, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (sample,), path, dynamo=False, input_names=["x"])
    description = said_of(
        tmp_path,
        input={"dims": 3, "channels": 1, "shape": [6, 8, 10]},
        preprocessing={"channels": 1, "steps": []},
        axes="ijk",
    )
    made = medcnn.import_model(path, description=description, output=tmp_path / "out")
    ours = np.ascontiguousarray(sample[0].numpy().transpose(0, 3, 2, 1))
    (answer,) = medcnn.Model.open(made.bundle.path).stream([ours])
    with torch.no_grad():
        wanted = network(sample)[0].numpy()
        features = network[:2](sample)[0].numpy()
    np.testing.assert_allclose(answer.logits, wanted, atol=1e-4)
    np.testing.assert_allclose(
        answer.features, features.transpose(0, 3, 2, 1), atol=1e-5
    )


def test_axes_are_turned_before_and_after_normalising_by_channel(tmp_path):
    path, _, network = written(tmp_path, channels=3)
    means, deviations = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
    description = said_of(
        tmp_path,
        input={"dims": 2, "channels": 3, "shape": [40, 32]},
        preprocessing={"channels": 3, "steps": []},
        channels={"means": means, "deviations": deviations},
        axes="ijk",
    )
    made = medcnn.import_model(path, description=description, output=tmp_path / "out")
    ours = np.ascontiguousarray(images(3)[0].transpose(0, 2, 1))
    column = (3, 1, 1)
    scaled = (images(3)[0] - np.reshape(means, column)) / np.reshape(deviations, column)
    with torch.no_grad():
        wanted = network(torch.from_numpy(scaled.astype(np.float32))[None]).numpy()
    np.testing.assert_allclose(logits_of(made.bundle, [ours]), wanted, atol=1e-3)


# ------------------------------------------------------------- outputs without a name


def test_outputs_without_a_name_are_left_out(tmp_path):
    path, _, network = written(tmp_path)
    description = said_of(tmp_path, labels=["", "mass", "nodule"])
    made = medcnn.import_model(path, description=description, output=tmp_path / "out")
    with torch.no_grad():
        wanted = network(torch.from_numpy(np.stack(images())))[:, 1:].numpy()
    assert made.bundle.spec.labels == ("mass", "nodule")
    assert made.keeps_places
    np.testing.assert_allclose(logits_of(made.bundle, images()), wanted, atol=1e-4)
    model = medcnn.Model.open(made.bundle.path)
    (answer, *_) = model.stream(images())
    with torch.no_grad():
        features = network.body(torch.from_numpy(images()[0])[None])[0]
        cam = torch.einsum("f,fhw->hw", network.head.weight[2], features)
    cam = (cam / features[0].numel()).clamp(min=0).numpy()
    got = model.relevance(answer.features, "nodule")
    np.testing.assert_allclose(got, cam, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"labels": ["", "", ""]}, "expected a name for one of them"),
        ({"labels": ["a", "", "a"]}, "labels are named twice"),
        ({"labels": ["", "a", "b"], "activation": "softmax"}, "none can be left out"),
        ({"axes": "jki"}, "axes: Input should be 'kji' or 'ijk'"),
    ],
)
def test_labels_and_axes_that_cannot_be_are_refused(tmp_path, changes, match):
    path, _, _ = written(tmp_path)
    with pytest.raises(DataError, match=match):
        medcnn.import_model(
            path, description=said_of(tmp_path, **changes), output=tmp_path / "out"
        )


# ------------------------------------------------------------------- TorchXRayVision

OWN = ["Atelectasis", "", "Mass"]


def xrv_names(network):
    """Name MONAI's DenseNet as TorchXRayVision does."""
    return {
        key.replace(".layers.", ".").replace("class_layers.out.", "classifier."): value
        for key, value in network.state_dict().items()
    }


@pytest.fixture(scope="module")
def densenet():
    from monai.networks.nets import DenseNet121

    return seeded(DenseNet121(spatial_dims=2, in_channels=1, out_channels=3))


def squares(side=64):
    rng = np.random.default_rng(3)
    return list(rng.normal(size=(2, 1, side, side)).astype(np.float32))


@pytest.mark.parametrize("is_old", [False, True], ids=["zip", "before 1.6"])
def test_its_thresholds_come_along_and_its_nameless_outputs_do_not(
    tmp_path, densenet, is_old
):
    weights = xrv_names(densenet)
    weights["op_threshs"] = torch.tensor([0.07422872, torch.nan, 0.01939503])
    path = tmp_path / "their.pt"
    torch.save(weights, path, _use_new_zipfile_serialization=not is_old)
    assert (path.read_bytes()[: len(LEGACY_TORCH)] == LEGACY_TORCH) == is_old
    description = tmp_path / "said.json"
    description.write_text(json.dumps({**WEIGHTS, "labels": OWN}))
    made = medcnn.import_model(path, description=description, output=tmp_path / "out")
    spec = made.bundle.spec
    assert spec.labels == ("Atelectasis", "Mass")
    assert [p.flag for p in spec.operating_points] == pytest.approx([0.0742, 0.0194],
        abs=1e-4)  # fmt: skip
    assert {p.chosen_on for p in spec.operating_points} == {"its source (op_threshs)"}
    assert not any("0.5 mean nothing" in words for words in made.warnings)
    with torch.no_grad():
        wanted = densenet(torch.from_numpy(np.stack(squares())))[:, [0, 2]].numpy()
    np.testing.assert_allclose(logits_of(made.bundle, squares()), wanted, atol=1e-4)


class DenseNet(nn.Linear):
    """Stands for a class that is pickled by its name."""


@pytest.mark.parametrize("is_old", [False, True], ids=["zip", "before 1.6"])
@pytest.mark.parametrize(
    ("module", "converts"),
    [("torchxrayvision.others", "xrv.models.get_model"), ("theirs", "torch.load")],
)
def test_a_whole_pickled_network_is_refused_by_name_with_the_way_to_convert_it(
    tmp_path, monkeypatch, module, converts, is_old
):
    parent = module.partition(".")[0]
    monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
    home = types.ModuleType(module)
    home.DenseNet = DenseNet
    monkeypatch.setattr(DenseNet, "__module__", module)
    monkeypatch.setitem(sys.modules, module, home)
    path = tmp_path / "whole.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(DenseNet(2, 2), path, _use_new_zipfile_serialization=not is_old)
    monkeypatch.delitem(sys.modules, module)
    with pytest.raises(BundleError, match=rf"it names {module}\.DenseNet") as refused:
        pretrained.read_weights(path)
    assert converts in refused.value.hint
    assert classes_named_in(path)[0] == f"{module}.DenseNet"
    description = tmp_path / "said.json"
    description.write_text(json.dumps(WEIGHTS))
    with pytest.raises(BundleError, match="whose code would run when it is read"):
        medcnn.import_model(path, description=description, output=tmp_path / "out")


def test_classes_of_a_damaged_file_are_not_told(tmp_path):
    (tmp_path / "torn.pt").write_bytes(b"\x80\x02c")
    assert classes_named_in(tmp_path / "torn.pt") == ()


def test_torchxrayvisions_own_class_answers_the_same(tmp_path):
    """With random weights: the published ones cannot be fetched by a test."""
    xrv = pytest.importorskip("torchxrayvision", reason="TorchXRayVision")
    theirs = seeded(xrv.models.DenseNet())
    theirs.op_threshs = torch.tensor(xrv.models.model_urls["nih"]["op_threshs"])
    labels = xrv.models.model_urls["nih"]["labels"]
    assert len(labels) == 18
    torch.save(theirs.state_dict(), tmp_path / "weights.pt")
    changes = {"labels": labels, "input": {"dims": 2, "channels": 1, "shape": [64, 64]}}
    description = tmp_path / "said.json"
    description.write_text(json.dumps({**WEIGHTS, **changes}))
    made = medcnn.import_model(
        tmp_path / "weights.pt", description=description, output=tmp_path / "out"
    )
    kept = [n for n, label in enumerate(labels) if label]
    model = medcnn.Model.open(made.bundle.path)
    for tensor in squares():
        (answer,) = model.stream([tensor])
        with torch.no_grad():
            wanted = theirs(torch.from_numpy(tensor)[None])[0][kept].tolist()
        shares = answer.prediction.probabilities
        for point, share in zip(model.spec.operating_points, wanted, strict=True):
            is_flagged = shares[point.label] >= point.flag
            assert is_flagged == (share >= 0.5), point.label
            assert xrv_norm(shares[point.label], point.flag) == pytest.approx(
                share, abs=1e-4
            )
    picture = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    ours = model.spec.preprocessing.apply(medcnn.Image.from_picture(picture)).tensor
    scaled = xrv.utils.normalize(picture, 255)
    np.testing.assert_allclose(ours[0], scaled, atol=0.01)


def xrv_norm(share, threshold):
    """Map a threshold to 0.5, linearly on both sides, as TorchXRayVision shows it."""
    if share < threshold:
        return share / threshold / 2
    return 1 - (1 - share) / (1 - threshold) / 2


def test_torchxrayvisions_resnet_answers_the_same(tmp_path, monkeypatch):
    xrv = pytest.importorskip("torchxrayvision", reason="TorchXRayVision")
    models = pytest.importorskip("torchvision.models", reason="torchvision")
    plain = models.resnet50(num_classes=18, weights=None)
    plain.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    torch.save(plain.state_dict(), tmp_path / "state.pt")
    local = str(tmp_path / "state.pt")
    monkeypatch.setattr(xrv.models, "get_weights", lambda *_, **__: local)
    theirs = seeded(xrv.models.ResNet("resnet50-res512-all"))
    del theirs.input_resolution
    torch.save(theirs.state_dict(), tmp_path / "weights.pt")
    labels = xrv.models.model_urls["resnet50-res512-all"]["labels"]
    description = tmp_path / "said.json"
    changes = {"labels": labels, "network": {"name": "resnet50"}}
    description.write_text(json.dumps({**WEIGHTS, **changes}))
    made = medcnn.import_model(
        tmp_path / "weights.pt", description=description, output=tmp_path / "out"
    )
    with torch.no_grad():
        wanted = theirs.model(torch.from_numpy(np.stack(squares()))).numpy()
    np.testing.assert_allclose(logits_of(made.bundle, squares()), wanted, atol=1e-3)
    points = {p.label: p.flag for p in made.bundle.spec.operating_points}
    assert points["Atelectasis"] == pytest.approx(0.51570356)
    assert points["Lung Lesion"] == 0.5


# -------------------------------------------------------------------- MONAI's model zoo

DEVICE = "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')"
TUMOUR = {
    "_target_": "TorchVisionFCModel",
    "model_name": "resnet18",
    "num_classes": 1,
    "use_conv": True,
    "pretrained": True,
}
DENSITY = {
    "_target_": "TorchVisionFCModel",
    "model_name": "inception_v3",
    "aux_logits": False,
    "num_classes": 4,
    "in_channels": 2048,
    "use_conv": False,
    "pool": "",
}
INBODY = {
    "_target_": "SEResNet50",
    "spatial_dims": 2,
    "in_channels": 3,
    "num_classes": 2,
}
TEMPLATE = {
    "_target_": "DenseNet121",
    "spatial_dims": 2,
    "in_channels": 1,
    "out_channels": "@num_classes",
}


def zoo(folder, definition, network, *, kind="json"):
    """Write a bundle as the model zoo has them."""
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    config = {
        "imports": ["$import os"],
        "num_classes": 4,
        "device": DEVICE,
        "network_def": definition,
        "network": "$@network_def.to(@device)",
    }
    text = json.dumps(config) if kind == "json" else yaml.safe_dump(config)
    (folder / "configs" / f"inference.{kind}").write_text(text)
    torch.save({"model": network.state_dict()}, folder / "models" / "model.pt")
    return folder


def zoo_said(folder, *, labels, channels, side, axes="ijk", activation="softmax"):
    return said_of(
        folder,
        labels=labels,
        activation=activation,
        input={"dims": 2, "channels": channels, "shape": [side, side]},
        preprocessing={"channels": channels, "steps": []},
        axes=axes,
    )


def colour(side, count=2):
    rng = np.random.default_rng(5)
    return list(rng.normal(size=(count, 3, side, side)).astype(np.float32))


def turned(tensors):
    return torch.from_numpy(np.stack(tensors).transpose(0, 1, 3, 2).copy())


def test_the_zoos_tumour_detector_keeps_its_places_without_torchvision(tmp_path):
    from monai.networks.nets import NetAdapter, resnet18

    body = resnet18(
        spatial_dims=2,
        n_input_channels=3,
        conv1_t_stride=2,
        bias_downsample=False,
        num_classes=10,
    )
    window = ("avg", {"kernel_size": 7, "stride": 1})
    theirs = seeded(NetAdapter(body, num_classes=1, use_conv=True, pool=window))
    folder = zoo(tmp_path / "tumour", TUMOUR, theirs)
    description = zoo_said(
        tmp_path, labels=["metastasis"], channels=3, side=224, axes="kji",
        activation="sigmoid",
    )  # fmt: skip
    made = medcnn.import_model(folder, description=description, output=tmp_path / "o")
    assert made.keeps_places
    with torch.no_grad():
        wanted = theirs(torch.from_numpy(np.stack(colour(224)))).reshape(2, 1).numpy()
    np.testing.assert_allclose(logits_of(made.bundle, colour(224)), wanted, atol=1e-3)


def test_the_zoos_tumour_detector_is_torchvisions_network(tmp_path):
    pytest.importorskip("torchvision", reason="torchvision")
    from monai.networks.nets import TorchVisionFCModel

    theirs = seeded(TorchVisionFCModel("resnet18", num_classes=1, use_conv=True))
    folder = zoo(tmp_path / "tumour", TUMOUR, theirs)
    description = zoo_said(
        tmp_path, labels=["metastasis"], channels=3, side=224, axes="kji",
        activation="sigmoid",
    )  # fmt: skip
    made = medcnn.import_model(folder, description=description, output=tmp_path / "o")
    with torch.no_grad():
        wanted = theirs(torch.from_numpy(np.stack(colour(224)))).reshape(2, 1).numpy()
    np.testing.assert_allclose(logits_of(made.bundle, colour(224)), wanted, atol=1e-3)


def test_the_zoos_endoscope_classifier(tmp_path):
    from monai.networks.nets import SEResNet50

    theirs = seeded(SEResNet50(spatial_dims=2, in_channels=3, num_classes=2))
    folder = zoo(tmp_path / "inbody", INBODY, theirs)
    labels = ["inbody", "outbody"]
    description = zoo_said(tmp_path, labels=labels, channels=3, side=64)
    made = medcnn.import_model(folder, description=description, output=tmp_path / "o")
    assert made.keeps_places
    with torch.no_grad():
        wanted = theirs(turned(colour(64))).numpy()
    np.testing.assert_allclose(logits_of(made.bundle, colour(64)), wanted, atol=1e-3)


def test_the_zoos_template_is_yaml(tmp_path):
    from monai.networks.nets import DenseNet121

    theirs = seeded(DenseNet121(spatial_dims=2, in_channels=1, out_channels=4))
    folder = zoo(tmp_path / "template", TEMPLATE, theirs, kind="yaml")
    labels = ["circle", "background", "triangle", "rectangle"]
    description = zoo_said(tmp_path, labels=labels, channels=1, side=64)
    made = medcnn.import_model(folder, description=description, output=tmp_path / "o")
    with torch.no_grad():
        wanted = theirs(turned(squares())).numpy()
    np.testing.assert_allclose(logits_of(made.bundle, squares()), wanted, atol=1e-3)


def test_the_zoos_density_classifier_needs_torchvision_and_is_told_so(
    tmp_path, monkeypatch
):
    from medcnn.networks import monai_nets

    folder = zoo(tmp_path / "density", DENSITY, nn.Linear(1, 1))
    description = zoo_said(tmp_path, labels=list("ABCD"), channels=3, side=299)
    monkeypatch.setattr(monai_nets, "find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match="inception_v3 is torchvision's"):
        medcnn.import_model(folder, description=description, output=tmp_path / "o")


def test_the_zoos_density_classifier(tmp_path):
    models = pytest.importorskip("torchvision.models", reason="torchvision")
    from monai.networks.nets import TorchVisionFCModel

    assert models is not None
    options = {k: v for k, v in DENSITY.items() if k not in {"_target_", "model_name"}}
    theirs = seeded(TorchVisionFCModel("inception_v3", init_weights=False, **options))
    folder = zoo(tmp_path / "density", DENSITY, theirs)
    description = zoo_said(tmp_path, labels=list("ABCD"), channels=3, side=299)
    made = medcnn.import_model(folder, description=description, output=tmp_path / "o")
    assert made.keeps_places
    with torch.no_grad():
        wanted = theirs(turned(colour(299, 1))).numpy()
    np.testing.assert_allclose(
        logits_of(made.bundle, colour(299, 1)), wanted, atol=1e-3
    )


@pytest.mark.parametrize(
    ("definition", "match"),
    [
        (
            {**TUMOUR, "model_name": "vit_b_16"},
            "model_name is 'vit_b_16'",
        ),
        ({"_target_": "HoVerNet"}, "_target_ is 'HoVerNet', which is not built"),
        ({**TEMPLATE, "out_channels": ["@loop"]}, "an expression or a part"),
        ({**TEMPLATE, "act": ["relu", {"_target_": "os"}]}, "a part to build"),
        ("$os.system('true')", "has no network_def"),
    ],
)
def test_what_is_not_known_is_refused_by_name(tmp_path, definition, match):
    folder = zoo(tmp_path / "other", definition, nn.Linear(1, 1))
    config = folder / "configs" / "inference.json"
    text = json.loads(config.read_text()) | {"loop": ["@loop"]}
    config.write_text(json.dumps(text))
    description = zoo_said(tmp_path, labels=["a", "b"], channels=3, side=64)
    with pytest.raises(BundleError, match=match):
        medcnn.import_model(folder, description=description, output=tmp_path / "o")


def test_a_config_too_large_or_broken_is_refused(tmp_path):
    folder = zoo(tmp_path / "other", TEMPLATE, nn.Linear(1, 1), kind="yaml")
    description = zoo_said(tmp_path, labels=["a", "b"], channels=3, side=64)
    said = {"description": description, "output": tmp_path / "o"}
    config = folder / "configs" / "inference.yaml"
    for text, match in (("a: [", "cannot be read as YAML"), ("x" * 2**21, "is larger")):
        config.write_text(text)
        with pytest.raises(BundleError, match=match):
            medcnn.import_model(folder, **said)


def test_a_monai_bundle_without_axes_is_refused(tmp_path):
    folder = zoo(tmp_path / "other", TEMPLATE, nn.Linear(1, 1))
    description = zoo_said(tmp_path, labels=["a", "b"], channels=1, side=64, axes=None)
    with pytest.raises(DataError, match="says no axes") as refused:
        medcnn.import_model(folder, description=description, output=tmp_path / "o")
    assert "LoadImage" in refused.value.hint
    said = tmp_path / "weights.json"
    said.write_text(json.dumps({**WEIGHTS, "axes": "ijk"}))
    torch.save(xrv_names(Foreign()), tmp_path / "w.pt")
    with pytest.raises(DataError, match="sees rows first"):
        medcnn.import_model(tmp_path / "w.pt", description=said, output=tmp_path / "o")


def test_labels_of_the_helper_are_those_of_its_network():
    assert len(LABELS) == Foreign().head.out_features
