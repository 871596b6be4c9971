"""Networks as torch programs (torch.export), which need no code of ours to run."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from medcnn.errors import EngineError
from medcnn.networks.classifier import Classifier
from medcnn.networks.export import TwoOutputs

__all__ = ["program_of", "run_program"]


def program_of(
    network: Classifier, shape: tuple[int, ...], *, with_features: bool
) -> bytes:
    """Return a network in evaluation mode as a .pt2 file, for one image at a time.

    Args:
        network: On the CPU.
        shape: One input, (C, rows, columns) or (C, slices, rows, columns).
        with_features: Whether it gives the last feature map after the logits.

    Raises:
        EngineError: If torch cannot trace it.
    """
    module = (TwoOutputs(network) if with_features else network).eval()
    target = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's notes on its own parts
            with torch.no_grad():
                program = torch.export.export(module, (torch.zeros(1, *shape),))
            torch.export.save(program, target)
    except Exception as error:
        words = " ".join(str(error).split())[:200]
        msg = f"torch.export cannot trace this network: {words}"
        raise EngineError(msg, hint="Export it as onnx or openvino.") from error
    return target.getvalue()


def run_program(
    path: Path, tensors: list[npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """Return the logits that a .pt2 file gives, (images, labels).

    Args:
        path: A file that `program_of` made.
        tensors: (C, ...) each.
    """
    found = []
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        module: Any = torch.export.load(str(path)).module()
        for tensor in tensors:
            answer = module(torch.from_numpy(tensor)[None])
            logits = answer[0] if isinstance(answer, tuple) else answer
            found.append(logits[0].numpy())
    return np.stack(found)
