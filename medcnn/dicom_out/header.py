"""A header with nothing in it but what results may repeat of their source."""

import re
from collections.abc import Callable
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pydicom.valuerep import DSfloat

from medcnn.io.dicom.tags import text
from medcnn.io.dicom.volumes.records import FileRecord, Plane

__all__ = ["clean_header", "decimal"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\\]+")
_LONGEST = {"PatientID": 64, "AccessionNumber": 16, "StudyID": 16}
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
_SEXES = frozenset("MFO")


def clean_header(
    dataset: Dataset, record: FileRecord, *, with_patient: bool
) -> Dataset:
    """Return what results repeat: UIDs, dates, size, and the patient if wanted.

    Text is cut to what its value representation holds, without control characters or
    backslashes; a date, time or sex that is none is left empty. It is UTF-8.

    Args:
        dataset: A header of an untrusted file.
        record: The same file's record.
        with_patient: Whether name, number, birth date, sex, accession number and
            study ID are kept; if not they are empty, as PS3.3 allows.

    References:
        [1] DICOM PS3.3 C.7.1.1 and C.7.2.1: these attributes are of type 2.
    """
    clean = Dataset()
    clean.SpecificCharacterSet = "ISO_IR 192"
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(clean, keyword, text(dataset, keyword))
    clean.SOPClassUID = text(dataset, "SOPClassUID")
    reference = UID(text(dataset, "FrameOfReferenceUID"))
    if reference and reference.is_valid:
        clean.FrameOfReferenceUID = reference
    clean.Modality = record.modality or "OT"
    for keyword, rule in _PATIENT.items():
        setattr(clean, keyword, rule(dataset, keyword) if with_patient else "")
    clean.ReferringPhysicianName = ""
    _add_dates(clean, dataset)
    columns, rows, _ = record.planes[0].size
    clean.Rows, clean.Columns = rows, columns
    frames = text(dataset, "NumberOfFrames")
    if frames.isdigit() and (int(frames) > 1 or _is_multi_frame(dataset)):
        clean.NumberOfFrames = int(frames)
    if record.is_placed and record.planes[0].spacing:
        _add_places(clean, record)
    orientation = text(dataset, "PatientOrientation").split("\\")
    if len(orientation) == 2 and all(
        re.fullmatch("[APRLHF]{1,3}", o) for o in orientation
    ):
        clean.PatientOrientation = orientation
    return clean


def _add_dates(clean: Dataset, dataset: Dataset) -> None:
    """Copy dates and times; what is none is left empty."""
    for kind in ("Study", "Series", "Acquisition", "Content"):
        setattr(clean, f"{kind}Date", _date(dataset, f"{kind}Date"))
        time = text(dataset, f"{kind}Time")
        setattr(clean, f"{kind}Time", time if _TIME.fullmatch(time) else "")


def _add_places(clean: Dataset, record: FileRecord) -> None:
    """Say where each plane lies, in the way of single-frame or enhanced objects."""
    if "NumberOfFrames" not in clean:
        clean.update(_place(record.planes[0]))
        return
    frames = []
    for plane in record.planes:
        place = _place(plane)
        frame = Dataset()
        frame.PlanePositionSequence = [_only(place, "ImagePositionPatient")]
        frames.append(frame)
    shared, first = Dataset(), _place(record.planes[0])
    shared.PlaneOrientationSequence = [_only(first, "ImageOrientationPatient")]
    shared.PixelMeasuresSequence = [_only(first, "PixelSpacing", "SliceThickness")]
    clean.SharedFunctionalGroupsSequence = [shared]
    clean.PerFrameFunctionalGroupsSequence = frames


def _place(plane: Plane) -> Dataset:
    """Return position, orientation and spacing of a plane."""
    place = Dataset()
    place.ImagePositionPatient = [decimal(value) for value in plane.position]
    place.ImageOrientationPatient = [decimal(value) for value in plane.cosines]
    place.PixelSpacing = [decimal(value) for value in plane.spacing]
    place.SliceThickness = decimal(plane.thickness_mm or plane.depth_mm or 1.0)
    return place


def _only(place: Dataset, *keywords: str) -> Dataset:
    """Return some of a data set's attributes."""
    part = Dataset()
    for keyword in keywords:
        part[keyword] = place[keyword]
    return part


def decimal(value: float) -> DSfloat:
    """Return a number as a Decimal String, of at most 16 characters."""
    return DSfloat(float(value), auto_format=True)


def _is_multi_frame(dataset: Dataset) -> bool:
    """Say whether an object is one of the enhanced kinds, even with one frame."""
    return "SharedFunctionalGroupsSequence" in dataset


def _plain(dataset: Dataset, keyword: str) -> str:
    """Return text without control characters, not too long."""
    value = _CONTROL.sub(" ", text(dataset, keyword)).strip()
    return value[: _LONGEST[keyword]].strip()


def _name(dataset: Dataset, keyword: str) -> str:
    """Return a person's name: at most three groups of at most 64 characters."""
    groups = _CONTROL.sub(" ", text(dataset, keyword)).strip().split("=")[:3]
    return "=".join("^".join(group[:64].split("^")[:5]) for group in groups)


def _date(dataset: Dataset, keyword: str) -> str:
    """Return a date; "" if there was no such day, such as 00000000 for not known."""
    value = text(dataset, keyword)
    try:
        is_date = len(value) == 8 and bool(datetime.strptime(value, "%Y%m%d"))  # noqa: DTZ007
    except ValueError:
        is_date = False
    return value if is_date else ""


def _sex(dataset: Dataset, keyword: str) -> str:
    value = text(dataset, keyword)
    return value if value in _SEXES else ""


_PATIENT: dict[str, Callable[[Dataset, str], str]] = {
    "PatientName": _name,
    "PatientID": _plain,
    "PatientBirthDate": _date,
    "PatientSex": _sex,
    "AccessionNumber": _plain,
    "StudyID": _plain,
}
