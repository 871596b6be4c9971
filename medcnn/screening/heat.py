"""Pictures of what moved a score, on one scale for every image of a run."""

import cv2
import numpy as np
import numpy.typing as npt

from medcnn.explanation.overlay import colour_scale, heat_layer, lay_over
from medcnn.explanation.shown import ShownScale
from medcnn.model import Model
from medcnn.preprocessing import Prepared
from medcnn.results import LIMITS_OF_A_MAP
from medcnn.screening.wire import Reading
from medcnn.worklist import HeatmapScale

__all__ = ["HeatPainter"]

_OPACITY = 0.6
_STOPS = 9
_ABOVE_FLAG = (
    "Colour begins where an image that looked like this spot all over would just reach "
    "the flag threshold, and is full at {span:.3g} log-odds more than that."
)
_FOR_LABEL = (
    "Colour begins where a spot speaks for {label} at all, and is full where an image "
    "that looked like it all over would gain {span:.3g} log-odds."
)
_ALWAYS = f"The scale is the same for every image. A map {LIMITS_OF_A_MAP}."


class HeatPainter:
    """Paint a label's class activation map over an image's small picture.

    With global average pooling the score is the mean over the cells of the last
    feature map of what each cell says alone. A cell's colour is how far that lies above
    what a flag takes, in log-odds, from 0 to the bundle's `heatmap_span`. Where a flag
    takes no evidence (the head's bias alone suffices) and for softmax models, it is all
    that speaks for the label. It is never stretched to an image's own maximum, so that
    an image in which nothing speaks for the finding stays grey.

    Args:
        model: The open model.
        label: Which label; None is the main one, whose span alone was measured.
    """

    def __init__(self, model: Model, label: str | None = None) -> None:
        spec = model.spec
        self._model = model
        self._label = label or spec.labels[0]
        self._scale = ShownScale.of(model, self._label)
        words = _ABOVE_FLAG if self._scale.low > 0 else _FOR_LABEL
        meaning = words.format(label=self._label, span=self._scale.span)
        places = np.linspace(0, 255, _STOPS).round().astype(int)
        colours = (f"#{bytes(rgb).hex()}" for rgb in colour_scale()[places])
        self.scale = HeatmapScale(
            label=self._label,
            unit="log-odds",
            low=0.0,
            high=self._scale.span,
            meaning=f"{meaning} {_ALWAYS}",
            colours=tuple(colours),
            opacity=(0.0, _OPACITY),
        )

    def levels(
        self, features: npt.NDArray[np.float32], reading: Reading
    ) -> npt.NDArray[np.float32]:
        """Return log-odds above what a flag takes, >= 0, on the pictures' grid.

        Returns:
            (columns, rows, pictures); zeros for a reading that has no grid.
        """
        if reading.grid is None or reading.tensor is None:
            return np.zeros((1, 1, max(1, len(reading.pictures))), np.float32)
        relevance = self._model.relevance(features, self._label)
        way = np.array(reading.grid.from_tensor).reshape(4, 4)
        small = Prepared(reading.tensor, way, reading.grid.shape).restore(relevance)
        return self._scale.levels(small, relevance.size)

    def paint(self, picture: bytes, levels: npt.NDArray[np.float32]) -> bytes:
        """Lay levels, (columns, rows), over a JPEG picture; return a PNG."""
        coded = np.frombuffer(picture, np.uint8)
        bgr = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        layer = heat_layer(np.ascontiguousarray(levels.T), top=self._scale.span)
        rgb = np.asarray(bgr, np.uint8)[..., ::-1]
        mixed = lay_over(rgb, layer, opacity=_OPACITY)
        flat = np.ascontiguousarray(mixed[..., ::-1])
        return bytes(cv2.imencode(".png", flat, (cv2.IMWRITE_PNG_COMPRESSION, 3))[1])
