"""Which layers of a module keep places, found by watching one image pass through it.

A feature map is what a module hands on with the shape (B, F, places...), where the
places lie as a convolution or a pooling laid them. The second half of the rule keeps
out what only looks like a map: a transformer's attention has the shape (B, heads,
tokens, tokens).
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from medcnn.errors import DataError
from medcnn.gradients.state import logits_of

__all__ = ["Layer", "Trace", "find_layer", "trace"]

_OTHERS = "Methods that need no layer: occlusion, integrated-gradients, smoothgrad."
_MOST_NAMES = 24
_SLIDING = (
    nn.modules.conv._ConvNd,  # noqa: SLF001 - the one base of all convolutions
    nn.MaxPool2d,
    nn.MaxPool3d,
    nn.AvgPool2d,
    nn.AvgPool3d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d,
)


@dataclass(frozen=True)
class Layer:
    """A part of a module that hands on a feature map.

    Attributes:
        name: As `module.named_modules()` has it.
        kind: Its class.
        features: Channels of its map.
        places: (rows, columns) or (slices, rows, columns) of its map.
    """

    name: str
    kind: str
    features: int
    places: tuple[int, ...]

    def __str__(self) -> str:
        size = " x ".join(map(str, self.places))
        return f"{self.name} ({self.features} of {size})"


@dataclass(frozen=True)
class Trace:
    """What was seen while an image passed through a module.

    Attributes:
        layers: Those with a feature map, in the order in which they were done.
        keeps_tokens: Whether tokens, not maps, led from the last of them to the scores.
        head: The linear layer that made the scores of the last map's average, if one
            did: its weight (L, F) and bias (L,).
    """

    layers: tuple[Layer, ...]
    keeps_tokens: bool
    head: tuple[torch.Tensor, torch.Tensor] | None


class _Watch:
    """Hooks on every part of a module, and what they saw; gone when it is left."""

    def __init__(self, module: nn.Module, batch: torch.Tensor) -> None:
        self.module, self.batch = module, batch
        self.dims = batch.ndim - 2
        self.laid: set[tuple[int, ...]] = set()
        self.layers: dict[str, Layer] = {}
        self.last: torch.Tensor | None = None
        self.keeps_tokens = False
        self.linear: tuple[nn.Linear, torch.Tensor, torch.Tensor] | None = None
        self._handles: list[Any] = []

    def __enter__(self) -> "_Watch":
        for name, part in self.module.named_modules():
            if name:
                self._handles.append(part.register_forward_hook(self._hook(name)))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _hook(self, name: str) -> Any:
        def see(part: nn.Module, given: Any, output: Any) -> None:
            if not isinstance(output, torch.Tensor):
                return
            if isinstance(part, nn.Linear):
                self.linear = part, given[0].detach(), output.detach()
            if isinstance(part, _SLIDING) or "conv" in type(part).__name__.lower():
                self.laid.add(tuple(output.shape[2:]))
            if self._is_map(output):
                self.layers.pop(name, None)
                places = tuple(output.shape[2:])
                kind = type(part).__name__
                self.layers[name] = Layer(name, kind, output.shape[1], places)
                self.last, self.keeps_tokens = output.detach().clone(), False
            elif self._are_tokens(part, output):
                self.keeps_tokens = True

        return see

    def _is_map(self, output: torch.Tensor) -> bool:
        places = tuple(output.shape[2:])
        if output.ndim != self.dims + 2 or len(output) != len(self.batch):
            return False
        # slices that a 2-D network looked at one by one are laid out by their stack
        is_laid = places in self.laid or (self.dims == 3 and places[1:] in self.laid)
        return is_laid and math.prod(places) > 1

    def _are_tokens(self, part: nn.Module, output: torch.Tensor) -> bool:
        if self.last is None or not any(True for _ in part.parameters(recurse=False)):
            return False
        places = tuple(self.last.shape[2:])
        cells = math.prod(places)
        if output.ndim == 3:
            return output.shape[1] in {cells, cells + 1}
        return output.ndim == self.dims + 2 and tuple(output.shape[1:-1]) == places


def trace(module: nn.Module, batch: torch.Tensor) -> Trace:
    """Watch images pass through a module, and note its feature maps.

    Args:
        module: In evaluation mode.
        batch: (B, C, rows, columns) or (B, C, slices, rows, columns).

    Raises:
        DataError: If it is compiled, so that nobody can watch.
    """
    if isinstance(module, torch.jit.ScriptModule):
        msg = f"{type(module).__name__} is compiled: its layers cannot be watched"
        raise DataError(msg, hint=f"Give the module as it was before. {_OTHERS}")
    with _Watch(module, batch) as watch, torch.no_grad():
        logits = logits_of(module(batch), len(batch))
    layers = tuple(watch.layers.values())
    return Trace(layers, watch.keeps_tokens, _head(watch, logits))


def find_layer(
    module: nn.Module, batch: torch.Tensor, wanted: str | None = None
) -> Layer:
    """Return the layer that was asked for, or else the last one with a feature map.

    Raises:
        DataError: If the module has no feature map, or none of that name.
    """
    seen = trace(module, batch)
    layers = {layer.name: layer for layer in seen.layers}
    if wanted is not None:
        if wanted in layers:
            return layers[wanted]
        known = wanted in dict(module.named_modules())
        why = "has no feature map" if known else "is unknown"
        msg = f"layer {wanted!r} {why}; {_listing(seen.layers)}"
        raise DataError(msg)
    if not layers:
        msg = f"{type(module).__name__} keeps no map of places"
        raise DataError(msg, hint=_OTHERS)
    if seen.keeps_tokens:
        msg = f"{type(module).__name__} turns places into tokens, and no feature map"
        msg += " leads to its scores"
        raise DataError(msg, hint=_OTHERS)
    return seen.layers[-1]


def _listing(layers: tuple[Layer, ...]) -> str:
    if not layers:
        return "there is none"
    depths = {layer.name.count(".") for layer in layers}
    kept = layers[-_MOST_NAMES:]
    for depth in sorted(depths):  # the outer parts, as far inwards as there is room
        some = tuple(layer for layer in layers if layer.name.count(".") <= depth)
        if len(some) > _MOST_NAMES:
            break
        kept = some
    more = len(layers) - len(kept)
    shown = ", ".join(str(layer) for layer in kept)
    return f"there are {shown}" + (f" and {more} inside them" if more else "")


def _head(
    watch: _Watch, logits: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return the head if the scores are linear in the average of the last map."""
    if watch.linear is None or watch.last is None or watch.keeps_tokens:
        return None
    layer, given, output = watch.linear
    weight: torch.Tensor = layer.weight.detach()
    bias: Any = layer.bias  # None is allowed, whatever its type says
    pooled = watch.last.flatten(2).mean(2)
    same = given.shape == pooled.shape and output.shape == logits.shape
    if not (same and torch.equal(output, logits)):
        return None
    if not torch.allclose(given, pooled, rtol=1e-3, atol=1e-5):
        return None
    return weight, weight.new_zeros(len(weight)) if bias is None else bias.detach()
