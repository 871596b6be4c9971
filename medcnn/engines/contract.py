"""The contract that every engine keeps."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from medcnn.errors import EngineError, MissingDependencyError

__all__ = ["Engine", "Outputs", "does_not_fit", "need"]

_MOST_WORDS = 200
"""Most characters of a library's words that are passed on."""


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a network says of one image.

    Attributes:
        logits: One for each label, (L,); never probabilities.
        features: The last feature map, before global average pooling, (F, h, w) or
            (F, d, h, w); (F,) from a fully connected network, which keeps no places.
    """

    logits: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]


class Engine(Protocol):
    """A network that is ready to run.

    Attributes:
        name: "openvino", "openvino int8", "onnxruntime" or "torch".
        device: Where it runs, in words.
    """

    name: str
    device: str

    def stream(self, tensors: Iterable[npt.NDArray[np.float32]]) -> Iterator[Outputs]:
        """Yield the outputs of each (C, ...) tensor, in order, as they are ready."""
        ...


def does_not_fit(what: str, error: Exception) -> EngineError:
    """Return the error that says in one line that an engine cannot take a model.

    Args:
        what: Which engine cannot do what with which file.
        error: What the library said; its last words tell most, and go on one line.
    """
    words = " ".join(str(error).split())
    if len(words) > _MOST_WORDS:
        words = f"... {words[-_MOST_WORDS:].partition(' ')[2]}"
    hint = "Copy the model again; if it is whole, it does not fit this engine."
    return EngineError(f"{what}: {words}", hint=hint)


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
