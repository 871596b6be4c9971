"""The contract that every engine keeps."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from medcnn.errors import MissingDependencyError

__all__ = ["Engine", "Outputs", "need"]


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a network says of one image.

    Attributes:
        logits: One for each label, (L,); never probabilities.
        features: The last feature map, before global average pooling, (F, h, w) or
            (F, d, h, w).
    """

    logits: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]


class Engine(Protocol):
    """A network that is ready to run.

    Attributes:
        name: "openvino", "onnxruntime" or "torch".
        device: Where it runs, in words.
    """

    name: str
    device: str

    def stream(self, tensors: Iterable[npt.NDArray[np.float32]]) -> Iterator[Outputs]:
        """Yield the outputs of each (C, ...) tensor, in order, as they are ready."""
        ...


def need(module: str, *, package: str, install: str) -> ModuleType:
    """Import an optional library, or say what it is for and how to add it.

    Raises:
        MissingDependencyError: If it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        msg = f"{package} is not installed, and this engine needs it"
        hint = f"Add it: pip install '{install}'"
        raise MissingDependencyError(msg, hint=hint) from error
