"""What a radiograph's header says that a gate needs, and files without pictures."""

from pathlib import Path

from dicoms import RAMP_12, picture, save

from reader_cases.case import Case, Facts, Group, Nothing

REPORT = "1.2.840.10008.5.1.4.1.1.88.33"
PRESENTATION = "1.2.840.10008.5.1.4.1.1.11.1"
DOCUMENT = "1.2.840.10008.5.1.4.1.1.104.1"


def told(name, words, **attributes):
    """Return a case of a radiograph, of which the reader is to tell these words."""
    return Case(
        name,
        lambda folder: save(picture(RAMP_12, **attributes), folder / "picture.dcm"),
        Facts(words),
    )


def no_picture(name, sop_class, modality):
    """Return a case of an object without pixels."""

    def build(folder: Path) -> Path:
        dataset = picture(RAMP_12, Modality=modality)
        for keyword in ("PixelData", "Rows", "Columns"):
            del dataset[keyword]
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
        return save(dataset, folder / "object.dcm")

    return Case(name, build, Nothing())


RADIOGRAPHS = Group(
    "radiographs",
    "Radiographs: what the header says, and what is no picture",
    (
        told("View Position LL", {"view": "LL"}, ViewPosition="LL"),
        told(
            "Patient Orientation R\\F",
            {"patient_orientation": "R\\F"},
            PatientOrientation=["R", "F"],
        ),
        told("Image Laterality L", {"laterality": "L"}, ImageLaterality="L"),
        told("Body Part HAND", {"body_part": "HAND"}, BodyPartExamined="HAND"),
        told(
            "For processing",
            {"presentation_intent": "FOR PROCESSING", "warnings": "FOR PROCESSING"},
            PresentationIntentType="FOR PROCESSING",
        ),
        told(
            "Burned-in annotation",
            {"burned_in_annotation": "YES", "warnings": "burned"},
            BurnedInAnnotation="YES",
        ),
        told(
            "Imager Pixel Spacing alone",
            {"frame": "detector", "spacing_mm": "0.143, 0.139"},
            ImagerPixelSpacing=[0.139, 0.143],
        ),
        no_picture("Structured report", REPORT, "SR"),
        no_picture("Presentation state", PRESENTATION, "PR"),
        no_picture("PDF", DOCUMENT, "DOC"),
    ),
    usual="View Position LL",
)
