"""The methods by name: what each computes, in what unit, and what it needs."""

from dataclasses import dataclass
from typing import Literal

from medcnn.errors import DataError

__all__ = ["METHODS", "Method", "method_named"]

Needs = Literal["features", "forward", "gradient", "attribution"]

_CELLS = "log-odds; the cells add up to what speaks for the label"
_RELATIVE = "none: comparable within one map only"


@dataclass(frozen=True)
class Method:
    """One way to make a heatmap.

    Attributes:
        name: What users call it.
        needs: "features": one forward pass in any engine; "forward": many of them;
            "gradient": torch, and the gradient by a layer's map; "attribution": torch,
            and the gradient by the image.
        unit: Of its values.
        meaning: What a value says, in a sentence.
        has_layer: Whether it is made of a layer's feature map.
        is_additive: Whether the values are shares of the logit, cell by cell, so that
            one scale suits all images.
    """

    name: str
    needs: Needs
    unit: str
    meaning: str
    has_layer: bool = True
    is_additive: bool = False


_ALL = (
    Method(
        "cam",
        "features",
        _CELLS,
        "What each cell of the last feature map adds to the score.",
        is_additive=True,
    ),
    Method(
        "grad-cam",
        "gradient",
        _CELLS,
        "The feature map weighed by the average gradient of each feature.",
        is_additive=True,
    ),
    Method(
        "grad-cam++",
        "gradient",
        _RELATIVE,
        "As Grad-CAM, with more weight for features that occur in few places.",
    ),
    Method(
        "hirescam",
        "gradient",
        _CELLS,
        "The feature map times its gradient, cell by cell.",
        is_additive=True,
    ),
    Method(
        "layercam",
        "gradient",
        "log-odds; only gradients that speak for the label count",
        "The feature map times its positive gradient, cell by cell.",
    ),
    Method(
        "score-cam",
        "forward",
        _RELATIVE,
        "The feature map weighed by the score of the image seen through each feature.",
    ),
    Method(
        "eigen-cam",
        "features",
        _RELATIVE,
        "What most features have in common; it is the same for every label.",
    ),
    Method(
        "occlusion",
        "forward",
        "log-odds",
        "How far the score falls, on average, when a window around the place is grey.",
        has_layer=False,
    ),
    Method(
        "integrated-gradients",
        "attribution",
        "log-odds; the pixels add up to what speaks for the label",
        "What each pixel adds to the score on the way from plain grey to the image.",
        has_layer=False,
    ),
    Method(
        "smoothgrad",
        "attribution",
        "log-odds for one unit of the network's input",
        "How far a small change of the pixel would move the score, either way.",
        has_layer=False,
    ),
)

METHODS: dict[str, Method] = {method.name: method for method in _ALL}
"""Every method by its name."""


def method_named(name: str) -> Method:
    """Return a method.

    Raises:
        DataError: If there is none of that name.
    """
    if name not in METHODS:
        msg = f"method {name!r} is unknown, expected one of auto, {', '.join(METHODS)}"
        raise DataError(msg)
    return METHODS[name]
