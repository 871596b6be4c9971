"""What the gate accepts, and the looks at what a file says and what its pixels are."""

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from medcnn.image import Image

__all__ = ["GateRules", "look_at_facts"]

_LOOKED_AT = 512
"""Rows and columns that are looked at for blankness, spread over the image."""

_SAME = 0.99


class GateRules(BaseModel):
    """What a file may say of itself; a fact that is not stated is not held against it.

    Attributes:
        modalities: Accepted (0008,0060) codes.
        body_parts: Accepted words within (0018,0015) Body Part Examined.
        refused_views: (0018,5101) View Position codes that are refused.
        min_side: Fewest rows and columns.
        max_aspect: Longest side over shortest.
        colour: Whether true colour (channels that differ) is accepted.
        pattern: The mean training image, 8 x 8 cells by rows, of mean 0 and variance 1;
            None where the training images have none in common. See
            `medcnn.gate.pattern`.
        pattern_limit: An image whose negative correlates with it at least so much is
            taken for inverted.
        ood_limit: Largest accepted distance of the feature vector.
        ood_quantile: The share of held-out training images below that limit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    refused_views: tuple[str, ...] = ()
    min_side: int = Field(default=64, ge=1)
    max_aspect: float = Field(default=2.5, ge=1)
    colour: bool = False
    pattern: tuple[float, ...] | None = Field(
        default=None, min_length=64, max_length=64
    )
    pattern_limit: float | None = Field(default=None, gt=0, le=1)
    ood_limit: float | None = None
    ood_quantile: float | None = None


def look_at_facts(rules: GateRules, image: Image, *, dims: int) -> str:
    """Return why the image is out of scope by what it says and is, or "".

    Args:
        rules: What the bundle accepts.
        image: The image as loaded.
        dims: 2 or 3, what the model takes.
    """
    checks = (_wrong_dims, _wrong_modality, _wrong_body_part, _wrong_view)
    for check in checks:
        reason = check(rules, image, dims)
        if reason:
            return reason
    return _wrong_pixels(rules, image)


def _wrong_dims(_rules: GateRules, image: Image, dims: int) -> str:
    if image.dims == dims:
        return ""
    i, j, k = image.shape
    return f"the model takes {dims}-D images, this is {image.dims}-D ({i} x {j} x {k})"


def _wrong_modality(rules: GateRules, image: Image, _dims: int) -> str:
    if not rules.modalities or image.modality is None:
        return ""
    if image.modality in rules.modalities:
        return ""
    accepted = ", ".join(rules.modalities)
    return f"modality {image.modality}, the model takes {accepted}"


def _wrong_body_part(rules: GateRules, image: Image, _dims: int) -> str:
    part = image.facts.get("body_part", "").strip().upper()
    if not rules.body_parts or not part:
        return ""
    if any(accepted in part for accepted in rules.body_parts):
        return ""
    return f"body part {part}, the model takes {', '.join(rules.body_parts)}"


def _wrong_view(rules: GateRules, image: Image, _dims: int) -> str:
    view = image.facts.get("view", "").strip().upper()
    if view and view in rules.refused_views:
        return f"view {view}, which the model was not trained on"
    return ""


def _wrong_pixels(rules: GateRules, image: Image) -> str:
    columns, rows, _ = image.full_shape or image.shape
    if min(columns, rows) < rules.min_side:
        return f"{columns} x {rows} pixels, at least {rules.min_side} a side are needed"
    aspect = max(columns, rows) / min(columns, rows)
    if aspect > rules.max_aspect:
        return f"{columns} x {rows} pixels: aspect {aspect:.1f} is not a radiograph's"
    if image.channels > 1 and not rules.colour:
        return "a colour image, the model takes grey ones"
    return _blank(image)


def _blank(image: Image) -> str:
    """Return that nearly all pixels have one value, if so."""
    if image.array.min() == image.array.max():
        return "a blank image: every pixel has the same value"
    if image.dims != 2:
        return ""
    columns, rows, _ = image.shape
    across, down = max(1, columns // _LOOKED_AT), max(1, rows // _LOOKED_AT)
    seen = image.array[:, ::across, ::down]
    _, counts = np.unique(seen, return_counts=True)
    share = float(counts.max()) / seen.size
    if share < _SAME:
        return ""
    return f"nearly blank: {100 * share:.1f} % of its pixels have the same value"
