"""What each kind of layer computes, in words that a student understands."""

from collections.abc import Callable
from typing import Any

from torch import nn

from medcnn.networks.acs import AcsConv
from medcnn.networks.resnet import PaddedShortcut

__all__ = ["FUNCTIONS", "LAYERS", "layer_in_words"]


def layer_in_words(layer: nn.Module) -> tuple[str, str]:
    """Return a layer's kind and what it computes.

    Args:
        layer: Of one of the kinds in `LAYERS`.
    """
    for kinds, name, words in _WORDS:
        if isinstance(layer, kinds):
            return name, words(layer)
    return type(layer).__name__, ""


def _size(value: Any, dims: int) -> str:
    """Write a kernel's size as 3 x 3."""
    sides = value if isinstance(value, tuple) else (value,) * dims
    return " x ".join(str(side) for side in sides)


def _each(stride: Any) -> str:
    """Say how far apart the places are that a layer looks at."""
    step = stride[0] if isinstance(stride, tuple) else stride
    order = {2: "2nd", 3: "3rd"}.get(step, f"{step}th")
    return "" if step == 1 else f", at every {order} place"


def _convolution(layer: Any) -> str:
    size, step = _size(layer.kernel_size, 2), _each(layer.stride)
    if set(layer.kernel_size) == {1}:
        return (
            f"mixes the {layer.in_channels} channels of each place "
            f"into {layer.out_channels}{step}"
        )
    if layer.groups == layer.in_channels > 1:
        return f"looks for one pattern of {size} in each channel by itself{step}"
    return (
        f"looks for {layer.out_channels} patterns of {size}, "
        f"with the same weights everywhere{step}"
    )


def _acs(layer: AcsConv) -> str:
    if layer.kernel_size == (1, 1):
        return _convolution(layer)
    return (
        f"looks for {layer.out_channels} patterns of {_size(layer.kernel_size, 2)}, a "
        f"third along each axis, with the same weights everywhere{_each(layer.stride)}"
    )


def _pooling(what: str) -> Callable[[Any], str]:
    def words(layer: Any) -> str:
        dims = 3 if type(layer).__name__.endswith("3d") else 2
        return f"{what} of each {_size(layer.kernel_size, dims)}{_each(layer.stride)}"

    return words


def _always(words: str) -> Callable[[Any], str]:
    return lambda _layer: words


_OVER_ALL = "averages each channel over all places"

_WORDS: tuple[tuple[Any, str, Callable[[Any], str]], ...] = (
    (AcsConv, "convolution", _acs),
    ((nn.Conv2d, nn.Conv3d), "convolution", _convolution),
    (
        (nn.BatchNorm2d, nn.BatchNorm3d),
        "normalisation",
        _always("brings each channel to a common scale"),
    ),
    (nn.ReLU6, "activation", _always("keeps what is above 0, up to 6")),
    (nn.ReLU, "activation", _always("keeps what is above 0, sets the rest to 0")),
    (nn.SiLU, "activation", _always("lets high values pass, damps those below 0")),
    ((nn.MaxPool2d, nn.MaxPool3d), "pooling", _pooling("keeps the highest")),
    ((nn.AvgPool2d, nn.AvgPool3d), "pooling", _pooling("takes the mean")),
    (
        (nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
        "global pooling",
        _always(_OVER_ALL),
    ),
    (
        nn.Linear,
        "fully connected",
        lambda layer: (
            f"connects each of {layer.in_features} inputs "
            f"with each of {layer.out_features} outputs"
        ),
    ),
    (
        nn.Dropout,
        "dropout",
        lambda layer: (
            f"sets {layer.p:.0%} of the values to 0 in training, nothing afterwards"
            if layer.p
            else "is off: does nothing"
        ),
    ),
    (nn.Flatten, "flattening", _always("lays all values in a row: places are lost")),
    (
        nn.GRU,
        "recurrent",
        lambda layer: (
            "reads the slices one after the other, up and down, and keeps "
            f"{layer.hidden_size} numbers in mind each way"
        ),
    ),
    (
        (nn.ConstantPad2d, nn.ConstantPad3d),
        "padding",
        _always("adds a border of zeros"),
    ),
    (
        PaddedShortcut,
        "shortcut",
        lambda layer: f"thins out the places{_each(layer.stride)}, adds empty channels",
    ),
)

LAYERS: tuple[type[nn.Module], ...] = tuple(
    kind
    for kinds, _, _ in _WORDS
    for kind in (kinds if isinstance(kinds, tuple) else (kinds,))
)
"""The layers that are told of; everything else is made of them."""

FUNCTIONS = {
    "add": ("sum", "adds what went around the block: the shortcut"),
    "cat": ("joining", "lays the channels of several layers behind each other"),
    "mul": ("gate", "weighs the channels by what was found out about them"),
    "mean": ("global pooling", _OVER_ALL),
    "sigmoid": ("activation", "squeezes every value between 0 and 1"),
    "softmax": ("activation", "turns values into shares that add up to 1"),
}
"""What is computed between layers, by the name of torch's function."""
