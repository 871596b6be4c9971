"""The overlay as a picture that every viewer shows, with a banner above it."""

import cv2
import numpy as np
import numpy.typing as npt
from highdicom.sc import SCImage
from pydicom.dataset import Dataset

from medcnn.dicom_out.case import Case, Mapped
from medcnn.dicom_out.codes import plain_text
from medcnn.dicom_out.common import equipment

__all__ = ["capture", "with_banner"]

Bytes = npt.NDArray[np.uint8]

BANNER = "RESEARCH USE - NOT FOR DIAGNOSIS"

_LONGEST_SIDE, _LEAST_COLUMNS = 1600, 120
_AMBER, _BLACK = (255, 191, 0), (0, 0, 0)
_SOURCE_IMAGE = ("121322", "DCM", "Source image for image processing operation")


def capture(
    case: Case, mapped: Mapped, series_uid: str, sop_uid: str, number: int
) -> Dataset:
    """Return a label's overlay as a Secondary Capture.

    Its pixels are no measure: it has a banner and a legend, and no spacing.
    """
    pixels = with_banner(_bounded(mapped.picture))
    header = case.source.headers[0]
    who = equipment(case, "overlay", series_number=9902, instance_number=number)
    dataset: Dataset = SCImage.from_ref_dataset(
        header,
        pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),
        series_instance_uid=series_uid,
        sop_instance_uid=sop_uid,
        **who,
    )
    # type 2C: the picture is turned as radiologists look at it, so nothing is claimed
    is_as_stored = case.image.dims == 2 and "PatientOrientation" in header
    dataset.PatientOrientation = header.PatientOrientation if is_as_stored else ""
    if "Laterality" not in dataset:
        dataset.Laterality = ""
    dataset.BurnedInAnnotation = "YES"
    dataset.RecognizableVisualFeatures = "NO"
    dataset.ConversionType = "WSD"
    dataset.ContentQualification = "RESEARCH"
    dataset.ImageComments = (
        f"{plain_text(f'Heatmap of {mapped.heatmap.label}')}: {BANNER}"
    )
    for keyword in ("DateOfSecondaryCapture", "TimeOfSecondaryCapture"):
        dataset.pop(keyword, None)
    dataset.SourceImageSequence = [_reference(case, mapped)]
    return dataset


def with_banner(picture: Bytes) -> Bytes:
    """Return a picture with a banner above it that says what it must not be used for.

    Args:
        picture: RGB, (rows, columns, 3).
    """
    picture = _wide_enough(picture)
    columns = picture.shape[1]
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 1.0
    (width, height), below = cv2.getTextSize(BANNER, font, scale, 2)
    scale *= 0.92 * columns / width
    scale = min(scale, 1.4)
    thick = max(1, round(2 * scale))
    (width, height), below = cv2.getTextSize(BANNER, font, scale, thick)
    rows = round(height + below + 10 * scale)
    banner = np.full((rows, columns, 3), _AMBER, np.uint8)
    place = ((columns - width) // 2, rows - below - round(3 * scale))
    cv2.putText(banner, BANNER, place, font, scale, _BLACK, thick, cv2.LINE_AA)
    return np.vstack([banner, picture])


def _wide_enough(picture: Bytes) -> Bytes:
    """Return a picture with black beside it, if a banner would be too small to read."""
    missing = max(0, _LEAST_COLUMNS - picture.shape[1])
    sides = (missing // 2, missing - missing // 2)
    return np.pad(picture, ((0, 0), sides, (0, 0))) if missing else picture


def _bounded(picture: Bytes) -> Bytes:
    """Return a picture whose sides are not too long for an archive of many."""
    longest = max(picture.shape[:2])
    if longest <= _LONGEST_SIDE:
        return picture
    rows, columns = (round(n * _LONGEST_SIDE / longest) for n in picture.shape[:2])
    small = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _reference(case: Case, mapped: Mapped) -> Dataset:
    """Return which object the picture is of, and why it is named."""
    k = min(mapped.heatmap.peak[2], len(case.source.planes) - 1)
    plane = case.source.plane(k) or case.source.planes[k]
    item = Dataset()
    item.ReferencedSOPClassUID = plane.sop_class
    item.ReferencedSOPInstanceUID = plane.sop_uid
    if plane.frame is not None:
        item.ReferencedFrameNumber = plane.frame
    purpose = Dataset()
    purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning = (
        _SOURCE_IMAGE
    )
    item.PurposeOfReferenceCodeSequence = [purpose]
    return item
