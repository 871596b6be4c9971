"""From stored values to meaning: modality, VOI, polarity and padding, in that order.

Every step is pointwise, so all of them together are one table over the values that a
container of up to 16 bits can hold, and the picture is looked up once.

References:
    [1] DICOM PS3.3 C.11.1, C.11.2, C.11.6; C.7.6.3.1.2 (MONOCHROME1); C.7.5.1.1.2
        (padding); PS3.4 N.2 (the order of the transformations).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medcnn.errors import DecodeError
from medcnn.io.dicom.lut import DISPLAY_MAX, read_lut, read_window
from medcnn.io.dicom.stored import Layout
from medcnn.io.dicom.tags import number, text

__all__ = ["VALUE_MODALITIES", "GreyPlan", "plan_grey", "render"]

FloatArray = npt.NDArray[np.float64]
Pixels = npt.NDArray[Any]

VALUE_MODALITIES = frozenset({"CT", "MR", "NM", "PT", "RTDOSE", "SEG"})
"""Modalities whose values are measurements; all others are read as displayed."""

_TABLE_BITS = 16
_BLOCK = 1 << 14
_INTEGER_TYPES = (np.uint8, np.int16, np.uint16, np.int32)


@dataclass(frozen=True)
class Step:
    """One pointwise step.

    Attributes:
        words: What it does.
        apply: The same as a function of float64 values.
        key: Equal for two steps that do the same.
    """

    words: str
    apply: Callable[[FloatArray], FloatArray]
    key: tuple[object, ...]


@dataclass(frozen=True)
class GreyPlan:
    """What will be done to the stored values of one image.

    Attributes:
        layout: How they are stored.
        steps: In the order they apply.
        unit: What the values mean afterwards; None where nothing says.
        is_display: Whether the result is scaled to 0..65535.
        padding: First and last stored value that mean "nothing acquired", or None.
        warnings: What a careful reader would want to be told.
    """

    layout: Layout
    steps: tuple[Step, ...] = ()
    unit: str | None = None
    is_display: bool = False
    padding: tuple[int, int] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """Return every step in words, for a provenance."""
        lines = [self.layout.words, *(step.words for step in self.steps)]
        if self.padding is not None:
            lines.append(f"padding: stored values {_run(self.padding)} are masked")
        return tuple(lines)

    @property
    def signature(self) -> tuple[object, ...]:
        """Return what two plans share if and only if they do the same."""
        return (tuple(step.key for step in self.steps), self.unit, self.padding)

    def __call__(self, values: FloatArray) -> FloatArray:
        """Return the meaning of stored values."""
        for step in self.steps:
            values = step.apply(values)
        return values


@dataclass
class _Draft:
    """A plan in the making: the steps so far and the range their output spans."""

    low: float
    high: float
    steps: list[Step] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    is_display: bool = False

    def add(self, step: Step, low: float, high: float) -> None:
        """Append a step whose output spans low to high."""
        self.steps.append(step)
        self.low, self.high = min(low, high), max(low, high)


def plan_grey(
    dataset: Dataset,
    layout: Layout,
    path: Path | None,
    *,
    as_values: bool | None = None,
) -> GreyPlan:
    """Decide what the stored values of a grey image mean, from its header alone.

    Args:
        dataset: The header.
        layout: How the pixels are stored.
        path: The file, for errors.
        as_values: True keeps measured values, False applies what a screen shows,
            None decides by modality.

    Raises:
        DecodeError: If a look-up table is broken or a rescale slope is 0.
    """
    modality = text(dataset, "Modality").upper()
    draft = _Draft(*_stored_range(layout))
    _plan_modality(dataset, layout, draft, path)
    if as_values is None:
        as_values = modality in VALUE_MODALITIES
    if not as_values:
        _plan_voi(dataset, draft, path)
        _plan_polarity(dataset, layout, draft)
    elif layout.photometric == "MONOCHROME1":
        draft.warnings.append("MONOCHROME1: low values are shown bright; values kept")
    return GreyPlan(
        layout=layout,
        steps=tuple(draft.steps),
        unit=None if draft.is_display else _unit(dataset, modality, draft),
        is_display=draft.is_display,
        padding=_padding(dataset, layout, draft),
        warnings=tuple(draft.warnings),
    )


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
        return (plan(pixels.astype(np.float64)) if plan.steps else pixels), None
    if plan.layout.allocated > _TABLE_BITS:
        return _render_wide(pixels, plan)
    domain = np.arange(2 ** max(8, 8 * pixels.dtype.itemsize), dtype=np.int64)
    stored = _as_stored(domain, plan.layout)
    values = _look_up(_narrow(plan(stored.astype(np.float64)), plan), pixels)
    if plan.padding is None:
        return values, None
    is_padding = (stored >= plan.padding[0]) & (stored <= plan.padding[1])
    mask = _look_up(is_padding, pixels)
    return values, mask if mask.any() else None


def _plan_modality(
    dataset: Dataset, layout: Layout, draft: _Draft, path: Path | None
) -> None:
    """PS3.3 C.11.1: a table, or output = slope * stored + intercept.

    Raises:
        DecodeError: If the slope is 0 or the table is broken.
    """
    sequence = dataset.get("ModalityLUTSequence")
    if sequence:
        lut = read_lut(sequence[0], path, is_signed=layout.is_signed)
        words = f"modality LUT of {len(lut.entries)} entries from {lut.first}"
        draft.add(Step(words, lut, lut.key), lut.entries.min(), lut.entries.max())
        return
    slope, intercept = (
        number(dataset, "RescaleSlope"),
        number(dataset, "RescaleIntercept"),
    )
    if slope is None and intercept is None:
        return
    gain, offset = 1.0 if slope is None else slope, intercept or 0.0
    if gain == 0:
        msg = "(0028,1053) Rescale Slope is 0, which would make every value the same."
        raise DecodeError(msg, path=path)
    if (gain, offset) != (1, 0):
        words = f"rescale: value = {gain:g} * stored + {offset:g}"
        ends = gain * draft.low + offset, gain * draft.high + offset
        draft.add(Step(words, lambda v: v * gain + offset, (gain, offset)), *ends)


def _plan_voi(dataset: Dataset, draft: _Draft, path: Path | None) -> None:
    """PS3.3 C.11.2: the first VOI LUT, else the first window, else nothing."""
    sequence = dataset.get("VOILUTSequence")
    if sequence:
        lut = read_lut(sequence[0], path, is_signed=draft.low < 0)
        words = (
            f"VOI LUT of {len(lut.entries)} entries of {lut.bits} bits from "
            f"{lut.first}, to 0..{DISPLAY_MAX:g}"
        )
        draft.add(Step(words, lut.to_display, lut.key), 0, DISPLAY_MAX)
        draft.is_display = True
        return
    window = read_window(dataset)
    if window is not None:
        draft.add(Step(window.words, window, (window,)), 0, DISPLAY_MAX)
        draft.is_display = True
    elif text(dataset, "WindowWidth") or text(dataset, "WindowCenter"):
        draft.warnings.append("its window is invalid and was treated as absent")


def _plan_polarity(dataset: Dataset, layout: Layout, draft: _Draft) -> None:
    """PS3.3 C.11.6 and C.7.6.3.1.2: make high values bright."""
    shape = text(dataset, "PresentationLUTShape").upper()
    is_one = layout.photometric == "MONOCHROME1"
    is_inverse = shape == "INVERSE" if shape else is_one
    if shape and is_inverse != is_one:
        draft.warnings.append(
            f"Presentation LUT Shape {shape} contradicts {layout.photometric}; the "
            "shape was followed"
        )
    if not is_inverse:
        return
    total = draft.low + draft.high
    reason = "Presentation LUT Shape INVERSE" if shape else "MONOCHROME1"
    words = f"{reason}: inverted, {total:g} - value"
    draft.add(Step(words, lambda v: total - v, (total,)), draft.low, draft.high)


def _padding(dataset: Dataset, layout: Layout, draft: _Draft) -> tuple[int, int] | None:
    """Return the run of stored values that mean padding, in the layout's sign.

    References:
        [1] DICOM PS3.3 C.7.5.1.1.2, Pixel Padding Value and Pixel Padding Range Limit.
    """
    value = number(dataset, "PixelPaddingValue")
    if value is None or layout.is_float:
        return None
    limit = number(dataset, "PixelPaddingRangeLimit")
    ends = [value, value if limit is None else limit]
    # Its VR is US or SS and some writers take the wrong one, so only its bits count.
    sign = 2 ** (layout.allocated - 1) if layout.is_signed else 0
    stored = [(int(end) + sign) % 2**layout.allocated - sign for end in ends]
    low, high = _stored_range(layout)
    if min(stored) < low or max(stored) > high:
        draft.warnings.append("its padding value does not fit the bits stored; no mask")
        return None
    return min(stored), max(stored)


def _unit(dataset: Dataset, modality: str, draft: _Draft) -> str | None:
    """Return what modality values mean: HU, or what the file says."""
    kind = text(dataset, "RescaleType")
    if modality == "CT" and draft.steps and kind in {"", "HU"}:
        return "HU"
    if modality == "PT":
        return text(dataset, "Units") or None
    return kind if draft.steps and kind not in {"", "US"} else None


def _stored_range(layout: Layout) -> tuple[float, float]:
    """Return the smallest and largest value the stored bits can hold."""
    if layout.is_float:
        return 0.0, 1.0
    if layout.is_signed:
        return -(2.0 ** (layout.stored - 1)), 2.0 ** (layout.stored - 1) - 1
    return 0.0, 2.0**layout.stored - 1


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
    flat = np.ascontiguousarray(pixels).reshape(-1)
    out = np.empty(flat.shape, table.dtype)
    for start in range(0, flat.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        np.take(table, flat[part], out=out[part], mode="clip")
    return out.reshape(pixels.shape)


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


def _run(ends: tuple[int, int]) -> str:
    """Write a run of values."""
    return f"{ends[0]}" if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
