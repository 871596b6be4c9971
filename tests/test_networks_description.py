"""What is told of a network's layers is what they do: sizes, costs, and how far."""

import math

import pytest
import torch
from torch import nn

from medcnn.errors import BundleError
from medcnn.networks import NETWORKS, build
from medcnn.networks.acs import AcsConv
from medcnn.networks.description import describe_network
from medcnn.networks.words import LAYERS

IMAGENET = (3, 224, 224)

# fvcore's and torchvision's counts of convolutions and fully connected layers
COUNTS = {
    "resnet18": 1_814_073_344,
    "resnet50": 4_089_184_256,
    "densenet121": 2_834_161_664,
    "efficientnet-b0": 385_814_752,
}


def told_of(name, shape, *, labels=2, **arguments):
    network = build(
        name,
        dims=len(shape) - 1,
        in_channels=shape[0],
        labels=labels,
        shape=shape[1:],
        **arguments,
    )
    return network, describe_network(network, shape)


@pytest.mark.parametrize("name", COUNTS)
def test_multiply_adds_are_those_in_the_literature(name):
    network, told = told_of(name, IMAGENET, labels=1000)
    assert told.multiply_adds == COUNTS[name]
    assert told.parameters == sum(weight.numel() for weight in network.parameters())


EVERY = [(name, {}) for name in NETWORKS] + [
    ("resnet18", {"acs": True, "stem": "small"}),
    ("resnet18", {"shortcut": "padding"}),
]


@pytest.mark.parametrize(("name", "arguments"), EVERY)
def test_every_weight_is_told_of_once_and_every_layer_in_words(name, arguments):
    network, told = told_of(name, (1, 32, 32, 32), **arguments)
    assert sum(layer.parameters for layer in told.layers) == told.parameters
    assert all(layer.kind and layer.does for layer in told.layers)
    stages = told.stages()
    assert sum(stage.parameters for stage in stages) == told.parameters
    assert sum(stage.multiply_adds for stage in stages) == told.multiply_adds
    assert len(stages) < len(told.layers)
    leaves = [m for m in network.modules() if not list(m.children())]
    unknown = {type(m).__name__ for m in leaves if not isinstance(m, LAYERS)}
    assert unknown <= {"Identity"}


def test_outputs_have_the_shapes_that_the_layers_really_give():
    network, told = told_of("resnet18", (1, 48, 40))
    shapes, handles = {}, []
    for name, module in network.named_modules():
        hook = lambda _m, _i, out, name=name: shapes.update({name: out.shape[1:]})  # noqa: E731
        handles.append(module.register_forward_hook(hook))
    network(torch.zeros(2, 1, 48, 40))
    layers = [layer for layer in told.layers if layer.name in shapes]
    assert len(layers) > 50
    for layer in layers:
        if layer.kind != "activation":  # one activation may stand in several places
            assert layer.output == tuple(shapes[layer.name]), layer


def test_a_plain_network_has_the_receptive_fields_of_the_formula():
    _, told = told_of("basic_cnn", (1, 64, 64), depth=5)
    fields = [layer.sees for layer in told.layers if layer.kind == "convolution"]
    # 3 for the first; each block adds (2 - 1) step for pooling and 2 steps, doubled
    wanted, size, step = [], 1, 1
    for block in range(5):
        if block:
            size, step = size + step, step * 2
        size += 2 * step
        wanted.append((size, size))
    assert fields == wanted


@pytest.mark.parametrize(
    ("name", "arguments", "field"),
    [
        ("resnet18", {}, 435),  # published for ResNet-18
        ("resnet50", {}, 427),  # 11 + 3*8 + 8+3*16 + 16+5*32 + 32+2*64
        ("resnet50", {"stride_in_first": True}, 483),  # published for the original
        ("resnet18", {"stem": "small"}, 109),
    ],
)
def test_a_resnet_sees_as_far_as_published(name, arguments, field):
    _, told = told_of(name, (1, 64, 64), **arguments)
    body = [layer for layer in told.layers if layer.name.startswith("body.")]
    assert body[-1].sees == (field, field)


def _seen(network, shape, axis):
    """Measure what the middle of the last feature map sees: NaN goes wherever it can.

    All pixels before (or from) a place are made NaN; the place where the middle turns
    to NaN is the edge of what it sees. Found by halving.
    """
    side = shape[axis]

    def is_nan(first, last):
        image = torch.zeros(1, *shape)
        image.narrow(axis + 1, first, last - first).fill_(math.nan)
        with torch.no_grad():
            maps = network.body(image)
        middle = maps[(0, slice(None), *(n // 2 for n in maps.shape[2:]))]
        return bool(middle.isnan().any())

    def edge(is_seen):
        low, high = 0, side  # is_seen(low) is False, is_seen(high) is True
        while high - low > 1:
            half = (low + high) // 2
            low, high = (low, half) if is_seen(half) else (half, high)
        return high

    left = edge(lambda n: is_nan(0, n)) - 1
    right = side - edge(lambda n: is_nan(side - n, side))
    assert left > 0
    assert right < side - 1
    return right - left + 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "shape", "axis"),
    [
        ("basic_cnn", {}, (1, 16, 96), 2),
        ("basic_cnn", {"depth": 3}, (1, 64, 8, 8), 1),
        ("resnet18", {}, (1, 32, 608), 2),
        ("resnet18", {"layers": 2, "shortcut": "padding"}, (1, 160, 32), 1),
        ("resnet50", {"layers": 2}, (1, 32, 192), 2),
        ("resnet18", {"layers": 2, "stem": "small", "acs": True}, (1, 8, 48, 8), 2),
        ("efficientnet-lite0", {}, (1, 32, 1152), 2),
        ("cnn_rnn", {"cnn": "basic_cnn", "depth": 3}, (1, 3, 16, 64), 3),
    ],
)
def test_the_receptive_field_is_what_can_change_an_output(name, arguments, shape, axis):
    network, told = told_of(name, shape, **arguments)
    if name == "cnn_rnn":  # its last layer sees all slices; what is before does not
        network.body = nn.Sequential(*network.body[:-1])
        shape, axis = (shape[0], *shape[2:]), axis - 1
    layers = [one for one in told.layers if one.name.startswith("body.")]
    layers = [one for one in layers if not one.name.startswith("body.slices")]
    measured = _seen(network.eval(), shape, axis)
    assert layers[-1].sees[-len(shape) + axis] == measured


def test_global_gates_and_slices_see_the_whole_image():
    _, told = told_of("efficientnet-b0", (1, 64, 64))
    pooled = [layer for layer in told.layers if layer.kind == "global pooling"]
    assert len(pooled) == 17  # one in each of 16 blocks, one before the head
    assert all(layer.sees is None for layer in pooled)
    _, told = told_of("cnn_rnn", (1, 8, 32, 32), cnn="basic_cnn")
    sees = {layer.name: layer.sees for layer in told.layers}
    assert sees["body.block4.convolution"] == (1, 38, 38)
    assert sees["body.slices.mean"] == (1, 32, 32)
    assert sees["body.slices.gru"] is None


def test_sharing_saves_what_a_fully_connected_layer_would_need():
    _, told = told_of("basic_cnn", (3, 8, 10))
    first = told.layers[0]
    dense = nn.Linear(3 * 8 * 10, 16 * 8 * 10)
    assert first.fully_connected == sum(w.numel() for w in dense.parameters())
    assert first.saved == first.fully_connected - (3 * 9 + 1) * 16
    _, told = told_of("mlp", (1, 8, 8))
    assert all(layer.saved == 0 for layer in told.layers)


def test_millimetres_follow_the_spacing_of_each_axis():
    network = build("basic_cnn", dims=3, in_channels=1, labels=2)
    told = describe_network(network, (1, 16, 16, 16), spacing_mm=(3.0, 0.5, 0.25))
    assert told.layers[0].sees_mm == (9.0, 1.5, 0.75)
    assert told.layers[-1].sees_mm is None


def test_acs_kernels_cost_what_flat_kernels_cost():
    layer = AcsConv(2, 6, 3, padding=1, bias=False)
    assert layer.weight.numel() == 6 * 2 * 9
    _, told = told_of("resnet18", (1, 8, 8, 8), acs=True, stem="small", layers=1)
    assert told.layers[0].multiply_adds == 64 * 8**3 * 9


@pytest.mark.parametrize(("name", "side"), [("densenet121", 8), ("mlp", 8)])
def test_images_that_a_network_cannot_take_are_refused(name, side):
    network = build(name, dims=2, in_channels=1, labels=2, shape=(9, 9))
    with pytest.raises(BundleError, match=r"cannot take images of shape \(1, 8, 8\)"):
        describe_network(network, (1, side, side))


def test_describing_changes_nothing():
    network = build("resnet18", dims=2, in_channels=1, labels=2).train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    describe_network(network, (1, 64, 64))
    assert network.training
    assert all(not module._forward_hooks for module in network.modules())
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])
