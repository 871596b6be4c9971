"""Residual networks, over MONAI's."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from monai.networks.nets.resnet import ResNet
from torch import nn
from torch.nn import functional

from medcnn.errors import BundleError
from medcnn.networks.acs import to_acs
from medcnn.networks.classifier import Classifier

__all__ = [
    "STEMS",
    "PaddedShortcut",
    "ResNetDesign",
    "Stem",
    "check_stem",
    "resnet18",
    "resnet50",
]

_WIDTHS = [64, 128, 256, 512]
_WIDEST = 512
_STEM_SIZE = {"usual": (7, 2), "small": (3, 1), "half": (5, 2)}  # kernel, stride

Stem = Literal["usual", "small", "half"]
STEMS: tuple[str, ...] = get_args(Stem)
_SHORTCUTS = ("convolution", "padding")


@dataclass(frozen=True, kw_only=True)
class ResNetDesign:
    """How a ResNet departs from the usual one.

    Attributes:
        layers: How many of the four stages to keep. Three make a smaller network whose
            feature map is twice as fine: what is lost is what the fourth learnt of
            cats and cars.
        stem: "usual" is a 7 x 7 convolution and a pooling that leave a quarter of each
            side; "small", for inputs of up to 64 pixels, is one 3 x 3 convolution that
            leaves the side as it is; "half", for small volumes, is a 5 x 5 one that
            leaves a half.
        width: Channels of the first stage; each further one has twice as many.
        acs: For volumes: 2-D kernels that look from three sides, see `networks.acs`.
        shortcut: Where a stage changes the size, the way around a block is a 1 x 1
            "convolution", or the picture thinned out with "padding" of zero channels,
            as in MedicalNet's ResNet-18.
        stride_in_first: ResNet-50: put a stage's stride into its first 1 x 1
            convolution, as the original did and Keras' weights expect, rather than
            into the 3 x 3 one.
        last_stride: Stride of the last stage that is kept: 2 as usual, or 1, which
            leaves the feature map, and so the heatmap, twice as fine.
    """

    layers: int = 4
    stem: str = "usual"
    width: int = _WIDTHS[0]
    acs: bool = False
    shortcut: str = "convolution"
    stride_in_first: bool = False
    last_stride: int = 2

    def __post_init__(self) -> None:
        if not 1 <= self.layers <= len(_WIDTHS):
            msg = f"a ResNet has 1 to {len(_WIDTHS)} layers to keep, got {self.layers}"
            raise BundleError(msg)
        if not 1 <= self.width <= _WIDEST:
            msg = f"a ResNet's width is 1 to {_WIDEST}, got {self.width}"
            raise BundleError(msg)
        check_stem(self.stem)
        if self.shortcut not in _SHORTCUTS:
            msg = f"shortcut {self.shortcut!r} is none of {', '.join(_SHORTCUTS)}"
            raise BundleError(msg)
        if self.last_stride not in (1, 2):
            msg = f"a ResNet's last_stride is 1 or 2, got {self.last_stride}"
            raise BundleError(msg)


def check_stem(stem: str, among: Sequence[str] = STEMS) -> None:
    """Refuse a stem that a network does not have.

    Raises:
        BundleError: If it is none of those.
    """
    if stem not in among:
        msg = f"stem {stem!r} is unknown, expected one of {', '.join(among)}"
        raise BundleError(msg)


def resnet18(
    *, dims: int, in_channels: int, labels: int, dropout: float = 0.0, **design: Any
) -> Classifier:
    """Build ResNet-18 with the usual stride of 2 in its first convolution.

    Args:
        dims: 2 or 3.
        in_channels: 1 for grey, 3 for colour.
        labels: Number of logits.
        dropout: Share of features set to 0 in training.
        design: Any of `ResNetDesign`.

    Raises:
        BundleError: If the design is not for this network.

    References:
        [1] He et al., Deep residual learning for image recognition, CVPR 2016.
    """
    wanted = ResNetDesign(**design)
    if wanted.stride_in_first:
        msg = "stride_in_first is for resnet50; resnet18 has its stride there already"
        raise BundleError(msg)
    stages = _stages("basic", [2, 2, 2, 2], dims, in_channels, wanted)
    features = wanted.width * 2 ** (wanted.layers - 1)
    return Classifier(
        stages, features=features, labels=labels, dims=dims, dropout=dropout
    )


def resnet50(
    *, dims: int, in_channels: int, labels: int, dropout: float = 0.0, **design: Any
) -> Classifier:
    """Build ResNet-50.

    Args:
        dims: 2 or 3.
        in_channels: 1 for grey, 3 for colour.
        labels: Number of logits.
        dropout: Share of features set to 0 in training.
        design: Any of `ResNetDesign`.
    """
    wanted = ResNetDesign(**design)
    stages = _stages("bottleneck", [3, 4, 6, 3], dims, in_channels, wanted)
    features = wanted.width * 2 ** (wanted.layers - 1) * 4
    return Classifier(
        stages, features=features, labels=labels, dims=dims, dropout=dropout
    )


class PaddedShortcut(nn.Module):
    """A way around a block without weights: fewer places, more (empty) channels."""

    def __init__(self, *, stride: int, more: int) -> None:
        super().__init__()
        self.stride = stride
        self.more = more

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, C + more, ...) at every `stride`-th place of (B, C, ...)."""
        places = (slice(None, None, self.stride),) * (x.ndim - 2)
        thinned = x[(slice(None), slice(None), *places)]
        return functional.pad(thinned, [0, 0] * len(places) + [0, self.more])


def _stages(
    block: str, blocks: list[int], dims: int, in_channels: int, design: ResNetDesign
) -> "OrderedDict[str, nn.Module]":
    """Take the body out of MONAI's network, stage by stage.

    Raises:
        BundleError: If pictures are to be looked at from three sides.
    """
    if design.acs and dims != 3:
        msg = f"acs looks at volumes from three sides; it takes dims 3, got {dims}"
        raise BundleError(msg)
    net = _monai(block, blocks, 2 if design.acs else dims, in_channels, design)
    _move_strides(net, design)
    stem = OrderedDict(conv1=net.conv1, bn1=net.bn1, act=nn.ReLU(inplace=True))
    if design.stem == "usual":
        stem["maxpool"] = net.maxpool
    stages: OrderedDict[str, nn.Module] = OrderedDict(stem=nn.Sequential(stem))
    for number in range(1, design.layers + 1):
        stages[f"layer{number}"] = getattr(net, f"layer{number}")
    if design.acs:
        return OrderedDict((name, to_acs(stage)) for name, stage in stages.items())
    return stages


def _move_strides(net: Any, design: ResNetDesign) -> None:
    """Put strides and shortcuts of the stages' first blocks where the design says."""
    if design.stride_in_first:
        for layer in (net.layer2, net.layer3, net.layer4):
            first = layer[0]
            strides = first.conv1.stride, first.conv2.stride
            first.conv2.stride, first.conv1.stride = strides
    if design.last_stride == 1:
        first = getattr(net, f"layer{design.layers}")[0]
        for part in first.modules():
            if isinstance(part, nn.Conv2d | nn.Conv3d):
                part.stride = (1,) * len(part.stride)
    if design.shortcut == "padding":
        for first in _first_blocks(net):
            conv = first.downsample[0]
            more = conv.out_channels - conv.in_channels
            first.downsample = PaddedShortcut(stride=conv.stride[0], more=more)


def _monai(
    block: str, blocks: list[int], dims: int, in_channels: int, design: ResNetDesign
) -> Any:
    # MONAI's default stride of 1 for the usual stem costs four times as much
    size, stride = _STEM_SIZE[design.stem]
    return ResNet(
        block,
        blocks,
        [design.width * 2**n for n in range(len(_WIDTHS))],
        spatial_dims=dims,
        n_input_channels=in_channels,
        conv1_t_size=size,
        conv1_t_stride=stride,
        bias_downsample=False,
        feed_forward=False,
    )


def _first_blocks(net: Any) -> Iterator[Any]:
    """Yield each stage's first block, if it changes the size."""
    for number in range(1, len(_WIDTHS) + 1):
        first = getattr(net, f"layer{number}")[0]
        if first.downsample is not None:
            yield first
