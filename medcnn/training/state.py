"""A training's state in one safetensors file, so that it can go on after a kill.

Tensors and a JSON record lie in the same file, which is written beside the old one and
then takes its place: a reader finds the old state or the new one, never half of one.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from medcnn.errors import OutputError

__all__ = [
    "Progress",
    "read_state",
    "restore",
    "snapshot",
    "write_state",
    "write_weights",
]

Tensors = dict[str, torch.Tensor]


@dataclass
class Progress:
    """How far a training is; the numbers that no tensor holds.

    Attributes:
        epoch: The epoch that comes or runs, from 0.
        step: Its next step, from 0.
        losses: Losses of this epoch's steps so far.
        best_score: Best validation score so far.
        best_loss: Validation loss with it; of equal scores the lower loss is better.
        best_epoch: The epoch that reached it; -1 before the first.
        history: One row for each finished epoch.
        finished: Whether the training is over.
        most: Cases that go through the network at once; 0 means a whole batch.
    """

    epoch: int = 0
    step: int = 0
    losses: list[float] = field(default_factory=list)
    best_score: float = -1.0
    best_loss: float = 0.0
    best_epoch: int = -1
    history: list[dict[str, float | None]] = field(default_factory=list)
    finished: bool = False
    most: int = 0


def snapshot(
    network: nn.Module,
    average: nn.Module | None,
    optimiser: torch.optim.Optimizer,
    seen: Tensors,
) -> Tensors:
    """Gather every tensor that a training needs to go on."""
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    for index, parts in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{k}": v for k, v in parts.items()}
    return tensors | {f"seen.{k}": v for k, v in seen.items()}


def restore(
    tensors: Tensors,
    network: nn.Module,
    average: nn.Module | None,
    optimiser: torch.optim.Optimizer,
) -> Tensors:
    """Put a snapshot back; returns what was seen in the running epoch."""
    network.load_state_dict(_below(tensors, "network."))
    if average is not None:
        average.load_state_dict(_below(tensors, "average."))
    weights = [w for group in optimiser.param_groups for w in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for key, value in _below(tensors, "optimiser.").items():
        index, _, name = key.partition(".")
        weight = weights[int(index)]
        moment = value.shape == weight.shape
        # the fused optimiser runs over memory: a moment must lie as its weight does
        laid = torch.empty_like(weight).copy_(value) if moment else value
        state.setdefault(int(index), {})[name] = laid
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
    return _below(tensors, "seen.")


def write_state(path: Path, tensors: Tensors, record: Progress) -> None:
    """Write tensors and record in one step that cannot be seen half done.

    Raises:
        OutputError: If the disk refuses.
    """
    _write(path, tensors, {"progress": json.dumps(asdict(record))})


def write_weights(path: Path, network: nn.Module) -> None:
    """Write a network's weights likewise.

    Raises:
        OutputError: If the disk refuses.
    """
    _write(path, network.state_dict(), {})


def _write(path: Path, tensors: Tensors, facts: dict[str, str]) -> None:
    partial = path.with_suffix(".partial")
    plain = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    try:
        save_file(plain, partial, metadata=facts)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        msg = f"the training's state cannot be written to {path}: {error}"
        raise OutputError(msg, hint="Free space; the last state is kept.") from error


def read_state(path: Path) -> tuple[Tensors, Progress] | None:
    """Read what `write_state` wrote; None if there is nothing.

    Raises:
        OutputError: If the file is not a training's state.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            record = Progress(**json.loads(file.metadata()["progress"]))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        msg = f"{path} is not a training's state: {error}"
        raise OutputError(msg, hint="Delete it to start anew.") from error
    return tensors, record


def _below(tensors: Tensors, prefix: str) -> Tensors:
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
