"""A toy model for slides whose numbers are known: it finds dark blue."""

from pathlib import Path

import torch
from bundles import draft_spec

from medcnn.bundle import Bundle, InputSpec
from medcnn.bundle_writing import write_bundle
from medcnn.gate import GateRules
from medcnn.networks import build, export_graph
from medcnn.preprocessing import Preprocessing, Resize, Window

__all__ = ["make_stain_bundle"]


def make_stain_bundle(path: Path, *, shape=(32, 32), modalities=("SM",)) -> Bundle:
    """Write a bundle whose main label is the share of pixels that are dark blue.

    Its one live feature is max(0, 4 (blue - red) - 0.6) of 0 to 1; "abnormal" is
    sigmoid(40 mean - 4), and "mass" is 0.5 whatever is shown.
    """
    draft = draft_spec(shape=shape)
    steps = (Resize(shape=shape), Window(center=127.5, width=255))
    spec = draft.model_copy(
        update={
            "input": InputSpec(dims=2, channels=3, shape=shape),
            "preprocessing": Preprocessing(channels=3, steps=steps),
            "gate": GateRules(modalities=modalities, min_side=16, colour=True),
        }
    )
    network = build("basic_cnn", dims=2, in_channels=3, labels=2, width=4, depth=3)
    _set_weights(network)
    return write_bundle(
        path,
        spec,
        weights={k: v.numpy() for k, v in network.state_dict().items()},
        graph=lambda file: export_graph(network, (3, *shape), file),
        files={"CARD.md": b"# Toy\n\nIt finds dark blue.\n"},
        feature_model=None,
    )


def _set_weights(network) -> None:
    """Let the first channel carry the colour through every block."""
    with torch.no_grad():
        for stage in network.body:
            for weight in stage.parameters():
                weight.zero_()
            stage.normalisation.weight.fill_(1)
            stage.convolution.weight[0, 0, 1, 1] = 1
        first = network.body[0].convolution
        first.weight[0, :, 1, 1] = torch.tensor([-4.0, 0.0, 4.0])
        first.bias[0] = -0.6
        network.head.weight.zero_()
        network.head.bias.zero_()
        network.head.weight[0, 0] = 40
        network.head.bias[0] = -4
