"""Images of a table one after the other, with what a model says of each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medcnn.dataset import Case
from medcnn.errors import MedcnnError
from medcnn.explanation import heatmap_of
from medcnn.image import Image
from medcnn.isolation import Limits, SafeReader
from medcnn.model import Answer, Model
from medcnn.preprocessing import Prepared
from medcnn.preprocessing.resample import resample_onto

__all__ = ["Looked", "Maps", "Progress", "class_activation", "look", "on_tensor"]

FloatMap = npt.NDArray[np.float32]
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, eq=False)
class Looked:
    """An image that the model takes, and what it says of it.

    Attributes:
        number: Of the case, among those asked for.
        case: Labels and places.
        image: As loaded.
        answer: With the last feature map.
        prepared: What the network saw, and the way back.
    """

    number: int
    case: Case
    image: Image
    answer: Answer
    prepared: Prepared


Maps = Callable[[Model, Looked, str], FloatMap]
"""Gives a label's raw relevance on the image's own grid, (I, J, K)."""


def class_activation(model: Model, looked: Looked, label: str) -> FloatMap:
    """Return the class activation map, made of the answer that is there already."""
    return heatmap_of(model, looked.answer.features, looked.prepared, label=label)


def look(
    model: Model,
    cases: Sequence[Case],
    *,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Iterator[Looked]:
    """Yield the images that can be read and are in the model's scope, in order.

    One image is in memory at a time. What is left out was told when the model was
    measured on the same cases.

    Args:
        model: The open model.
        cases: Whose images.
        limits: What one file may cost.
        progress: Called with (done, total).
    """
    with SafeReader(limits or Limits()) as reader:
        for number, case in enumerate(cases):
            try:
                image = reader.load(case.path)
                answer, prepared = model.answer(image)
            except MedcnnError:
                pass
            else:
                if not answer.prediction.out_of_scope:
                    yield Looked(number, case, image, answer, prepared)
            if progress is not None:
                progress(number + 1, len(cases))


def on_tensor(relevance: FloatMap, prepared: Prepared) -> FloatMap:
    """Return a map of the image's grid on the grid of what the network saw.

    Args:
        relevance: (I, J, K).
        prepared: Says where the tensor lies.

    Returns:
        (rows, columns) or (slices, rows, columns).
    """
    size = prepared.tensor.shape[1:]
    full = (1, *size) if len(size) == 2 else size
    shape = full[2], full[1], full[0]
    found = resample_onto(np.ascontiguousarray(relevance), shape, prepared.to_voxel)
    return found.transpose(2, 1, 0).reshape(size)
