"""A small CNN whose every layer is plain to read: the one to learn from.

Convolution looks for one small pattern everywhere with the same weights (parameter
sharing); the activation keeps what was found; pooling halves the picture, so that the
next convolution sees twice as far (a hierarchy of features); dropout and the fully
connected layer turn what was found into a decision.
"""

from collections import OrderedDict

from monai.networks.layers.factories import Conv, Norm, Pool
from torch import nn

from medcnn.networks.classifier import Classifier

__all__ = ["basic_cnn"]


def basic_cnn(
    *,
    dims: int,
    in_channels: int,
    labels: int,
    width: int = 16,
    depth: int = 4,
    dropout: float = 0.2,
) -> Classifier:
    """Build the plain network.

    Args:
        dims: 2 or 3.
        in_channels: 1 for grey, 3 for colour.
        labels: Number of logits.
        width: Channels of the first block; each block has twice its predecessor's.
        depth: Number of blocks; each but the first halves the picture.
        dropout: Share of features set to 0 in training.
    """
    convolution, normalisation = Conv[Conv.CONV, dims], Norm[Norm.BATCH, dims]
    pooling = Pool[Pool.MAX, dims]
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    have = in_channels
    for block in range(depth):
        want = width * 2**block
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if block:
            layers["pooling"] = pooling(kernel_size=2)  # (B, have, h / 2, w / 2)
        layers["convolution"] = convolution(have, want, kernel_size=3, padding=1)
        layers["normalisation"] = normalisation(want)
        layers["activation"] = nn.ReLU()  # (B, want, h, w)
        stages[f"block{block + 1}"] = nn.Sequential(layers)
        have = want
    return Classifier(stages, features=have, labels=labels, dims=dims, dropout=dropout)
