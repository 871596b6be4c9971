"""Pictures of what moved a score, on one scale for every image of a run."""

from functools import cache

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
_JPEG = (
    cv2.IMWRITE_JPEG_QUALITY,
    92,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,  # colour as sharp as the grey below it
)
_ABOVE_FLAG = (
    "Colour begins where an image that looked like this spot all over would just reach "
    "the flag threshold, and is full at {span:.3g} log-odds more than that."
)
_ABOVE_NORMAL = (
    "Colour begins where an image as unlike normal images all over as this spot would "
    "just reach the flag threshold, and is full at {span:.3g} more than that ({unit})."
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
        if spec.detector is not None:
            words = _ABOVE_NORMAL
        meaning = words.format(
            label=self._label, span=self._scale.span, unit=self._scale.unit
        )
        places = np.linspace(0, 255, _STOPS).round().astype(int)
        colours = (f"#{bytes(rgb).hex()}" for rgb in colour_scale()[places])
        self.scale = HeatmapScale(
            label=self._label,
            unit=self._scale.unit,
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
        """Lay levels, (columns, rows), over a JPEG picture; return a JPEG.

        It is coded as the pictures of a run are, several times as fast as a PNG and a
        quarter of its size. Where nothing is hot the picture itself is returned.
        """
        if not levels.any():
            return picture
        coded = np.frombuffer(picture, np.uint8)
        below = np.asarray(cv2.imdecode(coded, cv2.IMREAD_UNCHANGED), np.uint8)
        shares = np.ascontiguousarray(levels.T)
        if below.ndim == 2:
            hot = cv2.convertScaleAbs(shares, alpha=255 / self._scale.span)
            mixed = _over_grey(below, np.asarray(hot, np.uint8))
        else:
            layer = heat_layer(shares, top=self._scale.span)
            mixed = lay_over(below[..., ::-1], layer, opacity=_OPACITY)[..., ::-1]
        return bytes(cv2.imencode(".jpg", np.ascontiguousarray(mixed), _JPEG)[1])


def _over_grey(
    grey: npt.NDArray[np.uint8], hot: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Lay heat, 0 to 255, over a grey picture by looking both up; return BGR."""
    place = (hot.astype(np.uint16) << 8) | grey
    mixed = np.take(_colours(), place).view(np.uint8).reshape(*grey.shape, 4)
    return np.asarray(cv2.cvtColor(mixed, cv2.COLOR_BGRA2BGR), np.uint8)


@cache
def _colours() -> npt.NDArray[np.uint32]:
    """Return the colour, four bytes BGRA, of each heat times 256 plus each grey."""
    ramp = np.arange(256, dtype=np.float32)
    layer = heat_layer(np.repeat(ramp[:, None], 256, axis=1), top=255)
    greys = np.broadcast_to(ramp.astype(np.uint8)[None, :, None], (256, 256, 3))
    bgra = np.zeros((256, 256, 4), np.uint8)
    bgra[..., :3] = lay_over(greys, layer, opacity=_OPACITY)[..., ::-1]
    return bgra.reshape(-1).view(np.uint32)
