"""Residual networks, over MONAI's."""

from collections import OrderedDict
from typing import Any

from monai.networks.nets.resnet import ResNet
from torch import nn

from medcnn.errors import BundleError
from medcnn.networks.classifier import Classifier

__all__ = ["resnet18", "resnet50"]

_WIDTHS = [64, 128, 256, 512]


def resnet18(
    *,
    dims: int,
    in_channels: int,
    labels: int,
    dropout: float = 0.0,
    layers: int = 4,
) -> Classifier:
    """Build ResNet-18 with the usual stride of 2 in its first convolution.

    Args:
        dims: 2 or 3.
        in_channels: 1 for grey, 3 for colour.
        labels: Number of logits.
        dropout: Share of features set to 0 in training.
        layers: How many of the four stages to keep.

    References:
        [1] He et al., Deep residual learning for image recognition, CVPR 2016.
    """
    net = _resnet("basic", [2, 2, 2, 2], dims, in_channels)
    stages = _stages(net, layers)
    return Classifier(
        stages, features=_WIDTHS[layers - 1], labels=labels, dims=dims, dropout=dropout
    )


def resnet50(
    *,
    dims: int,
    in_channels: int,
    labels: int,
    dropout: float = 0.0,
    stride_in_first: bool = False,
    layers: int = 4,
) -> Classifier:
    """Build ResNet-50.

    Three stages make a smaller network whose feature map is twice as fine: what is
    lost is what the fourth learnt of cats and cars.

    Args:
        dims: 2 or 3.
        in_channels: 1 for grey, 3 for colour.
        labels: Number of logits.
        dropout: Share of features set to 0 in training.
        stride_in_first: Put a stage's stride into its first 1 x 1 convolution, as the
            original did and Keras' weights expect, rather than into the 3 x 3 one.
        layers: How many of the four stages to keep.
    """
    net = _resnet("bottleneck", [3, 4, 6, 3], dims, in_channels)
    if stride_in_first:
        for layer in (net.layer2, net.layer3, net.layer4):
            first = layer[0]
            strides = first.conv1.stride, first.conv2.stride
            first.conv2.stride, first.conv1.stride = strides
    stages = _stages(net, layers)
    features = _WIDTHS[layers - 1] * 4
    return Classifier(
        stages, features=features, labels=labels, dims=dims, dropout=dropout
    )


def _resnet(block: str, layers: list[int], dims: int, in_channels: int) -> Any:
    return ResNet(
        block,
        layers,
        _WIDTHS,
        spatial_dims=dims,
        n_input_channels=in_channels,
        conv1_t_stride=2,  # MONAI's default of 1 costs four times as much
        bias_downsample=False,
        feed_forward=False,
    )


def _stages(net: Any, layers: int) -> "OrderedDict[str, nn.Module]":
    """Take the body out of MONAI's network, stage by stage.

    Raises:
        BundleError: If `layers` is not 1 to 4.
    """
    if not 1 <= layers <= len(_WIDTHS):
        msg = f"a ResNet has 1 to {len(_WIDTHS)} layers to keep, got {layers}"
        raise BundleError(msg)
    stem = OrderedDict(
        conv1=net.conv1, bn1=net.bn1, act=nn.ReLU(inplace=True), maxpool=net.maxpool
    )
    stages: OrderedDict[str, nn.Module] = OrderedDict(stem=nn.Sequential(stem))
    for number in range(1, layers + 1):
        stages[f"layer{number}"] = getattr(net, f"layer{number}")
    return stages
