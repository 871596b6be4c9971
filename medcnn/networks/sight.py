"""How far a network sees: the receptive field of every layer, followed as it runs.

One output of a convolution sees as many input pixels as its kernel is wide, one further
layer sees what all the outputs in its own kernel see. Along one axis, with kernel k,
stride s and dilation d:

    size  = size before + (k - 1) d step before
    step  = step before s

Where branches meet, the widest counts. What averages over all places sees everything.

References:
    [1] Araujo, Norris & Sim, Computing receptive fields of convolutional neural
        networks, Distill 2019.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from medcnn.networks.resnet import PaddedShortcut

__all__ = ["Sight", "joined", "through"]

_WHOLE = (
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d,
    nn.Flatten,
)
_SLIDING = (
    nn.Conv2d,
    nn.Conv3d,
    nn.MaxPool2d,
    nn.MaxPool3d,
    nn.AvgPool2d,
    nn.AvgPool3d,
)


@dataclass(frozen=True)
class Sight:
    """What one place of a layer's output sees of the input.

    Attributes:
        size: Input pixels along each axis, in the order of the network's axes;
            infinite where all of them are seen.
        step: Input pixels from one place to the next.
    """

    size: tuple[float, ...]
    step: tuple[int, ...]

    @classmethod
    def of_input(cls, dims: int) -> "Sight":
        """Return what the input sees of itself: every pixel itself."""
        return cls((1,) * dims, (1,) * dims)

    def all_along(self, axes: Iterable[int]) -> "Sight":
        """Return the sight of what looks at all places along some axes."""
        whole = set(axes)
        size = tuple(math.inf if a in whole else n for a, n in enumerate(self.size))
        return Sight(size, self.step)


def joined(sights: Iterable[Sight]) -> Sight:
    """Return what the meeting of several branches sees."""
    parts = list(sights)
    size = tuple(max(values) for values in zip(*(p.size for p in parts), strict=True))
    step = tuple(max(values) for values in zip(*(p.step for p in parts), strict=True))
    return Sight(size, step)


def through(layer: nn.Module, before: Sight) -> Sight:
    """Return what a layer's output sees, given what its input sees."""
    axes = range(len(before.size))
    if isinstance(layer, _WHOLE):
        return before.all_along(axes)
    if isinstance(layer, nn.GRU):  # it reads the first axis, the slices
        return before.all_along([0])
    if isinstance(layer, PaddedShortcut):
        return Sight(before.size, tuple(n * layer.stride for n in before.step))
    if not isinstance(layer, _SLIDING):
        return before
    shared: Any = layer
    dims = 3 if _is_3d(layer) else 2
    size, step = list(before.size), list(before.step)
    for axis in range(dims):
        at = len(size) - dims + axis
        kernel, stride, dilation = (
            _along(part, axis)
            for part in (shared.kernel_size, shared.stride, _dilation(shared))
        )
        size[at] += (kernel - 1) * dilation * step[at]
        step[at] *= stride
    return Sight(tuple(size), tuple(step))


def _is_3d(layer: nn.Module) -> bool:
    """Whether a layer slides over three axes; ACS kernels are flat but look so."""
    return type(layer).__name__.endswith(("3d", "AcsConv"))


def _along(value: Any, axis: int) -> int:
    """Return a setting along one axis; flat ACS kernels have it once for all."""
    if not isinstance(value, tuple):
        return int(value)
    return int(value[min(axis, len(value) - 1)])


def _dilation(layer: Any) -> Any:
    return getattr(layer, "dilation", 1)
