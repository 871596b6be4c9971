"""A module is asked, and is afterwards as it was before."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from medcnn.errors import DataError

__all__ = [
    "device_of",
    "dims_of",
    "dtype_of",
    "is_module",
    "logits_of",
    "to_batch",
    "undisturbed",
]


def is_module(thing: object) -> bool:
    """Say whether something is a torch module."""
    return isinstance(thing, nn.Module)


@contextmanager
def undisturbed(module: nn.Module, *, seed: int = 0) -> Iterator[None]:
    """Ask a module in evaluation mode; leave no trace in it, nor in random numbers.

    Training mode of each part, `requires_grad` of each parameter and the state of
    torch's generators are what they were, whatever happens. Parameters take no
    gradients meanwhile, so that their `grad` stays untouched as well.

    Args:
        module: Any module.
        seed: Where random numbers begin meanwhile.
    """
    modes = [(part, part.training) for part in module.modules()]
    flags = [(weight, weight.requires_grad) for weight in module.parameters()]
    device = device_of(module)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.set_rng_state(torch.Generator().manual_seed(seed).get_state())
        for one in devices:
            state = torch.Generator(one).manual_seed(seed).get_state()
            torch.cuda.set_rng_state(state, one)
        try:
            module.eval()
            for weight, _ in flags:
                weight.requires_grad = False
            with torch.inference_mode(mode=False), torch.enable_grad():
                yield
        finally:
            for part, mode in modes:
                part.training = mode
            for weight, flag in flags:
                weight.requires_grad = flag


def device_of(module: nn.Module) -> torch.device:
    """Return where a module's weights lie; the CPU if it has none."""
    first = _first_weight(module)
    return torch.device("cpu") if first is None else first.device


def dims_of(module: nn.Module) -> int | None:
    """Return how many axes a module's first convolution slides over; None without."""
    for part in module.modules():
        if isinstance(part, nn.modules.conv._ConvNd):  # noqa: SLF001 - their one base
            return len(part.kernel_size)
    return None


def to_batch(module: nn.Module, tensors: npt.NDArray[np.float32]) -> torch.Tensor:
    """Return (B, C, ...) on the module's device, in its weights' precision."""
    batch = torch.from_numpy(np.array(tensors, np.float32))
    return batch.to(device=device_of(module), dtype=dtype_of(module, batch))


def dtype_of(module: nn.Module, batch: torch.Tensor) -> torch.dtype:
    """Return the precision of a module's weights; that of the batch if they have none.

    Whole numbers, such as those of a quantised module, are none.
    """
    first = _first_weight(module)
    if first is None or not first.is_floating_point():
        return batch.dtype
    return first.dtype


def logits_of(output: Any, count: int) -> torch.Tensor:
    """Return the scores in what a module answered, (B, L).

    Args:
        output: A tensor (B, L) or (B,); or a record, a mapping or a tuple with one.
        count: B.

    Raises:
        DataError: If there are none.
    """
    found = getattr(output, "logits", output)
    if isinstance(found, dict):
        found = found.get("logits", next(iter(found.values()), None))
    elif isinstance(found, (tuple, list)):
        found = found[0] if found else None
    shape = tuple(found.shape) if isinstance(found, torch.Tensor) else None
    if isinstance(found, torch.Tensor):
        if shape == (count,):
            return found[:, None]
        if len(shape or ()) == 2 and found.shape[0] == count and found.shape[1]:
            return found
    told = f"{type(output).__name__}" if shape is None else f"a tensor of shape {shape}"
    msg = f"the module answered with {told}, expected scores (images, labels)"
    raise DataError(msg, hint="Wrap it so that it returns its logits.")


def _first_weight(module: nn.Module) -> torch.Tensor | None:
    first = next(module.parameters(), None)
    return next(module.buffers(), None) if first is None else first
