"""Passes through a module: its scores, a layer's feature map, and their gradients."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from medcnn.errors import DataError, EngineError
from medcnn.gradients.state import logits_of, to_batch

__all__ = ["Passed", "centred", "features_at", "finite", "pass_through", "scores"]

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Passed:
    """A batch that went through a module, and the way back from its scores.

    Attributes:
        scores: (B, L).
        features: The layer's feature map, (B, F, places...).
    """

    scores: F32
    features: F32
    _scores: torch.Tensor
    _features: torch.Tensor

    def gradient(self, label: int) -> F32:
        """Return the score's gradient by every cell, (B, F, places...).

        Raises:
            DataError: If the layer does not lead to the score.
            EngineError: If it holds values that are not finite numbers.
        """
        total = self._scores[:, label].sum()
        found: tuple[torch.Tensor | None, ...] = (None,)
        if total.requires_grad:
            found = torch.autograd.grad(
                total, self._features, retain_graph=True, allow_unused=True
            )
        if found[0] is None:
            msg = "the layer does not lead to the score: it has no gradient"
            raise DataError(msg, hint="Name another layer.")
        return finite(found[0], "gradients")


def pass_through(
    module: nn.Module, tensors: F32, layer: str, *, centre: bool = False
) -> Passed:
    """Send a batch through a module, and keep a layer's feature map on the way.

    The graph of gradients begins at that layer, so that its cost is that of the layers
    after it alone.

    Args:
        module: In evaluation mode, see `undisturbed`.
        tensors: (B, C, ...).
        layer: Its name.
        centre: Whether to take from each score the mean of all scores.

    Raises:
        EngineError: If the map holds values that are not finite numbers.
    """
    batch = to_batch(module, tensors)
    with _caught(module, layer) as seen:
        logits = logits_of(module(batch), len(batch))
    answer = centred(logits) if centre else logits
    map_ = seen[-1]
    return Passed(finite(answer, "scores"), finite(map_, "feature map"), answer, map_)


def features_at(module: nn.Module, tensors: F32, layer: str) -> F32:
    """Return a layer's feature map, (B, F, places...)."""
    with torch.no_grad():
        return pass_through(module, tensors, layer).features


def scores(module: nn.Module, tensors: F32, *, centre: bool = False) -> F32:
    """Return a module's scores of a batch, (B, L).

    Raises:
        EngineError: If they are not finite numbers.
    """
    with torch.no_grad():
        batch = to_batch(module, tensors)
        logits = logits_of(module(batch), len(batch))
        return finite(centred(logits) if centre else logits, "scores")


def centred(logits: torch.Tensor) -> torch.Tensor:
    """Take from each logit the mean of all: softmax is blind to that mean."""
    return logits - logits.mean(1, keepdim=True)


@contextmanager
def _caught(module: nn.Module, layer: str) -> Iterator[list[torch.Tensor]]:
    """Catch what a layer hands on; the hook is gone afterwards, whatever happens."""
    seen: list[torch.Tensor] = []

    def catch(_part: nn.Module, _given: Any, output: torch.Tensor) -> torch.Tensor:
        leaf = output.detach().requires_grad_(torch.is_grad_enabled())
        seen.append(leaf)
        return leaf.clone()  # what comes next may write into it

    handle = module.get_submodule(layer).register_forward_hook(catch)
    try:
        yield seen
    finally:
        handle.remove()


def finite(values: torch.Tensor, what: str) -> F32:
    """Return values as float32.

    Raises:
        EngineError: If one of them is not a finite number.
    """
    array: F32 = values.detach().float().cpu().numpy()
    bad = int(array.size - np.isfinite(array).sum())
    if bad:
        msg = f"{bad} of {array.size} values of the {what} are not finite numbers"
        raise EngineError(
            msg, hint="Damaged weights or half precision do that: try float32."
        )
    return array
