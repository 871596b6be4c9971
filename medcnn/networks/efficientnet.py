"""EfficientNet and EfficientNet-lite, over MONAI's.

The lite nets leave out squeeze-and-excitation and take ReLU6 for swish, so that they
run fast and quantise well on small machines; stem and head keep their width, first and
last stage their depth, whatever the scale.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator

from monai.networks.nets import EfficientNet, EfficientNetBN
from torch import nn

from medcnn.networks.classifier import Classifier

__all__ = [
    "efficientnet_b0",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
]

# The "same" padding is laid out for a side; every multiple of 32 gives one layout.
_ANY_SIDE = 224

# repeats, kernel, stride, expansion, channels in, channels out: Tan & Le, table 1
_STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)


def efficientnet_b0(
    *,
    dims: int,
    in_channels: int,
    labels: int,
    dropout: float = 0.2,
    drop_connect: float = 0.2,
) -> Classifier:
    """Build EfficientNet-B0.

    References:
        [1] Tan & Le, EfficientNet: rethinking model scaling, ICML 2019.
    """
    net = EfficientNetBN(
        "efficientnet-b0",
        pretrained=False,
        spatial_dims=dims,
        in_channels=in_channels,
        num_classes=1,
    )
    _set_activation(net, nn.SiLU)
    _set_drop_connect(net, drop_connect)
    return _classifier(net, labels, dims, dropout)


def efficientnet_lite0(
    *,
    dims: int,
    in_channels: int,
    labels: int,
    dropout: float = 0.2,
    drop_connect: float = 0.2,
) -> Classifier:
    """Build EfficientNet-lite0 (width 1.0, depth 1.0)."""
    net = _lite(1.0, 1.0, dims, in_channels, drop_connect)
    return _classifier(net, labels, dims, dropout)


def efficientnet_lite1(
    *,
    dims: int,
    in_channels: int,
    labels: int,
    dropout: float = 0.2,
    drop_connect: float = 0.2,
) -> Classifier:
    """Build EfficientNet-lite1 (width 1.0, depth 1.1)."""
    net = _lite(1.0, 1.1, dims, in_channels, drop_connect)
    return _classifier(net, labels, dims, dropout)


def efficientnet_lite2(
    *,
    dims: int,
    in_channels: int,
    labels: int,
    dropout: float = 0.3,
    drop_connect: float = 0.2,
) -> Classifier:
    """Build EfficientNet-lite2 (width 1.1, depth 1.2)."""
    net = _lite(1.1, 1.2, dims, in_channels, drop_connect)
    return _classifier(net, labels, dims, dropout)


def _lite(
    width: float, depth: float, dims: int, in_channels: int, drop_connect: float
) -> EfficientNet:
    """Build MONAI's class with the stages scaled here and no scaling of its own."""
    net = EfficientNet(
        list(_stage_codes(width, depth)),
        spatial_dims=dims,
        in_channels=in_channels,
        num_classes=1,
        image_size=_ANY_SIDE,
        drop_connect_rate=drop_connect,
    )
    _set_activation(net, nn.ReLU6)
    return net


def _stage_codes(width: float, depth: float) -> Iterator[str]:
    """Write the stages in MONAI's code, without squeeze-and-excitation."""
    for index, (repeats, kernel, stride, expand, have, want) in enumerate(_STAGES):
        edge = index in {0, len(_STAGES) - 1}
        count = repeats if edge else math.ceil(depth * repeats)
        first = have if index == 0 else _round_width(have * width)
        last = _round_width(want * width)
        yield f"r{count}_k{kernel}_s{stride}{stride}_e{expand}_i{first}_o{last}"


def _round_width(channels: float) -> int:
    """Round to a multiple of 8, never down by more than a tenth."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _set_activation(net: EfficientNet, activation: type[nn.Module]) -> None:
    """Put one plain activation in place of MONAI's memory-saving swish."""
    net._swish = activation(inplace=True)  # noqa: SLF001 - MONAI has no argument for it
    for stage in net._blocks:  # noqa: SLF001
        for block in stage:
            block._swish = activation(inplace=True)  # noqa: SLF001


def _set_drop_connect(net: EfficientNet, rate: float) -> None:
    """Let stochastic depth grow from 0 to `rate` over the blocks."""
    blocks = [block for stage in net._blocks for block in stage]  # noqa: SLF001
    for index, block in enumerate(blocks):
        block.drop_connect_rate = rate * index / len(blocks)


def _classifier(
    net: EfficientNet, labels: int, dims: int, dropout: float
) -> Classifier:
    """Take the body out of MONAI's network, stage by stage."""
    stem = OrderedDict(
        padding=net._conv_stem_padding,  # noqa: SLF001
        conv=net._conv_stem,  # noqa: SLF001
        bn=net._bn0,  # noqa: SLF001
        act=net._swish,  # noqa: SLF001
    )
    stages: OrderedDict[str, nn.Module] = OrderedDict(stem=nn.Sequential(stem))
    for index, stage in enumerate(net._blocks):  # noqa: SLF001
        stages[f"stage{index + 1}"] = stage
    last = OrderedDict(
        padding=net._conv_head_padding,  # noqa: SLF001
        conv=net._conv_head,  # noqa: SLF001
        bn=net._bn1,  # noqa: SLF001
        act=type(net._swish)(inplace=True),  # noqa: SLF001
    )
    stages["last"] = nn.Sequential(last)
    features = net._conv_head.out_channels  # noqa: SLF001
    return Classifier(
        stages, features=features, labels=labels, dims=dims, dropout=dropout
    )
