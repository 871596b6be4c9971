"""Start from weights learnt on natural images: transfer learning from a local file."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from medcnn.errors import BundleError
from medcnn.networks.classifier import Classifier

__all__ = ["GREY_MEAN", "GREY_STD", "PretrainedReport", "load_pretrained"]

Weights = dict[str, torch.Tensor]

# torchvision's ImageNet statistics of the three channels, 0 to 1
_RGB_MEAN = (0.485, 0.456, 0.406)
_RGB_STD = (0.229, 0.224, 0.225)

GREY_MEAN = 0.449
GREY_STD = 0.226
"""What a grey input in 0..1 is normalised with: the means over the three channels."""


@dataclass(frozen=True)
class PretrainedReport:
    """What was taken from a weights file.

    Attributes:
        path: The file.
        key_map: Whose names its keys are in.
        loaded: Number of tensors taken.
        ignored: Keys left out: the old task's head, stages the network does not have.
    """

    path: Path
    key_map: str
    loaded: int
    ignored: tuple[str, ...]


def load_pretrained(network: Classifier, path: Path) -> PretrainedReport:
    """Put a file's weights into a network's body; the head stays fresh.

    For one grey input channel, normalised by `GREY_MEAN` and `GREY_STD`, the first
    convolution's three channels are folded into one so that a grey picture gives what
    it gave in colour.

    Args:
        network: A network from `build`.
        path: .safetensors, or .pth / .pt of plain tensors; nothing in it is executed.

    Raises:
        BundleError: If the file cannot be read, or its keys or shapes do not fit.
    """
    raw = _read(path)
    key_map, mapped = _map_keys(raw)
    kept = tuple(f"body.{name}." for name, _ in network.body.named_children())
    body = {k: v for k, v in mapped.items() if k.startswith(kept)}
    _fold_grey(network, body)
    own = {k: v for k, v in network.state_dict().items() if k.startswith("body.")}
    missing = [k for k in own if k not in body and "num_batches_tracked" not in k]
    extra = [k for k in body if k not in own]
    wrong = [k for k in own if k in body and own[k].shape != body[k].shape]
    if missing or extra or wrong:
        msg = (
            f"{path} ({key_map} names) does not fit the network: it lacks "
            f"{missing[:3]}, has no place for {extra[:3]}, other shapes {wrong[:3]} "
            f"({len(missing)}, {len(extra)} and {len(wrong)} in all)"
        )
        raise BundleError(msg)
    network.load_state_dict(body, strict=False)
    ignored = tuple(k for k in mapped if not k.startswith(kept))
    return PretrainedReport(path, key_map, len(body), ignored)


def _read(path: Path) -> Weights:
    """Read tensors by name, as float32 where they are floats.

    Raises:
        BundleError: If the file is not there or holds anything but tensors.
    """
    try:
        raw: Any
        if path.suffix == ".safetensors":
            raw = load_file(path)
        else:
            raw = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251
    except Exception as error:
        msg = f"{path} cannot be read as weights: {error}"
        raise BundleError(msg) from error
    plain = isinstance(raw, dict) and all(torch.is_tensor(v) for v in raw.values())
    if not plain:
        msg = f"{path} holds more than tensors by name"
        raise BundleError(msg, hint="Save the state_dict alone.")
    return {k: v.float() if v.is_floating_point() else v for k, v in raw.items()}


def _map_keys(raw: Weights) -> tuple[str, Weights]:
    """Recognise whose names the keys are in, and give them ours.

    Raises:
        BundleError: If no key map fits.
    """
    for name, mark, rename in _KEY_MAPS:
        if mark in raw:
            return name, {rename(k, raw): v for k, v in raw.items()}
    msg = f"no known key layout: keys start {list(raw)[:3]}"
    raise BundleError(msg, hint=f"Known: {', '.join(n for n, _, _ in _KEY_MAPS)}.")


def _from_ours(key: str, _raw: Weights) -> str:
    return key


def _from_torchvision(key: str, _raw: Weights) -> str:
    """Name a ResNet tensor of torchvision or MONAI as ours."""
    if key.startswith(("conv1.", "bn1.")):
        return f"body.stem.{key}"
    return f"body.{key}" if key.startswith("layer") else key


def _from_efficientnet(key: str, raw: Weights) -> str:
    """Name a tensor of the EfficientNet-PyTorch layout as ours."""
    for old, new in (
        ("_conv_stem.", "body.stem.conv."),
        ("_bn0.", "body.stem.bn."),
        ("_conv_head.", "body.last.conv."),
        ("_bn1.", "body.last.bn."),
    ):
        if key.startswith(old):
            return new + key.removeprefix(old)
    block = re.match(r"_blocks\.(\d+)\.(.*)", key)
    if not block:
        return key
    stage = _stage_of(raw, int(block[1]))
    return f"body.stage{stage}.{block[1]}.{block[2]}"


def _stage_of(raw: Weights, index: int) -> int:
    """Return the stage, from 1, that the n-th block of an EfficientNet lies in.

    A stage starts where the depthwise kernel or the output width changes; stages 1
    and 2 differ in width, as do all the others.
    """
    stage, before = 1, None
    for n in range(index + 1):
        now = raw[f"_blocks.{n}._project_conv.weight"].shape[0]
        stage += before is not None and now != before
        before = now
    return stage


_KEY_MAPS: tuple[tuple[str, str, Callable[[str, Weights], str]], ...] = (
    ("medcnn", "head.weight", _from_ours),
    ("torchvision ResNet", "layer1.0.conv1.weight", _from_torchvision),
    ("EfficientNet-PyTorch", "_conv_stem.weight", _from_efficientnet),
)


def _fold_grey(network: Classifier, body: Weights) -> None:
    """Fold a stem over normalised RGB into one over one normalised grey channel.

    With grey g in 0..1 and z = (g - GREY_MEAN) / GREY_STD: the sum over channels of
    w_c (g - m_c) / s_c is (sum of w_c GREY_STD / s_c) z plus a constant, which is taken
    off the mean of the batch normalisation that follows. Exact away from the border.
    """
    names = [k for k in body if k.startswith("body.stem.") and k.endswith("weight")]
    name = next((k for k in names if body[k].ndim > 1), "")
    if not name or body[name].shape[1] != 3:
        return
    if network.state_dict()[name].shape[1] != 1:
        return
    weight = body[name]
    shape = (1, 3) + (1,) * (weight.ndim - 2)
    mean, std = (torch.tensor(v).view(shape) for v in (_RGB_MEAN, _RGB_STD))
    constant = (weight * (GREY_MEAN - mean) / std).flatten(1).sum(1)
    body[name] = (weight * GREY_STD / std).sum(1, keepdim=True)
    running = next(
        k for k in body if k.startswith("body.stem.") and k.endswith("running_mean")
    )
    body[running] = body[running] - constant
