"""Write a network as an ONNX graph whose weights stay where they are.

A bundle holds its weights once, in weights.safetensors. The graph's initialisers are
external data: each names that file, an offset and a length. Training and inference
therefore cannot drift apart, and the bundle is half the size.

References:
    [1] ONNX external data: location, offset and length of a TensorProto.
    [2] safetensors format: 8 bytes of header length, a JSON header, then the data.
"""

import io
import json
import struct
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx.external_data_helper import set_external_data
from torch import nn

from medcnn.errors import BundleError
from medcnn.networks.classifier import Classifier

__all__ = ["TwoOutputs", "export_graph", "share_weights"]

_OPSET = 18
_MOST_INSIDE = 1 << 20


class TwoOutputs(nn.Module):
    """A network that gives its logits and its last feature map."""

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (B, L) and features (B, F, ...)."""
        return self.network.with_features(x)


def export_graph(
    network: Classifier, shape: tuple[int, ...], weights_file: Path
) -> bytes:
    """Return an ONNX graph with outputs `logits` and `features`.

    Args:
        network: The network, whose weights were saved to `weights_file` already.
        shape: One input, (C, rows, columns) or (C, slices, rows, columns).
        weights_file: weights.safetensors; the graph must lie in the same folder.

    Raises:
        BundleError: If the graph cannot be made to share the file's weights.
    """
    model = _to_onnx(network.cpu().eval(), shape)
    share_weights(model, weights_file)
    return bytes(model.SerializeToString())


def share_weights(model: onnx.ModelProto, weights_file: Path) -> None:
    """Let a graph's initialisers refer to the same tensors in a file.

    Args:
        model: The graph; its initialisers are changed in place.
        weights_file: weights.safetensors; the graph must lie in the same folder.

    Raises:
        BundleError: If more than a little of the weights is not in the file.
    """
    places = _places(weights_file)
    inside = 0
    for tensor in model.graph.initializer:
        name = tensor.name
        name = name if name in places else name.removeprefix("network.")
        size = len(tensor.raw_data)
        if name not in places or places[name][1] != size:
            inside += size
            continue
        offset, length = places[name]
        set_external_data(tensor, weights_file.name, offset=offset, length=length)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
    if inside > _MOST_INSIDE:
        msg = f"{inside} bytes of weights are not in {weights_file}"
        raise BundleError(msg)


def _to_onnx(network: Classifier, shape: tuple[int, ...]) -> onnx.ModelProto:
    """Trace the network in evaluation mode, with nothing folded or renamed."""
    target: Any = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecation notes
        torch.onnx.export(
            TwoOutputs(network),
            (torch.zeros(1, *shape),),
            target,
            input_names=["image"],
            output_names=["logits", "features"],
            opset_version=_OPSET,
            dynamo=False,
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
        )
    return onnx.load_from_string(target.getvalue())


def _places(weights_file: Path) -> dict[str, tuple[int, int]]:
    """Return (offset, length) in the file of every tensor by name."""
    with weights_file.open("rb") as file:
        (header_size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(header_size))
    start = 8 + header_size
    places = {}
    for name, entry in header.items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            places[name] = (start + first, last - first)
    return places
