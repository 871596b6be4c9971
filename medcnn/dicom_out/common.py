"""What all results have in common: who made them, and what they are called."""

from typing import Any

from highdicom.sr import CodedConcept

from medcnn.dicom_out.case import Case
from medcnn.dicom_out.codes import Code, plain_text
from medcnn.dicom_out.own import MANUFACTURER, RESEARCH_USE

__all__ = ["ARTIFICIAL_INTELLIGENCE", "concept", "content_dates", "equipment"]

ARTIFICIAL_INTELLIGENCE = ("123110", "DCM", "Artificial Intelligence")

_UNKNOWN_DATE, _UNKNOWN_TIME = "19000101", "000000"


def concept(code: Code) -> CodedConcept:
    """Return a code as content items want it."""
    return CodedConcept(code.value, code.scheme, code.meaning)


def equipment(
    case: Case, what: str, *, series_number: int, instance_number: int = 1
) -> dict[str, Any]:
    """Return the arguments that say which device made a result, of which series.

    Args:
        case: The case.
        what: Of the series description, behind "Research use" and before the model,
            because lists of series cut what is long.
        series_number: Its number.
        instance_number: The result's number in it.
    """
    date, time = content_dates(case)
    return {
        "series_number": series_number,
        "instance_number": instance_number,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": case.model.name[:64],
        "software_versions": case.model.software[:64],
        "device_serial_number": case.model.weights_sha256[:16],
        "series_description": plain_text(f"{RESEARCH_USE}: {what}, {case.model.name}"),
        "content_date": date,
        "content_time": time,
    }


def content_dates(case: Case) -> tuple[str, str]:
    """Return the date and time that results carry: those of the source.

    The same input gives the same bytes; when a result was made is for the archive.
    """
    header = case.source.headers[0]
    for kind in ("Content", "Acquisition", "Series", "Study"):
        date = str(header.get(f"{kind}Date") or "")
        if date:
            return date, str(header.get(f"{kind}Time") or _UNKNOWN_TIME)
    return _UNKNOWN_DATE, _UNKNOWN_TIME
