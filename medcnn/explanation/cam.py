"""Class activation maps of a feature map that is at hand already."""

import numpy as np
import numpy.typing as npt

from medcnn.model import Model
from medcnn.preprocessing import Prepared

__all__ = ["heatmap_of"]


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
