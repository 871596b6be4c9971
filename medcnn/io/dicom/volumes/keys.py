"""What tells planes apart that may lie in one place: echo, time, diffusion, component.

References:
    [1] DICOM PS3.3 C.8.3.1 (MR Image), C.8.13 (Enhanced MR), C.7.6.16.2.2 (Frame
        Content), C.7.6.17 (Dimensions), C.8.16.2 (Complex Image Component).
"""

import re
from collections.abc import Callable, Mapping
from datetime import date

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from medcnn.io.dicom.tags import number, numbers, sequence, text

__all__ = ["KINDS", "REPEATS", "Key", "keys_of", "title_of"]

Key = str | float
"""A plain value that planes are told apart by."""

KINDS: dict[str, str] = {
    "component": "{}",
    "echo time": "echo time {} ms",
    "echo": "echo {}",
    "b": "b {} s/mm2",
    "gradient": "gradient {}",
    "time": "time point {}",
    "trigger time": "trigger time {} ms",
    "slice thickness": "slice thickness {} mm",
    "stack": "stack {}",
    "segment": "segment {}",
    "kernel": "kernel {}",
    "contrast": "{} contrast agent",
    "inversion time": "inversion time {} ms",
    "flip angle": "flip angle {} degrees",
    "kVp": "{} kV",
    "metabolite": "{}",
    "velocity": "velocity encoding {}",
    "label": "{}",
    "units": "in {}",
    "image type": "image type {}",
}
"""Keys that say what a plane shows, most telling first, and their words.

Dimension indices of enhanced objects come after these, as "dimension NAME".
"""

REPEATS: dict[str, str] = {
    "acquisition": "acquisition {}",
    "acquired": "{} s",
}
"""Keys that count acquisitions; they may also change from slice to slice."""

_COMPONENTS = {"M": "magnitude", "P": "phase", "R": "real", "I": "imaginary"}

_NUMBERS = {
    "trigger time": ("TriggerTime", "NominalCardiacTriggerDelayTime"),
    "echo time": ("EffectiveEchoTime", "EchoTime"),
    "b": ("DiffusionBValue",),
    "slice thickness": ("SliceThickness",),
    "inversion time": ("InversionTime", "InversionTimes"),
    "flip angle": ("FlipAngle",),
    "kVp": ("KVP",),
}
_TEXTS = {
    "echo": ("EchoNumbers",),
    "time": ("TemporalPositionIndex", "TemporalPositionIdentifier"),
    "stack": ("StackID",),
    "segment": ("ReferencedSegmentNumber",),
    "kernel": ("ConvolutionKernel",),
    "metabolite": ("MetaboliteMapDescription",),
    "velocity": ("VelocityEncodingDirection",),
    "label": ("ASLContext",),
    "units": ("Units",),
    "acquisition": ("FrameAcquisitionNumber", "AcquisitionNumber"),
}
_MOMENT = re.compile(r"(\d{8})(\d\d)(\d\d)(\d\d)(?:\.(\d{1,6}))?")
_VENDOR_B = (
    # creator, element, which value
    ("SIEMENS MR HEADER", 0x0019, 0x0C),
    ("Philips Imaging DD 001", 0x2001, 0x03),
    ("GEMS_PARM_01", 0x0043, 0x39),
)
_POSITION_DIMENSIONS = {
    Tag("ImagePositionPatient"),
    Tag("InStackPositionNumber"),
    Tag("FrameAcquisitionDateTime"),
    Tag("FrameReferenceDateTime"),
    Tag("StackID"),
    Tag("TemporalPositionIndex"),
}


def keys_of(header: Dataset, dataset: Dataset) -> dict[str, Key]:
    """Return what tells a plane from others in its place; absent things are left out.

    Args:
        header: The flat header of the frame; the data set itself for a single frame.
        dataset: The data set.
    """
    found: dict[str, Key] = {}
    for name, keywords in _NUMBERS.items():
        value = _first(number, keywords, header, dataset)
        if value is not None:
            found[name] = round(float(value), 4)
    for name, keywords in _TEXTS.items():
        words = _first(text, keywords, header, dataset)
        if words:
            found[name] = str(words)
    _add_types(found, header, dataset)
    if text(dataset, "Modality") == "MR":
        _add_diffusion(found, header)
    _add_times(found, header, dataset)
    agent = text(dataset, "ContrastBolusAgent")
    found["contrast"] = "with" if agent else "without"
    if header is not dataset:
        found |= _dimensions(header, dataset)
    return found


def title_of(name: str, value: Key | None) -> str:
    """Return one key of a plane in words."""
    if value is None:
        return f"no {name}"
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    if name.startswith("dimension "):
        return f"{name.removeprefix('dimension ')} {shown}"
    return (KINDS | REPEATS)[name].format(shown)


def _first(
    read: Callable[[Dataset, str], float | str | None],
    keywords: tuple[str, ...],
    *places: Dataset,
) -> float | str | None:
    """Return the first attribute that is there."""
    for place in places:
        for keyword in keywords:
            value = read(place, keyword)
            if value is not None and value != "":
                return value
    return None


def _add_types(found: dict[str, Key], header: Dataset, dataset: Dataset) -> None:
    """Add the image type from its third value on, and the complex component."""
    kind = text(header, "FrameType") or text(header, "ImageType")
    parts = (kind or text(dataset, "ImageType")).upper().split("\\")[2:]
    if parts:
        found["image type"] = " ".join(part for part in parts if part)
    component = text(header, "ComplexImageComponent").lower()
    if not component and parts:
        component = _COMPONENTS.get(parts[0], "")
    if component and component != "mixed":
        found["component"] = component


def _add_diffusion(found: dict[str, Key], header: Dataset) -> None:
    """Add b-value and gradient direction, from the standard's or vendors' places."""
    if "b" not in found:
        value = _vendor_b(header)
        if value is not None:
            found["b"] = value
    nested = sequence(header, "DiffusionGradientDirectionSequence")
    source = nested[0] if nested else header
    direction = numbers(source, "DiffusionGradientOrientation")
    if not direction:
        direction = _private(header, "SIEMENS MR HEADER", 0x0019, 0x0E)
    if len(direction) == 3:
        found["gradient"] = " ".join(f"{part:.4f}" for part in direction)


def _vendor_b(header: Dataset) -> float | None:
    """Return a b-value from where vendors keep it in classic objects."""
    for creator, group, element in _VENDOR_B:
        value = _private(header, creator, group, element)
        if value:
            # GE adds multiples of 1e9 to mark how the value was derived
            return float(value[0] % 1e9)
    return None


def _private(
    header: Dataset, creator: str, group: int, element: int
) -> tuple[float, ...]:
    """Return the numbers of a private attribute; () if it is not there."""
    if (group, 0x0010) not in header:
        return ()
    try:
        value = header.private_block(group, creator)[element].value
    except (KeyError, ValueError):
        return ()
    parts = [value] if isinstance(value, str | int | float) else value
    try:
        return tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        return ()


def _add_times(found: dict[str, Key], header: Dataset, dataset: Dataset) -> None:
    """Add when a plane was acquired, in seconds."""
    moment = text(header, "FrameReferenceDateTime") or text(
        header, "FrameAcquisitionDateTime"
    )
    if not moment and header is dataset:
        moment = text(dataset, "AcquisitionDateTime")
    if not moment and text(header, "AcquisitionTime"):
        day = text(header, "AcquisitionDate") or "20000101"
        moment = day + text(header, "AcquisitionTime")
    seconds = _seconds(moment)
    if seconds is not None:
        found["acquired"] = seconds


def _seconds(moment: str) -> float | None:
    """Return the seconds of YYYYMMDDHHMMSS.FFFFFF since year 1; None if it is none."""
    match = _MOMENT.match(moment)
    if match is None:
        return None
    day, hours, minutes, seconds, fraction = match.groups()
    try:
        days = date(int(day[:4]), int(day[4:6]), int(day[6:])).toordinal()
    except ValueError:
        return None
    whole = ((days * 24 + int(hours)) * 60 + int(minutes)) * 60 + int(seconds)
    return float(f"{whole}.{fraction or 0}")


def _dimensions(header: Dataset, dataset: Dataset) -> Mapping[str, Key]:
    """Return the dimension indices of a frame other than those of place and time."""
    pointers = sequence(dataset, "DimensionIndexSequence")
    values = numbers(header, "DimensionIndexValues")
    found: dict[str, Key] = {}
    for at, (item, value) in enumerate(zip(pointers, values, strict=False), start=1):
        if item.get("DimensionIndexPointer") not in _POSITION_DIMENSIONS:
            name = text(item, "DimensionDescriptionLabel") or str(at)
            found[f"dimension {name}"] = value
    return found
