"""How relevance is shown: one scale for every image, in screening and in `explain`."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medcnn.explanation.methods import METHODS
from medcnn.explanation.scale import DEFAULT_SPAN, flag_level
from medcnn.model import Model
from medcnn.results import Heatmap

__all__ = ["Shown", "ShownScale", "Window", "display_window", "shown"]

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ShownScale:
    """From relevance to colour, for one label of one model.

    With global average pooling the score is the mean over the cells of the last feature
    map of what each cell says alone. A cell's level is how far that lies above what a
    flag takes, in log-odds. Where a flag takes no evidence (the head's bias alone
    suffices) and for softmax models, it is all that speaks for the label.

    Attributes:
        slope: Log-odds of the answer for each of the logit.
        low: Log-odds of a cell where colour begins.
        span: Log-odds from there to the hottest colour.
        unit: Of all of them, in words.
    """

    slope: float
    low: float
    span: float
    unit: str = "log-odds"

    @classmethod
    def of(cls, model: Model, label: str) -> "ShownScale":
        """Return the scale of a model's label."""
        spec = model.spec
        place = spec.labels.index(label)
        slope, low = flag_level(spec, float(model.bundle.head()[1][place]), label)
        measured = spec.heatmap_span if place == 0 else None
        is_score = spec.number_kind == "anomaly score"
        unit = "logit of the anomaly score" if is_score else "log-odds"
        return cls(slope, low, measured or DEFAULT_SPAN, unit)

    def levels(self, relevance: F32, cells: int) -> F32:
        """Return log-odds above where colour begins, >= 0.

        Args:
            relevance: Shares of the logit, such as those of cam.
            cells: Of the feature map that they were made of.
        """
        alone = relevance * np.float32(self.slope * cells)
        return np.asarray(np.maximum(alone - self.low, 0), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Shown:
    """A heatmap's values on the scale of the screen.

    Attributes:
        levels: >= 0, (I, J, K).
        top: The level of the hottest colour.
        words: What the colours run from and to.
    """

    levels: F32
    top: float
    words: str


def shown(model: Model, heatmap: Heatmap, hottest: float | None) -> Shown:
    """Return a heatmap on the scale that is the same for every image.

    Methods whose values are shares of the logit, and a detector's map, whose cells
    compare with its score, are shown as they are. Others have a
    unit of their own, or none: their hottest place gets the colour that the hottest
    cell of cam has, so that an image in which nothing speaks for the label stays grey.

    Args:
        model: Whose heatmap it is.
        heatmap: Raw relevance.
        hottest: The highest class activation of the same image and label, summed over
            as many cells as there are; None of a network without a feature map.
    """
    scale = ShownScale.of(model, heatmap.label)
    if _is_shown_as_it_is(model, heatmap):
        levels = scale.levels(heatmap.array, heatmap.cells)
        return Shown(levels, scale.span, _additive_words(scale))
    own = float(heatmap.array.max())
    if hottest is None:
        return Shown(heatmap.array, own, _own_words(own))
    highest = _as_hot_as_cam(scale, hottest)
    levels = heatmap.array * np.float32(highest / own if own > 0 else 0)
    return Shown(levels, scale.span, _relative_words(highest / scale.span))


@dataclass(frozen=True)
class Window:
    """Where a linear colour map begins and ends, in a heatmap's own values.

    Attributes:
        low: Values above it are coloured.
        high: The hottest colour, > low.
        words: What the two mean.
    """

    low: float
    high: float
    words: str


def display_window(model: Model, heatmap: Heatmap, hottest: float | None) -> Window:
    """Return the ends of the colour map for a viewer that draws the raw relevance.

    What `shown` does to the values, this does to the ends of the colour map. Where
    nothing is to be coloured no value exceeds `low`.

    Args:
        model: Whose heatmap it is.
        heatmap: Raw relevance.
        hottest: As for `shown`.
    """
    scale = ShownScale.of(model, heatmap.label)
    if _is_shown_as_it_is(model, heatmap):
        unit = scale.slope * heatmap.cells
        ends = scale.low / unit, (scale.low + scale.span) / unit
        return Window(*ends, _additive_words(scale))
    own = float(heatmap.array.max())
    if hottest is None:
        return Window(0.0, own if own > 0 else 1.0, _own_words(own))
    highest = _as_hot_as_cam(scale, hottest)
    words = _relative_words(highest / scale.span)
    if own <= 0:
        return Window(0.0, 1.0, words)
    if highest <= 0:
        return Window(own, 2 * own, words)
    return Window(0.0, own * scale.span / highest, words)


def _is_shown_as_it_is(model: Model, heatmap: Heatmap) -> bool:
    """Say whether one scale suits the values of all images."""
    is_detector = model.spec.detector is not None
    return is_detector or METHODS[heatmap.method].is_additive


def _as_hot_as_cam(scale: ShownScale, hottest: float) -> float:
    """Return the level of the hottest cell of cam, at most the hottest colour's."""
    cell = np.array([hottest], np.float32)
    return min(float(scale.levels(cell, 1)[0]), scale.span)


def _additive_words(scale: ShownScale) -> str:
    begins = "a flag" if scale.low > 0 else "0"
    words = f"{scale.unit} above {begins}: 0 to {scale.span:.3g}"
    return f"{words}, alike for every image"


def _own_words(own: float) -> str:
    return f"0 to {own:.3g}, this image's own highest"


def _relative_words(share: float) -> str:
    return f"relative; hottest place as hot as cam's: {share:.0%} of the scale"
