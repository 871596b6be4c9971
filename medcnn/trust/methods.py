"""Any method's maps, for the measures of this package."""

from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.explanation import Explainer
from medcnn.model import Model
from medcnn.trust.located import has_mark
from medcnn.trust.looking import Looked

__all__ = ["MethodMaps"]


class MethodMaps:
    """Makes maps by one method; those of all marked labels of an image at once.

    Args:
        method: A name of `medcnn.explanation.METHODS`.
        settings: Of the method.
    """

    def __init__(self, method: str, **settings: Any) -> None:
        self._method, self._settings = method, settings
        self._explainers: dict[str, Explainer] = {}
        self._made: dict[tuple[str, int, str], npt.NDArray[np.float32]] = {}

    def __call__(
        self, model: Model, looked: Looked, label: str
    ) -> npt.NDArray[np.float32]:
        """Return a label's raw relevance on the image's own grid, (I, J, K)."""
        name = model.bundle.sha256
        if (name, looked.number, label) not in self._made:
            marked = (x for x in model.labels if has_mark(looked.case, x))
            labels = list(dict.fromkeys([label, *marked]))
            if name not in self._explainers:
                self._explainers[name] = Explainer(
                    model, method=self._method, **self._settings
                )
            found = self._explainers[name].explain(looked.image, labels)
            self._made = {
                (name, looked.number, heatmap.label): heatmap.array
                for heatmap in found.heatmaps
            }
        return self._made[name, looked.number, label]
