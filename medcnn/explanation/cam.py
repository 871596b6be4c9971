"""Class activation maps: forward only, for any engine."""

import numpy as np
import numpy.typing as npt

from medcnn.image import Image
from medcnn.model import Model
from medcnn.preprocessing import Prepared
from medcnn.results import Heatmap

__all__ = ["explain", "heatmap_of"]


def explain(model: Model, image: Image, *, label: str | None = None) -> Heatmap:
    """Show what moved a label's score, on the image's own grid.

    Args:
        model: An open model.
        image: An image as loaded.
        label: Which label; None is the model's main one.

    Raises:
        DataError: If the model has no such label, or the image holds NaN.
        GeometryError: If the image has another number of dimensions.

    Examples:
        >>> import medcnn
        >>> model = medcnn.Model.open("chest-xray")  # doctest: +SKIP
        >>> heatmap = medcnn.explain(model, image)  # doctest: +SKIP
    """
    answer, prepared = model.answer(image)
    named = label or answer.prediction.label
    array = heatmap_of(model, answer.features, prepared, label=named)
    return Heatmap(array, image.geometry, named, "cam", model.spec.name)


def heatmap_of(
    model: Model,
    features: npt.NDArray[np.float32],
    prepared: Prepared,
    *,
    label: str,
) -> npt.NDArray[np.float32]:
    """Return raw relevance >= 0 on the image's grid, (I, J, K), from a feature map.

    Raises:
        DataError: If the model has no such label.
    """
    return prepared.restore(model.relevance(features, label))
