"""A MONAI bundle's network, rebuilt from a list of known classes; no expression is run.

MONAI's own parser imports any `_target_` and evaluates every string that begins with
"$". Here a config is read as JSON, and only the plain values under `network_def` count.
"""

import io
import json
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from monai.networks import nets

from medcnn.errors import BundleError
from medcnn.networks.pretrained import read_weights

__all__ = ["KNOWN", "Found", "network_as_onnx", "read_monai_bundle"]

KNOWN = {
    *("DenseNet121", "DenseNet169", "DenseNet201", "DenseNet264", "EfficientNetBN"),
    *("resnet10", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
}
"""The classes and functions of monai.networks.nets that are built."""

_CONFIGS = ("configs/inference.json", "configs/evaluate.json", "configs/train.json")
_WEIGHTS = ("models/model.safetensors", "models/model.pt", "models/model.pth")
_LARGEST = 4096
_OPSET = 18
_HINT = "Export the network as ONNX where it was made, and import that."


@dataclass(frozen=True, eq=False)
class Found:
    """A network of a MONAI bundle.

    Attributes:
        name: Of its class.
        network: With its weights, in evaluation mode.
        weights: The file that they were in.
    """

    name: str
    network: Any
    weights: Path


def read_monai_bundle(folder: Path) -> Found:
    """Rebuild the network of a MONAI bundle with its weights.

    Args:
        folder: The bundle.

    Raises:
        BundleError: If it lacks a part, its network is none of `KNOWN` or is told by an
            expression, or the weights do not fit.
    """
    config_path = _first(folder, _CONFIGS)
    try:
        config = json.loads(config_path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        msg = f"{config_path} cannot be read as JSON: {error}"
        raise BundleError(msg, hint=_HINT) from error
    name, arguments = _definition(config, config_path)
    try:
        network = getattr(nets, name)(**arguments)
    except Exception as error:
        words = " ".join(str(error).split())[:200]
        msg = f"{config_path}: {name} cannot be built of {arguments}: {words}"
        raise BundleError(msg, hint=_HINT) from error
    weights_path = _first(folder, _WEIGHTS)
    try:
        network.load_state_dict(read_weights(weights_path))
    except RuntimeError as error:
        words = " ".join(str(error).split())[:200]
        msg = f"{weights_path} does not fit {name}: {words}"
        raise BundleError(msg, hint=_HINT) from error
    if hasattr(network, "set_swish"):  # one that can be traced
        network.set_swish(memory_efficient=False)
    return Found(name, network.eval(), weights_path)


def _first(folder: Path, names: tuple[str, ...]) -> Path:
    """Return the first of some files that is there.

    Raises:
        BundleError: If none is.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    msg = f"{folder} is no MONAI bundle that can be read: it lacks {', '.join(names)}"
    raise BundleError(msg, hint=_HINT)


def _definition(config: Any, path: Path) -> tuple[str, dict[str, Any]]:
    """Return the name and the plain arguments under `network_def`.

    Raises:
        BundleError: If it is missing or not plain.
    """
    found = config.get("network_def") if isinstance(config, dict) else None
    if not isinstance(found, dict) or not isinstance(found.get("_target_"), str):
        msg = f"{path} has no network_def with a _target_"
        raise BundleError(msg, hint=_HINT)
    target = found["_target_"]
    name = re.sub(r"^monai\.networks\.nets\.([a-z_0-9]+\.)?", "", target)
    if name not in KNOWN:
        msg = f"{path}: network_def._target_ is {target!r}, which is not built; known "
        msg += f"are {', '.join(sorted(KNOWN))}"
        raise BundleError(msg, hint=_HINT)
    arguments = {
        key: _plain(value, f"network_def.{key}", config, path)
        for key, value in found.items()
        if key not in {"_target_", "pretrained"}
    }
    return name, arguments | {"pretrained": False}  # nothing is downloaded


def _plain(value: Any, where: str, config: dict[str, Any], path: Path) -> Any:
    """Return a value that is a plain one, or refers to a plain one.

    Raises:
        BundleError: If it is an expression, a part to build, or too large.
    """
    if isinstance(value, str) and value.startswith("@"):
        value = config.get(value[1:], value)
    if isinstance(value, list):
        return [_plain(one, where, config, path) for one in value]
    is_plain = value is None or isinstance(value, bool | int | float | str)
    if isinstance(value, str) and value.startswith(("$", "@", "%")):
        is_plain = False
    if not is_plain:
        msg = f"{path}: {where} is {str(value)[:80]!r}, an expression or a part to "
        msg += "build: refused, nothing of it was run"
        raise BundleError(msg, hint=_HINT)
    if isinstance(value, int | float) and abs(value) > _LARGEST:
        msg = f"{path}: {where} is {value}, more than {_LARGEST}"
        raise BundleError(msg, hint=_HINT)
    return value


def network_as_onnx(network: Any, shape: tuple[int, ...]) -> bytes:
    """Return a network from images to logits as an ONNX file.

    Args:
        network: In evaluation mode, on the CPU.
        shape: One input, (C, rows, columns) or (C, slices, rows, columns).

    Raises:
        BundleError: If it does not take such an input, or cannot be traced.
    """
    target: Any = io.BytesIO()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                (torch.zeros(1, *shape),),
                target,
                input_names=["image"],
                output_names=["logits"],
                opset_version=_OPSET,
                dynamo=False,
            )
    except Exception as error:
        words = " ".join(str(error).split())[:200]
        msg = f"the network cannot be traced with an input of {shape}: {words}"
        raise BundleError(msg, hint="Correct input.channels or input.shape.") from error
    return bytes(target.getvalue())
