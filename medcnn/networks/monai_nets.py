"""A MONAI bundle's network, rebuilt from a list of known classes."""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from monai.networks import nets
from torch import nn

from medcnn.errors import BundleError, MissingDependencyError
from medcnn.networks.monai_config import HINT, Definition, first_of, read_definition
from medcnn.networks.pretrained import read_weights

__all__ = ["KNOWN", "TORCHVISION", "Found", "network_as_onnx", "read_monai_bundle"]

KNOWN = {
    *("DenseNet121", "DenseNet169", "DenseNet201", "DenseNet264", "EfficientNetBN"),
    *("resnet10", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("SENet154", "SEResNet50", "SEResNet101", "SEResNet152"),
    *("SEResNext50", "SEResNext101"),
}
"""The classes and functions of monai.networks.nets that are built."""

TORCHVISION = "TorchVisionFCModel"
"""MONAI's class that puts another head on a network of torchvision."""

_RESNETS = {"resnet18", "resnet34", "resnet50", "resnet101", "resnet152"}
"""Those whose layers MONAI has, too: torchvision need not be installed."""

_TORCHVISION_NETS = {
    *("inception_v3", "resnext50_32x4d", "resnext101_32x8d"),
    *("wide_resnet50_2", "wide_resnet101_2"),
}
_OWN = {"num_classes", "dim", "in_channels", "use_conv", "pool", "bias", "fc_name"}
"""Arguments of TorchVisionFCModel that are not for torchvision."""

_WEIGHTS = ("models/model.safetensors", "models/model.pt", "models/model.pth")
_OPSET = 18


@dataclass(frozen=True, eq=False)
class Found:
    """A network of a MONAI bundle.

    Attributes:
        name: Of its class.
        network: With its weights, in evaluation mode.
        weights: The file that they were in.
    """

    name: str
    network: Any
    weights: Path


def read_monai_bundle(folder: Path) -> Found:
    """Rebuild the network of a MONAI bundle with its weights.

    Args:
        folder: The bundle.

    Raises:
        BundleError: If it lacks a part, its network is none of `KNOWN` or is told by an
            expression, or the weights do not fit.
        MissingDependencyError: If its network is torchvision's, which is not installed.
    """
    said = read_definition(folder)
    name, build = _builder(said)
    try:
        network = build()
    except Exception as error:
        words = " ".join(str(error).split())[:200]
        msg = f"{said.path}: {name} cannot be built of {said.arguments}: {words}"
        raise BundleError(msg, hint=HINT) from error
    weights_path = first_of(folder, _WEIGHTS)
    try:
        network.load_state_dict(read_weights(weights_path))
    except RuntimeError as error:
        words = " ".join(str(error).split())[:200]
        msg = f"{weights_path} does not fit {name}: {words}"
        raise BundleError(msg, hint=HINT) from error
    if hasattr(network, "set_swish"):  # one that can be traced
        network.set_swish(memory_efficient=False)
    return Found(name, network.eval(), weights_path)


def _builder(said: Definition) -> tuple[str, Callable[[], Any]]:
    """Return what a network is called, and what builds it; nothing is downloaded.

    Raises:
        BundleError: If it is not known.
        MissingDependencyError: If torchvision is needed and not installed.
    """
    downloads = {"pretrained", "weights", "progress"}
    plain = {k: v for k, v in said.arguments.items() if k not in downloads}
    if said.target != TORCHVISION:
        _refuse_unknown(said, "_target_", said.target, KNOWN | {TORCHVISION})
        make = getattr(nets, said.target)
        return said.target, lambda: make(**plain, pretrained=False)
    inner = str(plain.pop("model_name", "resnet18"))
    _refuse_unknown(said, "model_name", inner, _RESNETS | _TORCHVISION_NETS)
    if inner in _RESNETS and set(plain) <= _OWN:
        return inner, lambda: nets.NetAdapter(_resnet(inner), **_adapted(plain))
    if find_spec("torchvision") is None:
        msg = f"{said.path}: {inner} is torchvision's, which is not installed"
        hint = "Install the torchvision of your torch, or export the network as ONNX "
        raise MissingDependencyError(msg, hint=hint + "where it was made.")
    make = getattr(nets, TORCHVISION)
    if inner == "inception_v3":  # else its first weights, which go, take a minute
        plain.setdefault("init_weights", False)
    return inner, lambda: make(inner, **plain, pretrained=False)


def _refuse_unknown(said: Definition, key: str, name: str, known: set[str]) -> None:
    """Refuse a network that is not in a list.

    Raises:
        BundleError: If it is not.
    """
    if name not in known:
        msg = f"{said.path}: network_def.{key} is {name!r}, which is not built; known "
        msg += f"are {', '.join(sorted(known))}"
        raise BundleError(msg, hint=HINT)


def _adapted(plain: dict[str, Any]) -> dict[str, Any]:
    """Return arguments with what TorchVisionFCModel takes where nothing is said."""
    return {
        "num_classes": 1,
        "pool": ("avg", {"kernel_size": 7, "stride": 1}),
        **plain,
    }


def _resnet(name: str) -> Any:
    """Return torchvision's ResNet, built by MONAI: the same layers in the same order.

    References:
        [1] He et al., Deep residual learning, CVPR 2016; stride in the 3 x 3 layer.
    """
    make = getattr(nets, name)
    return make(
        spatial_dims=2,
        n_input_channels=3,
        conv1_t_stride=2,
        shortcut_type="B",
        bias_downsample=False,
        num_classes=1000,
        pretrained=False,
    )


def network_as_onnx(network: Any, shape: tuple[int, ...]) -> bytes:
    """Return a network from images to logits as an ONNX file.

    Args:
        network: In evaluation mode, on the CPU.
        shape: One input, (C, ...), as the network takes it.

    Raises:
        BundleError: If it does not take such an input, or cannot be traced.
    """
    target: Any = io.BytesIO()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                pooled_once(network, shape),
                (torch.zeros(1, *shape),),
                target,
                input_names=["image"],
                output_names=["logits"],
                opset_version=_OPSET,
                dynamo=False,
            )
    except Exception as error:
        words = " ".join(str(error).split())[:200]
        msg = f"the network cannot be traced with an input of {shape}: {words}"
        raise BundleError(msg, hint="Correct input.channels or input.shape.") from error
    return bytes(target.getvalue())


def pooled_once(network: Any, shape: tuple[int, ...]) -> Any:
    """Return a network with its head as a linear layer on a mean, if that it is.

    A TorchVisionFCModel may have a window of just the map's size for that mean, and a
    convolution of 1 x 1 for that layer: the same numbers, that no map is recognised by.

    Args:
        network: In evaluation mode.
        shape: One input, (C, ...), as the network takes it.
    """
    if not isinstance(network, nets.NetAdapter):
        return network
    with torch.no_grad():
        features = network.features(torch.zeros(1, *shape))
    sides = tuple(features.shape[2:]) if torch.is_tensor(features) else ()
    pool = network.pool
    is_mean = isinstance(pool, nn.AvgPool2d) and _sides(pool.kernel_size) == sides
    if not is_mean:
        is_flat = not network.use_conv
        return network if is_flat else nn.Sequential(network, nn.Flatten(1)).eval()
    head = _as_linear(network.fc) if network.use_conv else network.fc
    layers = (network.features, nn.AdaptiveAvgPool2d(1), nn.Flatten(1), head)
    return nn.Sequential(*layers).eval()


def _as_linear(convolution: Any) -> Any:
    """Return the linear layer that a convolution of 1 x 1 is on a single place."""
    has_bias = convolution.bias is not None
    head = nn.Linear(convolution.in_channels, convolution.out_channels, bias=has_bias)
    with torch.no_grad():
        head.weight.copy_(convolution.weight.flatten(1))
        if has_bias:
            head.bias.copy_(convolution.bias)
    return head


def _sides(kernel: int | tuple[int, ...]) -> tuple[int, ...]:
    return (kernel, kernel) if isinstance(kernel, int) else tuple(kernel)
