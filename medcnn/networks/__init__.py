"""The networks: a visible table of names, 2-D and 3-D by one argument."""

from collections.abc import Callable
from typing import Any

from medcnn.errors import BundleError
from medcnn.networks.classifier import Classifier, centre_head
from medcnn.networks.cnn_rnn import CNNS, cnn_rnn
from medcnn.networks.ensemble import ensemble_of
from medcnn.networks.export import export_graph
from medcnn.networks.mlp import mlp
from medcnn.networks.pretrained import (
    PretrainedReport,
    load_bundle_weights,
    load_pretrained,
)

__all__ = [
    "NETWORKS",
    "Classifier",
    "PretrainedReport",
    "build",
    "centre_head",
    "ensemble_of",
    "export_graph",
    "load_bundle_weights",
    "load_pretrained",
]


def _ensemble(*, of: str = "resnet18", members: int = 2, **rest: Any) -> Classifier:
    """Build so many networks of one kind side by side: `ensemble_of` them."""
    return ensemble_of([build(of, **rest) for _ in range(members)])


NETWORKS: dict[str, Callable[..., Classifier]] = CNNS | {
    "cnn_rnn": cnn_rnn,
    "ensemble": _ensemble,
    "mlp": mlp,
}

_TAKE_A_SHAPE = {"ensemble", "mlp"}
"""Networks that may have weights for one size of image only."""


def build(
    name: str,
    *,
    dims: int,
    in_channels: int,
    labels: int,
    shape: tuple[int, ...] | None = None,
    **arguments: Any,
) -> Classifier:
    """Build a network by its name, with fresh weights.

    Args:
        name: A key of `NETWORKS`.
        dims: 2 for pictures, 3 for volumes.
        in_channels: 1 for grey, 3 for colour.
        labels: Number of logits.
        shape: (rows, columns) or (slices, rows, columns) of the images; only a fully
            connected network needs to know.
        arguments: What that network takes besides, such as dropout.

    Raises:
        BundleError: If the name is unknown, an argument is, or a shape is needed.

    Examples:
        >>> network = build("basic_cnn", dims=3, in_channels=1, labels=2)
        >>> sum(weight.numel() for weight in network.parameters())
        291714
    """
    if name not in NETWORKS:
        msg = f"network {name!r} is unknown, expected one of {', '.join(NETWORKS)}"
        raise BundleError(msg)
    if name in _TAKE_A_SHAPE:
        arguments = arguments | {"shape": shape}
    try:
        return NETWORKS[name](
            dims=dims, in_channels=in_channels, labels=labels, **arguments
        )
    except TypeError as error:
        msg = f"network {name!r} does not take these arguments: {error}"
        raise BundleError(msg) from error
