"""What is explained: a bundle in its engine, or any torch module of the user's."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from medcnn.engines.contract import need
from medcnn.errors import DataError
from medcnn.explanation.formulas import class_activation
from medcnn.model import Model

__all__ = ["BundleSubject", "ModuleSubject", "Subject", "gradients"]

F32 = npt.NDArray[np.float32]


class Subject(Protocol):
    """What heatmaps are made of, whatever runs it.

    Attributes:
        name: Of the model.
        labels: Of its scores, in order.
        is_centred: Whether a score is a logit less the mean of all logits, as it is for
            softmax models: softmax is blind to that mean, and so a single logit's map
            would be arbitrary.
    """

    name: str
    labels: tuple[str, ...]
    is_centred: bool

    def scores(self, tensors: Iterable[F32]) -> Iterator[F32]:
        """Yield the scores (L,) of each tensor (C, ...), in order."""
        ...

    def features(self, tensor: F32, layer: str | None) -> tuple[F32, str]:
        """Return a layer's map (F, places...) and the layer's name."""
        ...

    def activation(self, features: F32, label: str) -> F32 | None:
        """Return the class activation map; None if the head does not allow it."""
        ...

    def allows_cam(self, tensor: F32, layer: str) -> bool:
        """Say whether the scores are linear in the average of a layer's map."""
        ...

    def module(self) -> Any:
        """Return the torch module."""
        ...

    def layer(self, tensor: F32, wanted: str | None) -> str:
        """Return the name of the layer that was asked for, or of the last one."""
        ...


def gradients() -> Any:
    """Return `medcnn.gradients`, which needs torch and Captum.

    Raises:
        MissingDependencyError: If they are not installed.
    """
    extra = "medcnn-imaging[explain]"
    need("torch", package="torch", install=extra)
    need("captum", package="captum", install=extra)
    return need("medcnn.gradients", package="torch", install=extra)


class BundleSubject:
    """A bundle: forward passes in its engine, gradients in torch.

    Args:
        model: The open model.
    """

    last = "body"
    """Every network of a bundle hands on its last feature map here."""

    def __init__(self, model: Model) -> None:
        self.name = model.spec.name
        self.labels = model.labels
        self.is_centred = model.spec.activation == "softmax"
        self._model = model
        self._seen: tuple[F32, F32] | None = None

    def remember(self, tensor: F32, features: F32) -> None:
        """Keep the last feature map of a tensor that the engine has seen already."""
        self._seen = tensor, features

    def scores(self, tensors: Iterable[F32]) -> Iterator[F32]:
        """Yield the scores (L,) of each tensor (C, ...), in order."""
        for outputs in self._model.engine.stream(tensors):
            logits = outputs.logits
            yield logits - logits.mean() if self.is_centred else logits

    def features(self, tensor: F32, layer: str | None) -> tuple[F32, str]:
        """Return a layer's map (F, places...) and the layer's name.

        Raises:
            DataError: If the network keeps no places, or has no such layer.
        """
        name = self.layer(tensor, layer)
        if name == self.last:
            return self._last_map(tensor), name
        return _features(self.module(), tensor, name), name

    def allows_cam(self, tensor: F32, layer: str) -> bool:  # noqa: ARG002
        """Say whether the scores are linear in the average of a layer's map."""
        return layer == self.last

    def activation(self, features: F32, label: str) -> F32 | None:
        """Return the class activation map: every bundle's head allows it."""
        return self._model.relevance(features, label)

    def module(self) -> Any:
        """Return the torch module, made when it is first asked for."""
        gradients()
        return self._model.network()

    def layer(self, tensor: F32, wanted: str | None) -> str:
        """Return the name of the layer that was asked for, or of the last one.

        Raises:
            DataError: If there is none.
        """
        if wanted not in {None, self.last}:
            return _find(self.module(), tensor, wanted)
        self._model.refuse_no_places(self._last_map(tensor))
        return self.last

    def has_places(self, tensor: F32) -> bool:
        """Say whether the network hands on a feature map."""
        return self._last_map(tensor).ndim > 1

    def _last_map(self, tensor: F32) -> F32:
        if self._seen is None or self._seen[0] is not tensor:
            self.remember(tensor, next(self._model.engine.stream([tensor])).features)
        assert self._seen is not None  # noqa: S101 - just remembered
        return self._seen[1]


class ModuleSubject:
    """Any torch module that returns one score for each label.

    Args:
        module: The module; it stays as it is.
        labels: Names of its scores; None numbers them.
        activation: "softmax" if its scores are of classes that exclude each other:
            then the logit less the mean of all logits is explained.
        batch: Images that are held at once.
    """

    def __init__(
        self,
        module: Any,
        *,
        labels: tuple[str, ...] = (),
        activation: str = "sigmoid",
        batch: int = 8,
    ) -> None:
        self.name = type(module).__name__
        self.labels = labels
        self._module = module
        self._batch = batch
        self.is_centred = activation == "softmax"
        self.dims: int | None = gradients().dims_of(module)
        self._head: tuple[F32, F32] | None = None

    def number_labels(self, tensor: F32) -> F32:
        """Ask once, so that the number of scores is known; return them, (L,).

        Raises:
            DataError: If it is not that of the names that were given, or the module
                cannot take such an image.
        """
        try:
            scores = next(self.scores([tensor]))
        except (RuntimeError, ValueError, IndexError) as error:
            msg = f"{self.name} cannot take an image of {tensor.shape}, its channels"
            msg += f" first: {error}"
            raise DataError(msg) from error
        if not self.labels:
            self.labels = tuple(str(n) for n in range(len(scores)))
        if len(self.labels) != len(scores):
            msg = f"{self.name} has {len(scores)} scores, got {len(self.labels)} labels"
            raise DataError(msg)
        return scores

    def scores(self, tensors: Iterable[F32]) -> Iterator[F32]:
        """Yield the scores (L,) of each tensor (C, ...), in order."""
        tools, queue = gradients(), iter(tensors)
        while some := list(islice(queue, self._batch)):
            with tools.undisturbed(self._module):
                found = tools.scores(
                    self._module, np.stack(some), centre=self.is_centred
                )
            yield from found

    def features(self, tensor: F32, layer: str | None) -> tuple[F32, str]:
        """Return a layer's map (F, places...) and the layer's name."""
        name = self.layer(tensor, layer)
        return _features(self._module, tensor, name), name

    def activation(self, features: F32, label: str) -> F32 | None:
        """Return the class activation map; None if the head does not allow it."""
        if self._head is None or self._head[0].shape[1] != len(features):
            return None
        weight = self._head[0]
        if self.is_centred:
            weight = weight - weight.mean(axis=0)
        return class_activation(features, weight[self.labels.index(label)])

    def module(self) -> Any:
        """Return the torch module."""
        return self._module

    def layer(self, tensor: F32, wanted: str | None) -> str:
        """Return the name of the layer that was asked for, or of the last one."""
        return _find(self._module, tensor, wanted)

    def allows_cam(self, tensor: F32, layer: str) -> bool:
        """Say whether the scores are linear in the average of a layer's map."""
        found = _with(self._module, tensor, lambda tools, batch: tools.trace(*batch))
        if found.head is None:
            return False
        self._head = tuple(part.float().cpu().numpy() for part in found.head)
        return bool(layer == found.layers[-1].name)


def _find(module: Any, tensor: F32, wanted: str | None) -> str:
    found = _with(module, tensor, lambda tools, batch: tools.find_layer(*batch, wanted))
    return str(found.name)


def _features(module: Any, tensor: F32, layer: str) -> F32:
    tools = gradients()
    with tools.undisturbed(module):
        found: F32 = tools.features_at(module, tensor[None], layer)[0]
    return found


def _with(module: Any, tensor: F32, do: Callable[[Any, tuple[Any, Any]], Any]) -> Any:
    tools = gradients()
    with tools.undisturbed(module):
        return do(tools, (module, tools.to_batch(module, tensor[None])))
