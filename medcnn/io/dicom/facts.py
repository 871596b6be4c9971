"""What a data set says about the picture and the patient, for gates and reports."""

from pydicom.dataset import Dataset

from medcnn.image import Identity
from medcnn.io.dicom.tags import sequence, text

__all__ = ["facts_of", "identity_of", "warnings_of"]

_FACTS = {
    "body_part": "BodyPartExamined",
    "view": "ViewPosition",
    "patient_orientation": "PatientOrientation",
    "presentation_intent": "PresentationIntentType",
    "image_type": "ImageType",
    "burned_in_annotation": "BurnedInAnnotation",
    "spacing_calibration": "PixelSpacingCalibrationType",
    "magnification": "EstimatedRadiographicMagnificationFactor",
    "manufacturer": "Manufacturer",
    "device_model": "ManufacturerModelName",
    "patient_age": "PatientAge",
    "patient_sex": "PatientSex",
    "rows": "Rows",
    "columns": "Columns",
    "bits": "BitsStored",
    "photometric": "PhotometricInterpretation",
}


def facts_of(dataset: Dataset, syntax_name: str) -> dict[str, str]:
    """Return the facts that are there, by the names of `medcnn.image.Image.facts`."""
    found = {name: text(dataset, keyword) for name, keyword in _FACTS.items()}
    # PS3.3 C.7.6.1: Image Laterality tells of this image, Laterality of its series.
    found["laterality"] = text(dataset, "ImageLaterality") or text(
        dataset, "Laterality"
    )
    found["view"] = found["view"] or _view_code(dataset)
    found["transfer_syntax"] = syntax_name
    return {name: value for name, value in sorted(found.items()) if value}


def identity_of(dataset: Dataset) -> Identity:
    """Return whose image this is."""
    return Identity(
        patient_id=text(dataset, "PatientID") or None,
        study_uid=text(dataset, "StudyInstanceUID") or None,
        series_uid=text(dataset, "SeriesInstanceUID") or None,
        sop_uid=text(dataset, "SOPInstanceUID") or None,
    )


def warnings_of(dataset: Dataset) -> list[str]:
    """Return what a careful reader would want to be told of the header."""
    found = []
    if text(dataset, "BurnedInAnnotation").upper() == "YES":
        found.append("text is burned into the pixels: (0028,0301) is YES")
    if text(dataset, "PresentationIntentType").upper() == "FOR PROCESSING":
        found.append("a raw radiograph: (0008,0068) is FOR PROCESSING")
    if text(dataset, "LossyImageCompression") == "01":
        found.append("it was compressed with loss: (0028,2110) is 01")
    return found


def _view_code(dataset: Dataset) -> str:
    """Return the meaning of (0054,0220) View Code Sequence."""
    codes = sequence(dataset, "ViewCodeSequence")
    return text(codes[0], "CodeMeaning") if codes else ""
