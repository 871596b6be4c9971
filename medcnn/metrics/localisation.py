"""Does a heatmap point at the lesion? One map, one region, and numbers out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medcnn.metrics.precision import average_precision

__all__ = [
    "HOT_SHARE",
    "Located",
    "centre_map",
    "energy_inside",
    "locate",
    "overlap",
    "peak_inside",
    "pixel_precision",
    "widened",
]

FloatArray = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

HOT_SHARE = 0.5
"""A pixel is hot from this share of the map's own maximum on."""

_EQUAL = 1e-6
"""Relevances that differ by less, relative to the highest, are one peak: so much does
interpolation round."""

_CENTRE_WIDTH = 0.25
"""Standard deviation of the centre map, in lengths of each side."""


@dataclass(frozen=True)
class Located:
    """How well one map finds one region, each from 0 to 1.

    Attributes:
        pointing: Share of the hottest points that lie inside; 1 or 0 unless several are
            equally hot.
        energy: Share of all relevance that lies inside.
        iou: Intersection over union of the region and the hot pixels.
        auprc: Area under the precision-recall curve of all pixels.
        area: Share of the image that the region covers. It is what each of the other
            four would be for a map that is equal everywhere, and what the pointing game
            gives on average for a random point.
        is_empty: Whether the map is zero everywhere: it points nowhere, a miss.
    """

    pointing: float
    energy: float
    iou: float
    auprc: float
    area: float
    is_empty: bool


def locate(
    relevance: npt.ArrayLike,
    region: npt.ArrayLike,
    *,
    tolerance: float = 0.0,
    spacing: Sequence[float] | None = None,
) -> Located:
    """Measure how well a map finds a region.

    Args:
        relevance: Raw relevance >= 0, any shape.
        region: True inside the radiologist's box or mask, the same shape.
        tolerance: How far beside the region a peak still counts, in units of `spacing`;
            for the pointing game alone.
        spacing: Distance of neighbours along each axis, such as millimetres; None
            counts pixels.

    Raises:
        ValueError: As `peak_inside`.

    Examples:
        >>> found = locate([[0, 1], [1, 2]], [[0, 0], [0, 1]])
        >>> found.pointing, found.energy, round(found.iou, 3), found.area
        (1.0, 0.5, 0.333, 0.25)
    """
    values, inside = _checked(relevance, region)
    return Located(
        pointing=peak_inside(values, inside, tolerance=tolerance, spacing=spacing),
        energy=energy_inside(values, inside),
        iou=overlap(values, inside),
        auprc=pixel_precision(values, inside),
        area=float(inside.mean()),
        is_empty=not values.any(),
    )


def peak_inside(
    relevance: npt.ArrayLike,
    region: npt.ArrayLike,
    *,
    tolerance: float = 0.0,
    spacing: Sequence[float] | None = None,
) -> float:
    """Play the pointing game: is the hottest point inside the region?

    Several equally hot points count by the share of them that is inside, which is the
    chance that one drawn of them is; so the order in which pixels are stored decides
    nothing. A map of zeros has no hottest point and misses.

    Args:
        relevance: Raw relevance >= 0, any shape.
        region: True inside, the same shape.
        tolerance: How far beside the region still counts; the paper takes 15 pixels.
        spacing: Distance of neighbours along each axis; None counts pixels.

    Raises:
        ValueError: If the shapes differ, the region is empty, a relevance is negative
            or no finite number, or the tolerance is negative.

    References:
        [1] Zhang et al., Top-down neural attention by excitation backprop, Int. J.
            Comput. Vis. 126 (2018) 1084-1102, section 4.2.
    """
    values, inside = _checked(relevance, region)
    top = float(values.max())
    if top == 0:
        return 0.0
    near = widened(inside, tolerance=tolerance, spacing=spacing)
    return float(near[values >= top * (1 - _EQUAL)].mean())


def energy_inside(relevance: npt.ArrayLike, region: npt.ArrayLike) -> float:
    """Return the share of all relevance that lies inside the region.

    Wang's energy-based pointing game, without its scaling of the map to 0 to 1: raw
    relevance has a zero of its own. A map of zeros has 0.

    Raises:
        ValueError: As `peak_inside`.

    References:
        [1] Wang et al., Score-CAM, CVPR Workshops 2020, section 4.3.
    """
    values, inside = _checked(relevance, region)
    whole = float(values.sum(dtype=np.float64))
    return float(values[inside].sum(dtype=np.float64)) / whole if whole else 0.0


def overlap(
    relevance: npt.ArrayLike, region: npt.ArrayLike, *, share: float = HOT_SHARE
) -> float:
    """Return intersection over union of the region and the hot pixels.

    Hot is what has at least `share` of the map's maximum; of a map of zeros nothing is,
    and it has 0. It asks for an outline, which a heatmap does not promise.

    Raises:
        ValueError: As `peak_inside`, or if `share` is not above 0 and at most 1.
    """
    values, inside = _checked(relevance, region)
    if not 0 < share <= 1:
        msg = f"share must be above 0 and at most 1, got {share}"
        raise ValueError(msg)
    top = float(values.max())
    hot = values >= share * top if top else np.zeros_like(inside)
    return int((hot & inside).sum()) / int((hot | inside).sum())


def pixel_precision(relevance: npt.ArrayLike, region: npt.ArrayLike) -> float:
    """Return the area under the precision-recall curve of all pixels (AUPRC).

    A map that says nothing, being equal everywhere, has the region's share of the
    image. Where the region is the whole image every pixel is right, and the area is 1.

    Raises:
        ValueError: As `peak_inside`.
    """
    values, inside = _checked(relevance, region)
    if inside.all():
        return 1.0
    return average_precision(inside.ravel(), values.ravel())


def centre_map(shape: Sequence[int]) -> FloatArray:
    """Return the map of somebody who never looked: hot at the image's centre.

    A bell curve of each axis, its standard deviation a quarter of the side. Where a
    side is even the two middle pixels are equally hot.

    Args:
        shape: Of the image, such as (I, J, K).

    Examples:
        >>> centre_map((3, 1)).round(3).ravel().tolist()
        [0.411, 1.0, 0.411]
    """
    bells = []
    for size in shape:
        place = (2 * np.arange(size) - (size - 1)) / (2 * size)  # symmetric to the bit
        bells.append(np.exp(-0.5 * np.square(place / _CENTRE_WIDTH)))
    found = bells[0]
    for bell in bells[1:]:
        found = np.multiply.outer(found, bell)
    return np.asarray(found)


def widened(
    region: Flags, *, tolerance: float, spacing: Sequence[float] | None = None
) -> Flags:
    """Return the region and all that lies within a distance of it.

    Args:
        region: True inside, not empty.
        tolerance: The distance from centre of pixel to centre of pixel.
        spacing: Distance of neighbours along each axis; None counts pixels.

    Raises:
        ValueError: If the tolerance is negative.
    """
    if tolerance < 0:
        msg = f"tolerance must not be negative, got {tolerance}"
        raise ValueError(msg)
    if tolerance == 0:
        return region
    away = ndimage.distance_transform_edt(~region, sampling=spacing)
    return np.asarray(away <= tolerance)


def _checked(
    relevance: npt.ArrayLike, region: npt.ArrayLike
) -> tuple[npt.NDArray[np.floating], Flags]:
    """Return both as arrays.

    Raises:
        ValueError: If they do not fit, or hold what they must not.
    """
    values, inside = np.asarray(relevance), np.asarray(region, dtype=bool)
    if values.dtype.kind != "f":
        values = values.astype(np.float64)
    if values.shape != inside.shape:
        msg = f"the map has shape {values.shape}, the region {inside.shape}"
        raise ValueError(msg)
    if not inside.any():
        msg = "the region is empty: nothing can be found in it"
        raise ValueError(msg)
    if not np.isfinite(values).all() or values.min() < 0:
        msg = "relevance must be finite and not negative"
        raise ValueError(msg)
    return values, inside
