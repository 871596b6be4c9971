"""A 2-D CNN for each slice, and a GRU that reads the slices in their order.

A finding on CT or MR often lies in a few slices, and what a slice means depends on its
neighbours. The CNN says what each slice shows, and where. The GRU reads these words up
and down the stack and says, for each slice, how much it counts and how much each of its
features counts there.

The usual network of this kind classifies the GRU's state, and no one can say any more
where in a slice the evidence lay. Here the state weighs the CNN's maps instead. The
logit stays the mean, over all places of all slices, of what each place says alone; so
the class activation map is exact and lies in place, in three dimensions. The last state
of a GRU, which has seen every slice and belongs to none, is not on offer for the same
reason.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from medcnn.errors import BundleError
from medcnn.networks.basic import basic_cnn
from medcnn.networks.classifier import Classifier
from medcnn.networks.densenet import densenet121
from medcnn.networks.efficientnet import (
    efficientnet_b0,
    efficientnet_lite0,
    efficientnet_lite1,
    efficientnet_lite2,
)
from medcnn.networks.resnet import resnet18, resnet50

__all__ = ["CNNS", "SliceBody", "SliceWeights", "cnn_rnn"]

CNNS: dict[str, Callable[..., Classifier]] = {
    "basic_cnn": basic_cnn,
    "densenet121": densenet121,
    "efficientnet-b0": efficientnet_b0,
    "efficientnet-lite0": efficientnet_lite0,
    "efficientnet-lite1": efficientnet_lite1,
    "efficientnet-lite2": efficientnet_lite2,
    "resnet18": resnet18,
    "resnet50": resnet50,
}
"""The convolutional networks, each of which can look at slices."""


def cnn_rnn(
    *,
    dims: int,
    in_channels: int,
    labels: int,
    cnn: str = "resnet18",
    hidden: int = 128,
    attention: bool = True,
    **arguments: Any,
) -> Classifier:
    """Build a CNN over slices with a GRU that weighs them.

    Args:
        dims: 3; a picture has no slices to read.
        in_channels: 1 for grey, 3 for colour.
        labels: Number of logits.
        cnn: Which of `CNNS` looks at each slice.
        hidden: Units of the GRU in each direction.
        attention: Whether slices count more or less as a whole; otherwise only their
            features do, and every slice counts the same.
        arguments: What the CNN takes, such as dropout or stem.

    Raises:
        BundleError: If the CNN is unknown, or `dims` is not 3.

    References:
        [1] Cho et al., Learning phrase representations using RNN encoder-decoder,
            EMNLP 2014. [2] Hu et al., Squeeze-and-excitation networks, CVPR 2018: the
            gates, here with a memory of the neighbours.
    """
    if dims != 3:
        msg = f"cnn_rnn reads the slices of volumes: it takes dims 3, got {dims}"
        raise BundleError(msg, hint=f"For pictures use its CNN alone: {cnn}.")
    if cnn not in CNNS:
        msg = f"cnn {cnn!r} is unknown, expected one of {', '.join(CNNS)}"
        raise BundleError(msg)
    flat = CNNS[cnn](dims=2, in_channels=in_channels, labels=labels, **arguments)
    features = flat.head.in_features
    stages = OrderedDict(flat.body.named_children())
    stages["slices"] = SliceWeights(features, hidden=hidden, attention=attention)
    return Classifier(
        SliceBody(stages),
        features=features,
        labels=labels,
        dims=3,
        dropout=flat.dropout.p,
    )


class SliceBody(nn.Sequential):
    """2-D stages that see each slice alone; then one that sees them all."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return weighted maps (B, F, D, h, w) of volumes (B, C, D, H, W)."""
        *stages, slices = self
        count, depth = x.shape[0], x.shape[2]
        x = x.transpose(1, 2).flatten(0, 1)  # (B D, C, H, W)
        for stage in stages:
            x = stage(x)
        maps = x.unflatten(0, (count, depth)).transpose(1, 2)  # (B, F, D, h, w)
        weighted: torch.Tensor = slices(maps)
        return weighted


class SliceWeights(nn.Module):
    """Weigh each slice's maps by what a GRU read above and below it.

    Args:
        features: Channels of the maps, F.
        hidden: Units of the GRU in each direction, H.
        attention: Whether slices are weighed as a whole, too.
    """

    def __init__(self, features: int, *, hidden: int, attention: bool) -> None:
        super().__init__()
        self.gru = nn.GRU(features, hidden, batch_first=True, bidirectional=True)
        self.gate = nn.Linear(2 * hidden, features)
        self.attention = nn.Linear(2 * hidden, 1) if attention else None

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return maps (B, F, D, h, w) weighed by slice and feature."""
        words = maps.flatten(3).mean(3).transpose(1, 2)  # (B, D, F)
        states = self.gru(words)[0]  # (B, D, 2 H)
        weights = 2 * torch.sigmoid(self.gate(states))  # (B, D, F), 1 is neutral
        if self.attention is not None:
            shares = torch.softmax(self.attention(states), 1)  # (B, D, 1), sum 1
            weights = weights * (shares * maps.shape[2])  # mean 1
        return maps * weights.transpose(1, 2)[..., None, None]
