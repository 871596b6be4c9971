"""The shape that every network here has: a body, global average pooling, a linear head.

With that shape, the class activation map is the head's weighted sum of the body's last
feature map, whatever the body is.
"""

from collections import OrderedDict

import torch
from torch import nn

__all__ = ["Classifier", "centre_head"]


class Classifier(nn.Module):
    """A body of stages, then pooling, dropout and one fully connected layer.

    Args:
        stages: The body in order, from the stem to the last feature map; or the body
            itself, if it does more than call one stage after the other.
        features: Channels of the last feature map, F.
        labels: Number of logits, L.
        dims: 2 for pictures, 3 for volumes.
        dropout: Share of features set to 0 in training, 0 to 1.

    Attributes:
        body: (B, C, ...) to the last feature map (B, F, ...), or to features without
            a place, (B, F), where nothing before was a convolution.
        head: The fully connected layer, F to L.
    """

    def __init__(
        self,
        stages: "OrderedDict[str, nn.Module] | nn.Sequential",
        *,
        features: int,
        labels: int,
        dims: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.body = (
            stages if isinstance(stages, nn.Sequential) else nn.Sequential(stages)
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(features, labels)
        self.dims = dims

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits of shape (B, L)."""
        return self.with_features(x)[0]

    def with_features(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (B, L) and the last feature map (B, F, h, w[, d first])."""
        features = self.body(x)  # (B, F, h, w) or (B, F, d, h, w) or (B, F)
        return self.head(self.dropout(self.pool(features))), features

    @staticmethod
    def pool(features: torch.Tensor) -> torch.Tensor:
        """Average each channel over all places: (B, F, ...) to (B, F)."""
        return features if features.ndim == 2 else features.flatten(2).mean(2)

    def stages(self) -> list[list[nn.Parameter]]:
        """Return the body's parameters stage by stage, stem first."""
        groups = [list(stage.parameters()) for stage in self.body]
        return [group for group in groups if group]


def centre_head(network: Classifier) -> None:
    """Subtract from each class's weights the mean of all classes, in place.

    Classes of which exactly one is true get their shares from the differences of the
    logits alone, so shares stay as they are. A single class's logit, and its heatmap,
    could be anything before: any function of the features may be added to all logits.
    Afterwards the logits of each case add up to 0, and each says how much more speaks
    for its class than for the mean of all.

    Args:
        network: Whose labels are classes.
    """
    with torch.no_grad():
        network.head.weight.sub_(network.head.weight.mean(0, keepdim=True))
        network.head.bias.sub_(network.head.bias.mean())
