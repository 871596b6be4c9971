"""Several trained networks as one: the mean of their logits, and of their maps.

Each member is a body, global average pooling and a linear head. Their last feature maps
are laid behind each other and their heads beside each other, divided by their number:
the result has the same shape as any network here, its logits are the mean of the
members' logits, and its class activation map is the mean of theirs. Every engine,
heatmap and gate therefore takes it like any other.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn

from medcnn.errors import BundleError
from medcnn.networks.classifier import Classifier

__all__ = ["ensemble_of"]


class _SideBySide(nn.ModuleList):
    """Bodies that look at the same image; their feature maps one behind another."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, M * F, ...) for M bodies with F features each."""
        return torch.cat([body(x) for body in self], dim=1)


def ensemble_of(members: Sequence[Classifier]) -> Classifier:
    """Join networks of one kind into one whose logits are the mean of theirs.

    Args:
        members: Alike in their layers, each with its own weights, at least one.

    Raises:
        BundleError: If they differ in their layers.
    """
    first = members[0]
    shapes = [{k: v.shape for k, v in part.state_dict().items()} for part in members]
    if any(shape != shapes[0] for shape in shapes) or any(
        type(part).with_features is not Classifier.with_features for part in members
    ):
        msg = (
            "the networks of an ensemble must have the same layers, up to a plain head"
        )
        raise BundleError(msg)
    bodies = _SideBySide(part.body for part in members)
    joined = Classifier(
        OrderedDict(members=bodies),
        features=first.head.in_features * len(members),
        labels=first.head.out_features,
        dims=first.dims,
        dropout=0.0,
    )
    with torch.no_grad():
        heads = torch.cat([part.head.weight for part in members], dim=1)
        joined.head.weight.copy_(heads / len(members))
        biases = torch.stack([part.head.bias for part in members])
        joined.head.bias.copy_(biases.mean(0))
    return joined
