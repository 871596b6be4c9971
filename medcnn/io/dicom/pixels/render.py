"""The steps of a plan carried out: containers to values, and the mask of padding.

Every step is pointwise, so all of them together are one table over the values that a
container of up to 16 bits can hold, and the picture is looked up once.
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from medcnn.io.dicom.pixels.grey import TABLE_BITS, GreyPlan
from medcnn.io.dicom.pixels.layout import Layout

__all__ = ["render"]

FloatArray = npt.NDArray[np.float64]
Pixels = npt.NDArray[Any]

_BLOCK = 1 << 16
# From OpenCV 5 on, a table may have 65536 entries.
_OPENCV_LOOKS_UP_WORDS = int(cv2.__version__.split(".")[0]) >= 5
_OPENCV_TYPES = (np.uint8, np.int16, np.uint16, np.float32)
_INTEGER_TYPES = (np.uint8, np.int16, np.uint16, np.int32, np.uint32)


def render(
    pixels: Pixels, plan: GreyPlan
) -> tuple[Pixels, npt.NDArray[np.bool_] | None]:
    """Apply a plan to containers.

    Args:
        pixels: Unsigned integers of the layout's container size, or floats, any shape.
        plan: What to do.

    Returns:
        Values of the same shape, and the mask of padding or None.
    """
    if plan.layout.is_float:
        return _render_floats(pixels, plan)
    if plan.layout.allocated > TABLE_BITS:
        return _render_wide(pixels, plan)
    if not plan.steps and plan.padding is None:
        return _as_they_are(pixels, plan.layout), None
    domain = np.arange(2 ** max(8, 8 * pixels.dtype.itemsize), dtype=np.int64)
    stored = _as_stored(domain, plan.layout)
    values = _look_up(_narrow(plan(stored.astype(np.float64)), plan), pixels)
    if plan.padding is None:
        return values, None
    is_padding = (stored >= plan.padding[0]) & (stored <= plan.padding[1])
    mask = _look_up(is_padding, pixels)
    return values, mask if mask.any() else None


def _as_they_are(pixels: Pixels, layout: Layout) -> Pixels:
    """Return stored values without a table: unused bits dropped, sign extended."""
    size, spare = 8 * pixels.dtype.itemsize, layout.allocated - layout.stored
    if layout.allocated == 1:
        return pixels
    if layout.is_signed:
        signed = pixels.view(f"i{size // 8}")
        values = (signed << spare) >> spare if spare else signed
        return values.astype(np.int16, copy=False)
    values = pixels & pixels.dtype.type((1 << layout.stored) - 1) if spare else pixels
    # Few enough bits fit a signed container as well as an unsigned one.
    if layout.stored <= 8:
        return values.astype(np.uint8, copy=False)
    return values.view(np.int16) if layout.stored < size else values


def _render_floats(
    pixels: Pixels, plan: GreyPlan
) -> tuple[Pixels, npt.NDArray[np.bool_] | None]:
    """Apply a plan to floating point numbers."""
    values = plan(pixels.astype(np.float64)) if plan.steps else pixels
    if plan.padding is None:
        return values, None
    mask = (pixels >= plan.padding[0]) & (pixels <= plan.padding[1])
    return values, mask if mask.any() else None


def _render_wide(
    pixels: Pixels, plan: GreyPlan
) -> tuple[Pixels, npt.NDArray[np.bool_] | None]:
    """Apply a plan to 32 bit containers, value by value."""
    stored = _as_stored(pixels.astype(np.int64), plan.layout)
    values = _narrow(plan(stored.astype(np.float64)), plan)
    if plan.padding is None:
        return values, None
    mask = (stored >= plan.padding[0]) & (stored <= plan.padding[1])
    return values, mask if mask.any() else None


def _as_stored(
    containers: npt.NDArray[np.int64], layout: Layout
) -> npt.NDArray[np.int64]:
    """Drop the unused bits of containers and extend the sign."""
    values = containers & (2**layout.stored - 1)
    if layout.is_signed:
        sign = 2 ** (layout.stored - 1)
        values = (values ^ sign) - sign
    return np.asarray(values)


def _narrow(values: FloatArray, plan: GreyPlan) -> Pixels:
    """Give values the smallest type that holds them exactly, else float32."""
    if plan.is_display:
        return np.rint(values).astype(np.uint16)
    if (values == np.rint(values)).all():
        low, high = values.min(), values.max()
        for kind in _INTEGER_TYPES:
            if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
                return values.astype(kind)
    return values.astype(np.float32)


def _look_up(table: Pixels, pixels: Pixels) -> Pixels:
    """Return table[pixels], in blocks that stay in the processor's cache."""
    if _OPENCV_LOOKS_UP_WORDS and table.dtype in _OPENCV_TYPES:
        whole = np.ascontiguousarray(pixels).reshape(-1, pixels.shape[-1])
        return np.asarray(cv2.LUT(whole, table[None])).reshape(pixels.shape)
    flat = np.ascontiguousarray(pixels).reshape(-1)
    out = np.empty(flat.shape, table.dtype)
    for start in range(0, flat.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        np.take(table, flat[part], out=out[part], mode="clip")
    return out.reshape(pixels.shape)
