"""The networks: a visible table of names, 2-D and 3-D by one argument."""

from collections.abc import Callable
from typing import Any

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
from medcnn.networks.export import export_graph
from medcnn.networks.pretrained import PretrainedReport, load_pretrained
from medcnn.networks.resnet import resnet18, resnet50

__all__ = [
    "NETWORKS",
    "Classifier",
    "PretrainedReport",
    "build",
    "export_graph",
    "load_pretrained",
]

NETWORKS: dict[str, Callable[..., Classifier]] = {
    "basic_cnn": basic_cnn,
    "densenet121": densenet121,
    "efficientnet-b0": efficientnet_b0,
    "efficientnet-lite0": efficientnet_lite0,
    "efficientnet-lite1": efficientnet_lite1,
    "efficientnet-lite2": efficientnet_lite2,
    "resnet18": resnet18,
    "resnet50": resnet50,
}


def build(
    name: str, *, dims: int, in_channels: int, labels: int, **arguments: Any
) -> Classifier:
    """Build a network by its name, with fresh weights.

    Args:
        name: A key of `NETWORKS`.
        dims: 2 for pictures, 3 for volumes.
        in_channels: 1 for grey, 3 for colour.
        labels: Number of logits.
        arguments: What that network takes besides, such as dropout.

    Raises:
        BundleError: If the name is unknown, or an argument is.

    Examples:
        >>> network = build("basic_cnn", dims=3, in_channels=1, labels=2)
        >>> sum(weight.numel() for weight in network.parameters())
        291714
    """
    if name not in NETWORKS:
        msg = f"network {name!r} is unknown, expected one of {', '.join(NETWORKS)}"
        raise BundleError(msg)
    try:
        return NETWORKS[name](
            dims=dims, in_channels=in_channels, labels=labels, **arguments
        )
    except TypeError as error:
        msg = f"network {name!r} does not take these arguments: {error}"
        raise BundleError(msg) from error
