"""A plain fully connected network: what images are to a method that sees no picture.

Every number of the image has its own weight for every hidden unit. Nothing is shared
between places, so what was learnt in one corner is not known in another, and the number
of weights grows with the image. It is here to be beaten.
"""

import math
from collections import OrderedDict

from torch import nn

from medcnn.errors import BundleError
from medcnn.networks.classifier import Classifier

__all__ = ["mlp"]


def mlp(
    *,
    dims: int,
    in_channels: int,
    labels: int,
    shape: tuple[int, ...] | None,
    hidden: int = 512,
    dropout: float = 0.2,
) -> Classifier:
    """Build a network of two hidden layers, which keeps no map of places.

    Args:
        dims: 2 or 3.
        in_channels: 1 for grey, 3 for colour.
        labels: Number of logits.
        shape: (rows, columns) or (slices, rows, columns) of every image.
        hidden: Units of each hidden layer.
        dropout: Share of features set to 0 in training.

    Raises:
        BundleError: If the shape is not known, or not of that many dimensions.
    """
    if shape is None or len(shape) != dims:
        msg = f"an mlp is for one size of image: it takes {dims} sides, got {shape}"
        raise BundleError(msg)
    stages: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    have = in_channels * math.prod(shape)
    for number in (1, 2):
        stages[f"hidden{number}"] = nn.Sequential(
            OrderedDict(linear=nn.Linear(have, hidden), activation=nn.ReLU())
        )
        have = hidden
    return Classifier(
        stages, features=hidden, labels=labels, dims=dims, dropout=dropout
    )
