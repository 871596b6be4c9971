"""Somebody else's trained weights, head and all, in a network of ours.

Whose names the weights have is found by `medcnn.networks.layouts`: torchvision's,
TorchXRayVision's, timm's or MONAI's.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from medcnn.errors import BundleError
from medcnn.networks.classifier import Classifier
from medcnn.networks.pretrained import load_pretrained, read_weights

__all__ = ["adopt_weights", "run_network"]

_NO_LAYER = ("num_batches_tracked", "op_threshs")
"""What belongs to no layer: counters, and TorchXRayVision's thresholds."""


def adopt_weights(network: Classifier, path: Path) -> str:
    """Put a file's weights into a network: its body and its head.

    Args:
        network: From `build`, for as many labels as the file's head has.
        path: .safetensors, or .pth / .pt of tensors by name; nothing in it is executed.

    Returns:
        Whose names the weights had.

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
    return report.key_map


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
