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
from medcnn.io.dicom.pixels.layout import Layout
from medcnn.io.dicom.pixels.lut import DISPLAY_MAX, read_lut, read_window
from medcnn.io.dicom.tags import (
    NOT_CONFORMANT,
    code,
    is_there,
    numbers,
    sequence,
    stated,
    text,
)

__all__ = [
    "TABLE_BITS",
    "VALUE_MODALITIES",
    "GreyPlan",
    "plan_grey",
    "stored_range",
]

FloatArray = npt.NDArray[np.float64]
Pixels = npt.NDArray[Any]

VALUE_MODALITIES = frozenset({"CT", "MR", "NM", "PT", "RTDOSE", "SEG"})
"""Modalities whose values are measurements; all others are read as displayed."""

TABLE_BITS = 16
"""Values of up to so many bits are looked up in a table of all of them."""

_DOSE_UNITS = {"GY": "Gy", "RELATIVE": "relative dose"}


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
        choice: Whether values are measured or as displayed, and who said so, in words.
    """

    layout: Layout
    steps: tuple[Step, ...] = ()
    unit: str | None = None
    is_display: bool = False
    padding: tuple[float, float] | None = None
    warnings: tuple[str, ...] = ()
    choice: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """Return every step in words, for a provenance."""
        lines = [self.layout.words, *(step.words for step in self.steps)]
        if self.padding is not None:
            lines.append(f"padding: stored values {_run(self.padding)} are masked")
        if self.choice:
            lines.append(self.choice)
        return tuple(lines)

    @property
    def signature(self) -> tuple[object, ...]:
        """Return what two plans share if and only if they do the same."""
        return (tuple(step.key for step in self.steps), self.unit, self.padding)

    @property
    def is_monotone(self) -> bool:
        """Whether averages of stored values keep their meaning: no fold in the steps.

        False for floats and more than 16 bits, where it is not found out.
        """
        if not self.steps:
            return True
        if self.layout.is_float or self.layout.allocated > TABLE_BITS:
            return False
        low, high = stored_range(self.layout)
        rises = np.diff(self(np.arange(low, high + 1)))
        return bool((rises >= 0).all() or (rises <= 0).all())

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
    is_inverted: bool = False

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
    draft = _Draft(*stored_range(layout))
    _plan_modality(dataset, draft, path)
    chosen = (
        "asked for"
        if as_values is not None
        else f"usual for {code(dataset, 'Modality') or 'it'}"
    )
    if as_values is None:
        as_values = modality in VALUE_MODALITIES
    _note_unapplied(dataset, draft)
    unit = _unit(dataset, modality, draft)
    if not as_values:
        _plan_voi(dataset, draft, path)
        _plan_polarity(dataset, layout, draft)
    elif layout.photometric == "MONOCHROME1":
        draft.warnings.append("MONOCHROME1: low values are shown bright; values kept")
    return GreyPlan(
        layout=layout,
        steps=tuple(draft.steps),
        unit=None if draft.is_display or draft.is_inverted else unit,
        is_display=draft.is_display,
        padding=_padding(dataset, layout, draft),
        warnings=tuple(draft.warnings),
        choice=f"{'measured values' if as_values else 'as displayed'}: {chosen}",
    )


def _plan_modality(dataset: Dataset, draft: _Draft, path: Path | None) -> None:
    """PS3.3 C.11.1: a table, or output = slope * stored + intercept.

    Raises:
        DecodeError: If the slope is 0 or the table is broken.
    """
    tables = sequence(dataset, "ModalityLUTSequence")
    if tables:
        lut = read_lut(tables[0], path, (draft.low, draft.high))
        words = f"modality LUT of {len(lut.entries)} entries from {lut.first}"
        draft.add(Step(words, lut, lut.key), lut.entries.min(), lut.entries.max())
        return
    if text(dataset, "Modality").upper() == "RTDOSE":
        _plan_dose(dataset, draft, path)
        return
    if text(dataset, "SegmentationType").upper() == "FRACTIONAL":
        _plan_fraction(dataset, draft, path)
        return
    slope = stated(dataset, "RescaleSlope", path)
    intercept = stated(dataset, "RescaleIntercept", path)
    if slope is None and intercept is None:
        return
    gain, offset = 1.0 if slope is None else slope, intercept or 0.0
    if gain == 0:
        msg = "(0028,1053) Rescale Slope is 0, which would make every value the same."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    if (gain, offset) != (1, 0):
        words = f"rescale: value = {gain:g} * stored + {offset:g}"
        ends = gain * draft.low + offset, gain * draft.high + offset
        draft.add(Step(words, lambda v: v * gain + offset, (gain, offset)), *ends)


def _plan_dose(dataset: Dataset, draft: _Draft, path: Path | None) -> None:
    """PS3.3 C.8.8.3: dose = (3004,000E) Dose Grid Scaling * stored.

    Raises:
        DecodeError: If the scaling is 0.
    """
    scale = stated(dataset, "DoseGridScaling", path)
    if scale is None:
        draft.warnings.append("it says no Dose Grid Scaling: values are not a dose")
        return
    if scale == 0:
        msg = "(3004,000E) Dose Grid Scaling is 0, which would make every dose 0."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    words = f"dose grid scaling: value = {scale:g} * stored"
    ends = scale * draft.low, scale * draft.high
    draft.add(Step(words, lambda v: v * scale, (scale,)), *ends)


def _plan_fraction(dataset: Dataset, draft: _Draft, path: Path | None) -> None:
    """PS3.3 C.8.20.2.3: a share = stored / (0062,000E) Maximum Fractional Value.

    Raises:
        DecodeError: If the maximum is not above 0.
    """
    most = stated(dataset, "MaximumFractionalValue", path)
    if most is None or most <= 0:
        msg = "(0062,000E) Maximum Fractional Value is missing or not above 0."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    words = f"fractional segmentation: value = stored / {most:g}"
    ends = draft.low / most, draft.high / most
    draft.add(Step(words, lambda v: v / most, (1 / most,)), *ends)


def _note_unapplied(dataset: Dataset, draft: _Draft) -> None:
    """Tell of what the file offers about its values and is left alone."""
    if sequence(dataset, "RealWorldValueMappingSequence"):
        draft.warnings.append("a real world value mapping is there and was not applied")
    if numbers(dataset, "RedPaletteColorLookupTableDescriptor"):
        first = numbers(dataset, "RedPaletteColorLookupTableDescriptor")[1:2]
        draft.warnings.append(
            f"stored values from {first[0] if first else 0:g} on are colours of a "
            "supplemental palette; they were kept as values"
        )


def _plan_voi(dataset: Dataset, draft: _Draft, path: Path | None) -> None:
    """PS3.3 C.11.2: the first VOI LUT, else the first window, else nothing."""
    tables = sequence(dataset, "VOILUTSequence")
    if tables:
        lut = read_lut(tables[0], path, (draft.low, draft.high))
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
    elif is_there(dataset, "WindowWidth") or is_there(dataset, "WindowCenter"):
        draft.warnings.append("its window is invalid and was treated as absent")


def _plan_polarity(dataset: Dataset, layout: Layout, draft: _Draft) -> None:
    """PS3.3 C.11.6 and C.7.6.3.1.2: make high values bright."""
    shape = text(dataset, "PresentationLUTShape").upper()
    if shape not in {"", "IDENTITY", "INVERSE"}:
        draft.warnings.append(
            "its Presentation LUT Shape is none that DICOM knows; treated as absent"
        )
        shape = ""
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
    draft.is_inverted = True


def _padding(
    dataset: Dataset, layout: Layout, draft: _Draft
) -> tuple[float, float] | None:
    """Return the run of stored values that mean padding, in the layout's sign.

    References:
        [1] DICOM PS3.3 C.7.5.1.1.2, Pixel Padding Value and Pixel Padding Range Limit.
    """
    kind = {"FloatPixelData": "Float", "DoubleFloatPixelData": "DoubleFloat"}
    prefix = kind.get(layout.keyword, "")
    try:
        value = stated(dataset, f"{prefix}PixelPaddingValue", None)
        limit = stated(dataset, f"{prefix}PixelPaddingRangeLimit", None)
    except DecodeError:
        draft.warnings.append("its padding value cannot be read; no mask")
        return None
    if value is None:
        return None
    ends = [value, value if limit is None else limit]
    if layout.is_float:
        return min(ends), max(ends)
    # Its VR is US or SS and some writers take the wrong one, so only its bits count.
    sign = 2 ** (layout.allocated - 1) if layout.is_signed else 0
    stored = [(int(end) + sign) % 2**layout.allocated - sign for end in ends]
    low, high = stored_range(layout)
    if min(stored) < low or max(stored) > high:
        draft.warnings.append("its padding value does not fit the bits stored; no mask")
        return None
    return min(stored), max(stored)


def _unit(dataset: Dataset, modality: str, draft: _Draft) -> str | None:
    """Return what modality values mean: HU, or what the file says."""
    tables = sequence(dataset, "ModalityLUTSequence")
    if tables:
        # (0028,3004) is free text of the writer, but HU and OD are defined
        kind = text(tables[0], "ModalityLUTType").upper()
        return kind if kind in {"HU", "OD"} else None
    kind = text(dataset, "RescaleType")
    # slope 1 and intercept 0 are no step, but say as well what the values are
    is_stated = bool(draft.steps) or is_there(dataset, "RescaleSlope")
    if modality == "CT" and is_stated and kind in {"", "HU"}:
        return "HU"
    if modality == "RTDOSE":
        units = text(dataset, "DoseUnits").upper()
        return _DOSE_UNITS.get(units, units or None) if draft.steps else None
    if modality in {"PT", "NM"}:
        return text(dataset, "Units") or None
    if text(dataset, "SegmentationType").upper() == "FRACTIONAL":
        kind = text(dataset, "SegmentationFractionalType").lower()
    return kind if is_stated and kind not in {"", "US"} else None


def stored_range(layout: Layout) -> tuple[float, float]:
    """Return the smallest and largest value the stored bits can hold."""
    if layout.is_float:
        return 0.0, 1.0
    if layout.is_signed:
        return -(2.0 ** (layout.stored - 1)), 2.0 ** (layout.stored - 1) - 1
    return 0.0, 2.0**layout.stored - 1


def _run(ends: tuple[float, float]) -> str:
    """Write a run of values."""
    return f"{ends[0]:g}" if ends[0] == ends[1] else f"{ends[0]:g} to {ends[1]:g}"
