"""Every network, 2-D and 3-D, in torch and exported."""

import socket
from urllib.request import urlopen

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch
from safetensors.torch import save_file

from medcnn.errors import BundleError
from medcnn.networks import NETWORKS, build, centre_head, export_graph
from medcnn.networks.acs import AcsConv, to_acs
from medcnn.networks.cnn_rnn import SliceWeights

SHAPES = {2: (1, 64, 96), 3: (1, 32, 64, 32)}
KINDS = {name: {"name": name} for name in NETWORKS} | {
    "resnet18 small stem": {"name": "resnet18", "stem": "small"},
    "resnet50 acs": {"name": "resnet50", "acs": True, "layers": 3},
    "resnet18 narrow half stem": {"name": "resnet18", "stem": "half", "width": 16},
    "resnet18 acs small stem": {"name": "resnet18", "acs": True, "stem": "small"},
    "resnet18 padded": {"name": "resnet18", "shortcut": "padding"},
    "densenet121 small stem": {"name": "densenet121", "stem": "small"},
    "cnn_rnn mean": {"name": "cnn_rnn", "cnn": "basic_cnn", "attention": False},
    "cnn_rnn efficientnet": {"name": "cnn_rnn", "cnn": "efficientnet-lite0"},
}
EVERY = [
    (kind, dims)
    for kind, options in KINDS.items()
    for dims in (2, 3)
    if dims == 3 or not ({"acs", "cnn"} & set(options) or kind == "cnn_rnn")
]


def _made(kind, dims, *, labels=3):
    options = {"dims": dims, "in_channels": 1, "labels": labels}
    return _lively(build(**KINDS[kind], **options, shape=SHAPES[dims][1:]))


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


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_is_built_without_reaching_for_anything_elsewhere(kind, monkeypatch):
    def reached(*_, **__):
        msg = "a network reaches out"
        raise AssertionError(msg)

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, reached)
    monkeypatch.setattr(socket, "getaddrinfo", reached)
    with pytest.raises(AssertionError, match="reaches out"):
        urlopen("http://127.0.0.1:9/weights.pth")  # so it would be noticed
    assert _made(kind, 3).head.weight.isfinite().all()


@pytest.mark.parametrize(("kind", "dims"), EVERY)
def test_every_network_gives_logits_from_its_last_feature_map(kind, dims):
    network = _made(kind, dims)
    with torch.no_grad():
        logits, features = network.with_features(torch.rand(2, *SHAPES[dims]))
    assert logits.shape == (2, 3)
    assert features.ndim == (2 if kind == "mlp" else dims + 2)
    pooled = features.reshape(*features.shape[:2], -1).mean(2)
    oracle = pooled @ network.head.weight.T + network.head.bias
    assert torch.allclose(logits, oracle, atol=1e-5)


PUBLISHED = [  # with the classes and channels of the published networks
    # torchvision's documentation of its ImageNet models
    ("resnet18", {}, 1000, 11_689_512),
    ("resnet50", {}, 1000, 25_557_032),
    ("densenet121", {}, 1000, 7_978_856),
    ("efficientnet-b0", {}, 1000, 5_288_548),
    # timm's results table: 4.65, 5.42 and 6.09 million
    ("efficientnet-lite0", {}, 1000, 4_652_008),
    ("efficientnet-lite1", {}, 1000, 5_416_680),
    ("efficientnet-lite2", {}, 1000, 6_092_072),
    # the ResNets for 32-pixel CIFAR-10 images in common use
    ("resnet18", {"stem": "small"}, 10, 11_173_962),
    ("resnet50", {"stem": "small"}, 10, 23_520_842),
]


def _count(network):
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(("name", "arguments", "labels", "count"), PUBLISHED)
def test_networks_have_as_many_parameters_as_published(name, arguments, labels, count):
    network = build(name, dims=2, in_channels=3, labels=labels, **arguments)
    assert _count(network) == count


def test_a_resnet_of_half_the_width_has_half_the_channels_everywhere():
    network = build(
        "resnet18", dims=2, in_channels=1, labels=1, stem="half", width=32
    ).eval()
    _, features = network.with_features(torch.rand(1, 1, 28, 28))
    assert features.shape == (1, 256, 2, 2)  # 28 is halved by the stem and three stages
    wide = build("resnet18", dims=2, in_channels=1, labels=1, stem="half")
    for name, weight in network.state_dict().items():
        if weight.ndim == 4:
            assert wide.state_dict()[name].shape[0] == 2 * weight.shape[0]


@pytest.mark.parametrize("shortcut", ["convolution", "padding"])
def test_a_last_stride_of_1_leaves_a_map_twice_as_fine_and_the_same_weights(shortcut):
    told = {"dims": 3, "in_channels": 1, "labels": 2, "stem": "half", "width": 4}
    told["shortcut"] = shortcut
    usual, fine = (build("resnet18", **told, last_stride=n) for n in (2, 1))
    fine.load_state_dict(usual.state_dict())
    image = torch.rand(1, 1, 28, 28, 28)
    coarse = usual.eval().body(image)
    assert coarse.shape[2:] == (2, 2, 2)
    assert fine.eval().body(image).shape[2:] == (4, 4, 4)
    with pytest.raises(BundleError, match="last_stride is 1 or 2, got 3"):
        build("resnet18", dims=2, in_channels=1, labels=2, last_stride=3)


def test_centring_a_head_keeps_every_share_and_settles_each_class_alone():
    one = build("basic_cnn", dims=2, in_channels=1, labels=3, width=4, depth=2).eval()
    other = build("basic_cnn", dims=2, in_channels=1, labels=3, width=4, depth=2)
    other.load_state_dict(one.state_dict())
    with torch.no_grad():  # the same function of the features in all logits
        other.head.weight += torch.randn(1, other.head.in_features)
        other.head.bias += 3
    image = torch.randn(5, 1, 16, 16)
    before = one(image).softmax(1)
    for network in (one, other.eval()):
        centre_head(network)
        assert torch.allclose(network(image).softmax(1), before, atol=1e-5)
        assert torch.allclose(network(image).sum(1), torch.zeros(5), atol=1e-5)
    assert torch.allclose(one.head.weight, other.head.weight, atol=1e-5)
    assert torch.allclose(one.head.bias, other.head.bias, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
@pytest.mark.parametrize("stem", ["usual", "small"])
def test_acs_has_the_weights_of_its_2d_original(name, stem):
    options = {"in_channels": 3, "labels": 5, "stem": stem}
    flat = build(name, dims=2, **options).state_dict()
    acs = build(name, dims=3, acs=True, **options).state_dict()
    assert {k: v.shape for k, v in acs.items()} == {k: v.shape for k, v in flat.items()}


def test_three_dimensions_multiply_each_kernel_by_its_depth():
    def in_3d(weight):
        return weight.numel() * (weight.shape[-1] if weight.ndim == 4 else 1)

    flat = build("resnet18", dims=2, in_channels=1, labels=2)
    full = build("resnet18", dims=3, in_channels=1, labels=2)
    assert _count(full) == sum(in_3d(weight) for weight in flat.parameters())


def test_padded_shortcuts_save_exactly_their_convolutions():
    usual = build("resnet18", dims=3, in_channels=1, labels=2)
    padded = build("resnet18", dims=3, in_channels=1, labels=2, shortcut="padding")
    saved = sum(a * b + 2 * b for a, b in ((64, 128), (128, 256), (256, 512)))
    assert _count(usual) - _count(padded) == saved


def test_mlp_and_cnn_rnn_have_as_many_parameters_as_their_formulas():
    mlp = build("mlp", dims=2, in_channels=3, labels=4, shape=(7, 5), hidden=11)
    assert _count(mlp) == (3 * 7 * 5 + 1) * 11 + 12 * 11 + 12 * 4
    cnn = {"width": 4, "depth": 3}
    flat = build("basic_cnn", dims=2, in_channels=1, labels=2, **cnn)
    read = build(
        "cnn_rnn", dims=3, in_channels=1, labels=2, cnn="basic_cnn", hidden=5, **cnn
    )
    gru = 2 * 3 * (5 * 16 + 5 * 5 + 5 + 5)  # two directions, three gates
    assert _count(read) - _count(flat) == gru + (2 * 5 + 1) * 16 + (2 * 5 + 1)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", ["resnet18", "resnet50", "densenet121"])
def test_the_small_stem_keeps_the_resolution(name, dims):
    sizes = []
    for stem in ("usual", "small"):
        network = build(name, dims=dims, in_channels=1, labels=2, stem=stem).eval()
        with torch.no_grad():
            shape = network.body(torch.rand(1, 1, *(32,) * dims)).shape[2:]
        sizes.append(set(shape))
    assert sizes == [{1}, {4}]


def test_acs_convolution_looks_along_slices_rows_and_columns():
    layer = AcsConv(2, 8, 3, stride=2, padding=1, bias=False)
    volume = torch.rand(1, 2, 7, 9, 8)
    got = layer(volume)
    assert layer.thirds() == [(0, 3), (3, 6), (6, 8)]
    for channel, axis in ((0, 2), (4, 3), (7, 4)):
        kernel = layer.weight[channel : channel + 1]
        for place in range(got.shape[axis]):
            plane = volume.select(axis, 2 * place)
            oracle = torch.nn.functional.conv2d(plane, kernel, stride=2, padding=1)
            part = got[:, channel : channel + 1].select(axis, place)
            assert torch.allclose(part, oracle, atol=1e-5)


@pytest.mark.parametrize("attention", [True, False])
def test_a_slice_weighs_what_its_neighbours_make_of_it(attention):
    layer = SliceWeights(4, hidden=8, attention=attention).eval()
    maps = torch.rand(1, 4, 6, 3, 5)
    other = maps.clone()
    other[:, :, 2] *= 5
    with torch.no_grad():
        changed = (layer(maps) / maps - layer(other) / other).abs().amax((0, 1, 3, 4))
        upside_down = layer(maps.flip(2)).flip(2)
        assert (layer(maps) - upside_down).abs().max() > 1e-3
    assert changed.min() > 1e-5  # every slice heard of the third


def test_cnn_rnn_sees_each_slice_as_its_cnn_does():
    network = _made("cnn_rnn", 3)
    flat = build("resnet18", dims=2, in_channels=1, labels=3).eval()
    flat.body.load_state_dict(network.body[:-1].state_dict())
    volume = torch.rand(1, *SHAPES[3])
    with torch.no_grad():
        maps = torch.stack([flat.body(volume[:, :, k]) for k in range(32)], 2)
        assert torch.allclose(
            network.body(volume), network.body.slices(maps), atol=1e-4
        )


def _ordered_spots(rng, count):
    """Return volumes with a bright and a dark spot, whether the bright one is first."""
    volumes, truth = (
        rng.normal(0, 0.1, (count, 1, 6, 16, 16)),
        rng.integers(0, 2, count),
    )
    places = np.zeros((count, 2, 3), int)
    for number, label in enumerate(truth):
        first, last = sorted(rng.choice(6, 2, replace=False))
        slices = (first, last) if label else (last, first)
        for spot, (at, value) in enumerate(zip(slices, (1, -1), strict=True)):
            row, column = rng.integers(2, 12, 2)
            volumes[number, 0, at, row : row + 3, column : column + 3] += value
            places[number, spot] = at, row + 1, column + 1
    return torch.from_numpy(volumes).float(), torch.from_numpy(truth), places


@pytest.mark.slow
def test_cnn_rnn_learns_what_comes_first_and_shows_it_in_place():
    images, truth, places = _ordered_spots(np.random.default_rng(0), 240)
    with torch.random.fork_rng():
        torch.manual_seed(0)  # noqa: TID251
        options = {"cnn": "basic_cnn", "width": 8, "depth": 3, "hidden": 16}
        network = build("cnn_rnn", dims=3, in_channels=1, labels=2, **options)
        optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
        for _ in range(25):
            for part in torch.arange(180).split(30):
                loss = torch.nn.functional.cross_entropy(
                    network(images[part]), truth[part]
                )
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    with torch.no_grad():
        logits, features = network.eval().with_features(images[180:])
    right = logits.argmax(1) == truth[180:]
    assert right.float().mean() > 0.9
    weight = network.head.weight[1] - network.head.weight[0]
    maps = (features * weight.view(1, -1, 1, 1, 1)).sum(1).abs().detach()
    peaks = [np.unravel_index(int(one.argmax()), one.shape) for one in maps]
    found = [
        any(
            at == k and abs(4 * y + 1.5 - r) < 6 and abs(4 * x + 1.5 - c) < 6
            for at, r, c in spots
        )
        for (k, y, x), spots in zip(peaks, places[180:], strict=True)
    ]
    cells = maps[0].numel()
    by_chance = 2 * 3 * 3 / cells  # at most so many cells lie near either spot
    assert np.mean(found) > 3 * by_chance


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "dims"), EVERY)
def test_the_exported_graph_gives_the_same_numbers_in_both_engines(
    kind, dims, tmp_path
):
    network = _made(kind, dims)
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


@pytest.mark.parametrize("name", NETWORKS)
def test_an_unknown_argument_is_refused(name):
    with pytest.raises(BundleError, match="does not take these arguments"):
        build(name, dims=3, in_channels=1, labels=1, shape=(8, 8, 8), wings=2)


@pytest.mark.parametrize(
    ("name", "dims", "arguments", "words"),
    [
        ("resnet18", 2, {"acs": True}, "takes dims 3, got 2"),
        ("resnet18", 2, {"stem": "tiny"}, "stem 'tiny' is unknown"),
        ("resnet18", 2, {"width": 0}, "a ResNet's width is 1 to 512, got 0"),
        ("densenet121", 2, {"stem": "tiny"}, "stem 'tiny' is unknown"),
        ("densenet121", 2, {"stem": "half"}, "stem 'half' is unknown"),
        ("resnet18", 2, {"stride_in_first": True}, "is for resnet50"),
        ("resnet50", 2, {"shortcut": "none"}, "shortcut 'none' is none of"),
        ("cnn_rnn", 2, {}, "takes dims 3, got 2"),
        ("cnn_rnn", 3, {"cnn": "mlp"}, "cnn 'mlp' is unknown"),
        ("mlp", 2, {}, "takes 2 sides, got None"),
        ("mlp", 2, {"shape": (8, 8, 8)}, r"takes 2 sides, got \(8, 8, 8\)"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused(name, dims, arguments, words):
    with pytest.raises(BundleError, match=words):
        build(name, dims=dims, in_channels=1, labels=1, **arguments)


def test_only_plain_square_convolutions_look_from_three_sides():
    with pytest.raises(BundleError, match="without bias"):
        to_acs(torch.nn.Conv2d(1, 3, 3))


def test_stages_hold_every_weight_of_the_body_once():
    network = build("efficientnet-lite0", dims=2, in_channels=1, labels=1)
    staged = [id(p) for stage in network.stages() for p in stage]
    assert sorted(staged) == sorted(id(p) for p in network.body.parameters())
    assert len(network.stages()) == 9
