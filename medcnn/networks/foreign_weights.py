"""Somebody else's trained weights, head and all, in a network of ours.

Whose names the weights have is found by `medcnn.networks.layouts`: torchvision's,
TorchXRayVision's, timm's or MONAI's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from medcnn.errors import BundleError
from medcnn.networks.adapt import Weights
from medcnn.networks.classifier import Classifier
from medcnn.networks.pretrained import load_pretrained, read_weights

__all__ = ["Adopted", "adopt_weights", "fill", "run_network", "take_rows"]

_THRESHOLDS = "op_threshs"
_NO_LAYER = ("num_batches_tracked", _THRESHOLDS)
"""What belongs to no layer: counters, and TorchXRayVision's thresholds."""


@dataclass(frozen=True)
class Adopted:
    """What else a file of weights says.

    Attributes:
        names: Whose names the weights had.
        thresholds: TorchXRayVision's op_threshs, one for each output; None where it
            has none. It decides there: what lies above becomes more than 0.5.
    """

    names: str
    thresholds: tuple[float | None, ...]


def adopt_weights(network: Classifier, path: Path) -> Adopted:
    """Put a file's weights into a network: its body and its head.

    Args:
        network: From `build`, for as many labels as the file's head has.
        path: .safetensors, or .pth / .pt of tensors by name; nothing in it is executed.

    Raises:
        BundleError: If it is another network, or its head is not to be told.
    """
    report = load_pretrained(network, path)
    raw = read_weights(path)
    left = {key: raw[key] for key in report.ignored if not key.endswith(_NO_LAYER)}
    shape = network.head.weight.shape
    heads = [
        key.removesuffix("weight")
        for key, tensor in left.items()
        if key.endswith("weight") and tensor.shape == shape
    ]
    head = heads[0] if len(heads) == 1 else ""
    bias = left.get(f"{head}bias", torch.zeros(0))
    if len(heads) != 1 or bias.shape != shape[:1] or len(left) != 2:
        told = ", ".join(f"{k} {tuple(v.shape)}" for k, v in sorted(left.items())[:4])
        msg = f"{path}: beside the body it holds {told or 'nothing'}, expected the "
        msg += f"head's weight {tuple(shape)} and bias ({shape[0]},) alone"
        raise BundleError(msg, hint="Name one label for each row of its head.")
    with torch.no_grad():
        network.head.weight.copy_(left[f"{head}weight"])
        network.head.bias.copy_(bias)
    network.eval()
    return Adopted(report.key_map, _thresholds(raw, len(bias)))


def _thresholds(raw: Weights, count: int) -> tuple[float | None, ...]:
    """Return a file's thresholds, if it has one between 0 and 1 for some outputs."""
    found = [one for key, one in raw.items() if key.endswith(_THRESHOLDS)]
    if len(found) != 1 or found[0].numel() != count:
        return ()
    return tuple(at if 0 < at < 1 else None for at in found[0].flatten().tolist())


def take_rows(small: Classifier, network: Classifier, rows: Sequence[int]) -> None:
    """Give a network the weights of another that tells more: some rows of its head.

    Args:
        small: From `build`, for as many labels as there are rows.
        network: The same network for more labels.
        rows: Which of its head are taken.
    """
    weights = dict(network.state_dict())
    for name in ("head.weight", "head.bias"):
        weights[name] = weights[name][list(rows)]
    small.load_state_dict(weights)
    small.eval()


def fill(
    network: Classifier, arrays: Mapping[str, npt.NDArray[Any]], path: Path
) -> None:
    """Put tensors in our own names into a network, all of them.

    Args:
        network: From `build`.
        arrays: By name.
        path: Where they are from, for words.

    Raises:
        BundleError: If they do not fit.
    """
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        words = " ".join(str(error).split())[:200]
        msg = f"{path} does not fit the network that is named: {words}"
        raise BundleError(
            msg, hint="It was altered: export the model again."
        ) from error
    network.eval()


def run_network(
    network: Any, tensors: Sequence[npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """Return a network's logits, (images, labels).

    Args:
        network: In evaluation mode, on the CPU.
        tensors: (C, ...) each.
    """
    with torch.inference_mode():
        found = [network(torch.from_numpy(one)[None])[0].numpy() for one in tensors]
    return np.stack(found)
