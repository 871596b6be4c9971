"""Every network, 2-D and 3-D, in torch and exported."""

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch
from safetensors.torch import save_file

from medcnn.errors import BundleError
from medcnn.networks import NETWORKS, build, export_graph, load_pretrained
from medcnn.networks.pretrained import GREY_MEAN, GREY_STD

SHAPES = {2: (1, 64, 96), 3: (1, 32, 64, 32)}


def _lively(network):
    """Give batch normalisation statistics that are not 0 and 1."""
    generator = torch.Generator().manual_seed(1)
    for name, value in network.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_(0, 0.1, generator=generator)
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5, generator=generator)
    return network.eval()


def _saved(network, folder):
    state = {k: v.contiguous() for k, v in network.state_dict().items()}
    save_file(state, folder / "weights.safetensors")
    return folder / "weights.safetensors"


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_gives_logits_from_its_last_feature_map(name, dims):
    network = _lively(build(name, dims=dims, in_channels=1, labels=3))
    with torch.no_grad():
        logits, features = network.with_features(torch.rand(2, *SHAPES[dims]))
    assert logits.shape == (2, 3)
    assert features.ndim == dims + 2
    pooled = features.flatten(2).mean(2)
    oracle = pooled @ network.head.weight.T + network.head.bias
    assert torch.allclose(logits, oracle, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_exported_graph_gives_the_same_numbers_in_both_engines(
    name, dims, tmp_path
):
    network = _lively(build(name, dims=dims, in_channels=1, labels=3))
    graph = export_graph(network, SHAPES[dims], _saved(network, tmp_path))
    (tmp_path / "graph.onnx").write_bytes(graph)
    image = torch.rand(1, *SHAPES[dims])
    with torch.no_grad():
        oracle = [part.numpy() for part in network.with_features(image)]
    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(tmp_path / "graph.onnx", "CPU", settings)
    session = onnxruntime.InferenceSession(tmp_path / "graph.onnx")
    answers = (compiled([image.numpy()]), session.run(None, {"image": image.numpy()}))
    for answer in answers:
        for index, part in enumerate(oracle):
            scale = max(1.0, float(np.abs(part).max()))
            assert np.abs(answer[index] - part).max() < 2e-5 * scale


def test_the_graph_holds_no_weights_of_its_own(tmp_path):
    network = build("resnet18", dims=2, in_channels=1, labels=2)
    file = _saved(network, tmp_path)
    graph = export_graph(network, SHAPES[2], file)
    assert len(graph) < 0.01 * file.stat().st_size
    tensors = onnx.load_from_string(graph).graph.initializer
    outside = [t for t in tensors if t.data_location == onnx.TensorProto.EXTERNAL]
    assert {entry.value for t in outside for entry in t.external_data} >= {file.name}
    assert len(outside) >= 60


def test_weights_that_are_not_in_the_file_are_refused(tmp_path):
    network = build("resnet18", dims=2, in_channels=1, labels=2)
    save_file({"other": torch.zeros(2)}, tmp_path / "weights.safetensors")
    with pytest.raises(BundleError, match="bytes of weights are not in"):
        export_graph(network, SHAPES[2], tmp_path / "weights.safetensors")


def test_an_unknown_network_is_refused_by_name():
    with pytest.raises(BundleError, match=r"'os\.system' is unknown"):
        build("os.system", dims=2, in_channels=1, labels=1)


def test_an_unknown_argument_is_refused():
    with pytest.raises(BundleError, match="does not take these arguments"):
        build("resnet18", dims=2, in_channels=1, labels=1, wings=2)


def test_stages_hold_every_weight_of_the_body_once():
    network = build("efficientnet-lite0", dims=2, in_channels=1, labels=1)
    staged = [id(p) for stage in network.stages() for p in stage]
    assert sorted(staged) == sorted(id(p) for p in network.body.parameters())
    assert len(network.stages()) == 9


def _torchvision_names(network):
    names = {}
    for key, value in network.state_dict().items():
        theirs = key.removeprefix("body.").removeprefix("stem.")
        names[theirs.replace("head.", "fc.")] = value.clone()
    return names


def test_torchvision_names_fit_resnet(tmp_path):
    source = _lively(build("resnet50", dims=2, in_channels=3, labels=7))
    torch.save(_torchvision_names(source), tmp_path / "w.pth")
    target = build("resnet50", dims=2, in_channels=3, labels=2)
    report = load_pretrained(target, tmp_path / "w.pth")
    assert report.key_map == "torchvision ResNet"
    assert set(report.ignored) == {"fc.weight", "fc.bias"}
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(source.body(image), target.eval().body(image))


def test_a_shortened_network_takes_the_stages_it_has(tmp_path):
    source = _lively(build("resnet50", dims=2, in_channels=3, labels=7))
    torch.save(_torchvision_names(source), tmp_path / "w.pth")
    target = build("resnet50", dims=2, in_channels=3, labels=2, layers=3)
    report = load_pretrained(target, tmp_path / "w.pth")
    assert "body.layer4.0.conv1.weight" in report.ignored
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(source.body[:4](image), target.eval().body(image))
    with pytest.raises(BundleError, match="1 to 4 layers"):
        build("resnet50", dims=2, in_channels=3, labels=2, layers=5)


def test_a_grey_stem_does_what_the_colour_stem_did_with_a_grey_picture(tmp_path):
    colour = _lively(build("resnet18", dims=2, in_channels=3, labels=2))
    torch.save(_torchvision_names(colour), tmp_path / "w.pth")
    grey = build("resnet18", dims=2, in_channels=1, labels=2)
    load_pretrained(grey, tmp_path / "w.pth")
    picture = torch.rand(1, 1, 64, 64)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    with torch.no_grad():
        want = colour.body.stem[:3]((picture - mean) / std)
        got = grey.eval().body.stem[:3]((picture - GREY_MEAN) / GREY_STD)
    inside = (..., slice(2, -2), slice(2, -2))
    assert torch.allclose(want[inside], got[inside], atol=1e-4)


def test_weights_of_another_network_are_refused_by_key(tmp_path):
    source = build("resnet18", dims=2, in_channels=1, labels=2)
    torch.save(_torchvision_names(source), tmp_path / "w.pth")
    target = build("resnet50", dims=2, in_channels=1, labels=2)
    with pytest.raises(BundleError, match=r"layer1\.0\.conv3"):
        load_pretrained(target, tmp_path / "w.pth")


def test_weights_in_an_unknown_layout_are_refused(tmp_path):
    torch.save({"some.weight": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(BundleError, match="no known key layout"):
        load_pretrained(
            build("resnet18", dims=2, in_channels=1, labels=2), tmp_path / "w.pth"
        )


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    canary = tmp_path / "canary"

    class Evil:
        def __reduce__(self):
            return (type(canary).touch, (canary,))

    torch.save({"layer1.0.conv1.weight": Evil()}, tmp_path / "w.pth")
    with pytest.raises(BundleError, match="cannot be read as weights"):
        load_pretrained(
            build("resnet18", dims=2, in_channels=1, labels=2), tmp_path / "w.pth"
        )
    assert not canary.exists()
