"""Carry a method out: relevance on the grid of a layer, or of what a network sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.errors import DataError, MedcnnError
from medcnn.explanation.formulas import BY_GRADIENT, eigen_cam
from medcnn.explanation.methods import Method
from medcnn.explanation.perturbation import grey, occlusion, score_cam
from medcnn.explanation.subject import Subject, gradients

__all__ = ["Made", "of"]

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Made:
    """Relevance before it is carried back to the image.

    Attributes:
        values: One map >= 0 for each label.
        layer: Whose feature map they are made of; empty if of none.
    """

    values: tuple[F32, ...]
    layer: str = ""


def of(
    subject: Subject,
    tensor: F32,
    method: Method,
    labels: Sequence[str],
    layer: str | None,
    settings: Any,
) -> Made:
    """Return the relevance of several labels.

    Args:
        subject: What is explained.
        tensor: What it sees, (C, ...).
        method: Which method.
        labels: Of `subject.labels`.
        layer: Whose feature map is taken; None is the last one.
        settings: See `medcnn.explanation.Settings`.

    Raises:
        DataError: If the method does not suit the network.
    """
    places = [subject.labels.index(label) for label in labels]
    if method.needs == "attribution":
        return _attributed(subject, tensor, method, places, settings)
    if method.needs == "gradient":
        return _by_gradient(subject, tensor, method, places, layer)
    if method.name == "occlusion":
        return Made(_hidden(subject, tensor, places, settings))
    features, name = subject.features(tensor, layer)
    maps: tuple[F32, ...]
    if method.name == "eigen-cam":
        maps = (eigen_cam(features),) * len(labels)
    elif method.name == "score-cam":
        progress = settings.get("progress")
        seen = score_cam(subject.scores, tensor, features, progress=progress)
        maps = tuple(seen[place] for place in places)
    else:
        maps = _activations(subject, tensor, features, labels, name)
    return Made(maps, name)


def _hidden(
    subject: Subject, tensor: F32, places: Sequence[int], settings: Any
) -> tuple[F32, ...]:
    """Return what hiding takes from the scores."""
    wanted = {k: settings[k] for k in ("window", "stride", "progress") if k in settings}
    falls = occlusion(subject.scores, tensor, **wanted)
    return tuple(np.maximum(falls[place], 0) for place in places)


def _activations(
    subject: Subject, tensor: F32, features: F32, labels: Sequence[str], name: str
) -> tuple[F32, ...]:
    """Return class activation maps.

    Raises:
        DataError: If the head is not linear in the average of that layer's map.
    """
    maps = []
    allows = subject.allows_cam(tensor, name)
    for label in labels:
        found = subject.activation(features, label) if allows else None
        if found is None:
            msg = f"cam needs scores that are linear in the average of layer {name!r}"
            msg += f", those of {subject.name} are not"
            raise DataError(msg, hint="Use method hirescam or grad-cam.")
        maps.append(found)
    return tuple(maps)


def _by_gradient(
    subject: Subject,
    tensor: F32,
    method: Method,
    places: Sequence[int],
    layer: str | None,
) -> Made:
    """Return maps of a layer and its gradients: one pass, then one label at a time.

    Raises:
        EngineError: If there are values that are not finite numbers.
    """
    tools, module = gradients(), subject.module()
    name = subject.layer(tensor, layer)
    maps = []
    with tools.undisturbed(module):
        passed = tools.pass_through(
            module, tensor[None], name, centre=subject.is_centred
        )
        for place in places:
            try:
                gradient = passed.gradient(place)[0]
            except MedcnnError as error:
                msg = f"{subject.name}, {subject.labels[place]}, layer {name!r}: "
                msg += error.message
                raise type(error)(msg, hint=error.hint) from error
            maps.append(BY_GRADIENT[method.name](passed.features[0], gradient))
    return Made(tuple(maps), name)


def _attributed(
    subject: Subject,
    tensor: F32,
    method: Method,
    places: Sequence[int],
    settings: Any,
) -> Made:
    """Return maps by Captum, (rows, columns) or (slices, rows, columns)."""
    tools, module = gradients(), subject.module()
    progress = settings.get("progress")
    maps = []
    for number, place in enumerate(places):
        batch = settings.get("batch", 8)
        score = tools.Score(module, place, centre=subject.is_centred, batch=batch)
        with tools.undisturbed(module, seed=settings.get("seed", 0)):
            if method.name == "smoothgrad":
                wanted = {k: settings[k] for k in ("samples", "noise") if k in settings}
                found = np.abs(tools.smoothgrad(score, tensor, **wanted)).max(axis=0)
            else:
                wanted = {k: settings[k] for k in ("steps",) if k in settings}
                found = tools.integrated_gradients(
                    score, tensor, fill=grey(tensor), **wanted
                ).sum(axis=0)
        maps.append(np.asarray(np.maximum(found, 0), dtype=np.float32))
        if progress is not None:
            progress(number + 1, len(places))
    return Made(tuple(maps))
