"""Learning rates and averaged weights as functions of the step."""

import math

import torch
from torch import nn

from medcnn.planning.sections import Optimiser

__all__ = ["average_into", "ema_decay", "rate_factor"]

_LOWEST = 1e-4
_FIRST = 1 / 25


def rate_factor(recipe: Optimiser, step: int, steps: int) -> float:
    """Return the learning rate at a step as a share of its highest.

    Args:
        recipe: The recipe's part.
        step: 0 to `steps` - 1.
        steps: Steps of the whole training.

    References:
        [1] Smith & Topin, Super-convergence, SPIE 11006 (2019): one cycle.
        [2] Loshchilov & Hutter, SGDR, ICLR 2017, equation 5.
    """
    rise = recipe.warmup * steps
    if recipe.schedule == "one-cycle":
        peak = max(rise - 1, 0)
        if step < peak:
            return _between(_FIRST, 1.0, step / peak)
        return _between(1.0, _LOWEST, (step - peak) / max(steps - 1 - peak, 1))
    if step < rise:
        return (step + 1) / (math.floor(rise) + 1)
    return _between(1.0, 0.0, (step - rise) / max(steps - rise, 1))


def _between(first: float, last: float, share: float) -> float:
    """Go from `first` to `last` along half a cosine."""
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def ema_decay(recipe: Optimiser, step: int) -> float:
    """Return the decay of the averaged weights after step `step`, from 0."""
    if not recipe.ema_warmup:
        return recipe.ema
    return min(recipe.ema, (1 + step) / (10 + step))


@torch.no_grad()
def average_into(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move `average` towards `network`: decay * average + (1 - decay) * network.

    Running statistics are averaged likewise; counters are copied.
    """
    old, new = average.state_dict(), network.state_dict()
    floats = [name for name, value in old.items() if value.is_floating_point()]
    torch._foreach_lerp_(
        [old[name] for name in floats], [new[name] for name in floats], 1 - decay
    )
    for name in old.keys() - set(floats):
        old[name].copy_(new[name])
