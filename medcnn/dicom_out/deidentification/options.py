"""What may stay beyond the Basic Profile: the standard's options, asked for by name."""

import re
from collections.abc import Collection
from datetime import date, timedelta
from enum import StrEnum

from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue

from medcnn.dicom_out.deidentification.profile import option_letter

__all__ = ["METHOD_CODES", "Retain", "retained_value", "shifted"]


class Retain(StrEnum):
    """An option of the profile.

    References:
        [1] DICOM PS3.15 E.3.
    """

    UIDS = "uids"
    DEVICE = "device"
    INSTITUTION = "institution"
    PATIENT = "patient"
    DATES = "shifted-dates"


METHOD_CODES: dict[Retain, tuple[str, str]] = {
    Retain.DATES: (
        "113107",
        "Retain Longitudinal Temporal Information Modified Dates Option",
    ),
    Retain.PATIENT: ("113108", "Retain Patient Characteristics Option"),
    Retain.DEVICE: ("113109", "Retain Device Identity Option"),
    Retain.UIDS: ("113110", "Retain UIDs Option"),
    Retain.INSTITUTION: ("113112", "Retain Institution Identity Option"),
}
"""Value and meaning in the scheme DCM (PS3.16 CID 7050)."""

_UID = re.compile(r"[0-9.]{1,64}")
_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)")
_DATE_TIME = re.compile(r"(\d{8})((?:\d\d){0,3}(?:\.\d{1,6})?(?:[-+]\d{4})?)")
_TIME = re.compile(r"(?:\d\d){1,3}(?:\.\d{1,6})?")
_ZONE = re.compile(r"[-+]\d{4}")
_FORMS = {
    "AS": re.compile(r"(\d{3}[DWMY])?"),
    "CS": re.compile(r"[A-Z0-9 _]{0,16}"),
    "DS": re.compile(r"\s*[-+0-9.eE]{0,16}\s*"),
    "IS": re.compile(r"\s*[-+]?\d{0,12}\s*"),
    "TM": _TIME,
    "UI": _UID,
}
_TEMPORAL = frozenset({"DA", "DT", "TM"})


def retained_value(
    element: DataElement, retain: Collection[Retain], days: int
) -> object:
    """Return what an attribute that is no sequence keeps by an option.

    Args:
        element: The attribute.
        retain: What was asked for.
        days: By how many its patient's dates go back.

    Returns:
        None if no option keeps it, or its value is not what it should be: then the
        Basic Profile decides.

    References:
        [1] DICOM PS3.15 table E.1-1; a letter C, which asks a person to look, keeps
            nothing here but dates and times.
    """
    vr = str(element.VR)
    if Retain.DATES in retain and option_letter(element.tag, Retain.DATES):
        return _modified(element, vr, days)
    is_listed = any(option_letter(element.tag, one) == "K" for one in retain)
    is_new_uid = vr == "UI" and Retain.UIDS in retain
    if not is_listed and not (is_new_uid and option_letter(element.tag, "") is None):
        return None
    form = _FORMS.get(vr)
    values = _values(element)
    if form is not None and not all(form.fullmatch(str(v)) for v in values):
        return None
    return element.value if values else None


def shifted(text: str, days: int) -> str | None:
    """Return a DICOM date or date and time so many days before; None if it is none.

    Examples:
        >>> shifted("20240301", 1), shifted("20240301120000.5+0100", 366)
        ('20240229', '20230301120000.5+0100')
    """
    found = _DATE_TIME.fullmatch(text.strip())
    parts = _DATE.fullmatch(found[1]) if found else None
    if found is None or parts is None:
        return None
    try:
        day = date(*(int(part) for part in parts.groups())) - timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return f"{day.year:04}{day.month:02}{day.day:02}{found[2]}"


def _modified(element: DataElement, vr: str, days: int) -> object:
    """Return dates that went back, times as they are, and the time zone."""
    values = [str(value) for value in _values(element)]
    if not values:
        return None
    if vr not in _TEMPORAL:
        is_zone = vr == "SH" and all(_ZONE.fullmatch(one) for one in values)
        return element.value if is_zone else None
    if vr == "TM":
        return element.value if all(map(_TIME.fullmatch, values)) else None
    moved = [shifted(one, days) for one in values]
    if any(one is None for one in moved):
        return None
    return moved if len(moved) > 1 else moved[0]


def _values(element: DataElement) -> list[object]:
    value = element.value
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, list | MultiValue) else [value]
