"""The grid of single pictures and slices."""

import re

import numpy as np
import pytest
from dicoms import CORONAL, RAMP_12, SAGITTAL, oblique, picture, save, series
from test_dicom_series import worst_error

from medcnn import io
from medcnn.errors import ReadError
from medcnn.geometry import Frame


def read(dataset, tmp_path):
    return io.load(save(dataset, tmp_path / "a.dcm"))


def test_imager_pixel_spacing_is_true_at_the_detector(tmp_path):
    image = read(picture(RAMP_12, ImagerPixelSpacing=[0.2, 0.1]), tmp_path)
    assert image.geometry.frame is Frame.DETECTOR
    assert image.geometry.spacing_mm[:2] == (0.1, 0.2)


def test_calibrated_pixel_spacing_is_true_in_the_patient(tmp_path):
    dataset = picture(RAMP_12, ImagerPixelSpacing=[0.2, 0.1], PixelSpacing=[0.16, 0.08])
    image = read(dataset, tmp_path)
    assert image.geometry.frame is Frame.PATIENT
    assert image.geometry.spacing_mm[:2] == (0.08, 0.16)


def test_pixel_spacing_equal_to_the_imagers_is_not_calibrated(tmp_path):
    dataset = picture(RAMP_12, ImagerPixelSpacing=[0.2, 0.1], PixelSpacing=[0.2, 0.1])
    assert read(dataset, tmp_path).geometry.frame is Frame.DETECTOR


@pytest.mark.parametrize("spacing", [None, [0, 0], [0.1, -0.1]])
def test_no_valid_spacing_is_no_geometry(spacing, tmp_path):
    parts = {} if spacing is None else {"PixelSpacing": spacing}
    assert read(picture(RAMP_12, **parts), tmp_path).geometry is None


@pytest.mark.parametrize("cosines", [CORONAL, SAGITTAL, oblique()])
def test_single_slice_lies_where_its_values_say(cosines, tmp_path):
    image = read(series(cosines, count=1)[0], tmp_path)
    assert worst_error(image) <= 0.501
    assert image.geometry.spacing_mm[2] == pytest.approx(2.5)


def test_slice_without_thickness_takes_one_millimetre_and_says_so(tmp_path):
    dataset = series(count=1)[0]
    del dataset.SliceThickness
    image = read(dataset, tmp_path)
    assert image.geometry.spacing_mm[2] == pytest.approx(1.0)
    assert any("no slice thickness" in note for note in image.warnings)


def test_skewed_orientation_is_refused(tmp_path):
    dataset = series(count=1)[0]
    dataset.ImageOrientationPatient = [1, 0, 0, 0.1, 0.995, 0]
    with pytest.raises(ReadError, match="not two unit directions at right angles"):
        read(dataset, tmp_path)


@pytest.mark.parametrize(
    ("orientation", "codes"),
    [
        ("L\\F", "LIA"),
        ("R\\F", "RIP"),
        ("L\\H", "LSP"),
        ("R\\H", "RSA"),
        ("F\\R", "IRA"),
        ("A\\F", "AIR"),
        ("P\\F", "PIL"),
        ("LH\\FP", "LIA"),
        ("L\\R", "LIA"),
        ("L", "LIA"),
        ("X\\F", "LIA"),
        ("", "LIA"),
    ],
)
def test_patient_orientation_says_where_rows_and_columns_run(
    orientation, codes, tmp_path
):
    parts = orientation.split("\\")
    dataset = picture(
        RAMP_12, PixelSpacing=[0.2, 0.1], Modality="OT", PatientOrientation=parts
    )
    image = read(dataset, tmp_path)
    assert image.geometry.axis_codes == codes
    assert image.geometry.spacing_mm[:2] == pytest.approx((0.1, 0.2))
    assert image.facts.get("patient_orientation", "") == orientation
    description = io.describe(tmp_path / "a.dcm")
    assert description.orientation == codes


def test_uncalibrated_pixel_spacing_of_a_radiograph_is_that_of_the_detector(tmp_path):
    image = read(picture(RAMP_12, PixelSpacing=[0.2, 0.1]), tmp_path)
    assert image.geometry.frame is Frame.DETECTOR
    assert "does not say whether it was calibrated" in " ".join(image.warnings)


def test_pixel_spacing_of_other_pictures_is_true_in_the_patient(tmp_path):
    more = {"Modality": "OT", "PatientOrientation": ["L", "F"]}
    image = read(picture(RAMP_12, PixelSpacing=[0.2, 0.1], **more), tmp_path)
    assert image.geometry.frame is Frame.PATIENT
    assert not image.warnings


@pytest.mark.parametrize(
    ("parts", "warning"),
    [
        ({"PixelSpacingCalibrationType": "GEOMETRY"}, None),
        ({}, "does not say how it was calibrated"),
        (
            {
                "PixelSpacingCalibrationType": "GEOMETRY",
                "EstimatedRadiographicMagnificationFactor": "1.25",
            },
            None,
        ),
        (
            {
                "PixelSpacingCalibrationType": "GEOMETRY",
                "EstimatedRadiographicMagnificationFactor": "1.05",
            },
            r"is magnified 1\.25 times, but \(0018,1114\) says 1\.05",
        ),
        (
            {
                "PixelSpacingCalibrationType": "FIDUCIAL",
                "EstimatedRadiographicMagnificationFactor": "1.05",
            },
            None,
        ),
        (
            {
                "PixelSpacingCalibrationType": "GEOMETRY",
                "ImagerPixelSpacing": [0.2, 0.16],
            },
            "magnifies rows and columns differently",
        ),
    ],
)
def test_what_is_said_of_a_calibration_must_agree(parts, warning, tmp_path):
    spacings = {"ImagerPixelSpacing": [0.2, 0.1], "PixelSpacing": [0.16, 0.08]}
    said = spacings | {"PatientOrientation": ["L", "F"]} | parts
    image = read(picture(RAMP_12, **said), tmp_path)
    assert image.geometry.frame is Frame.PATIENT
    assert image.geometry.spacing_mm[:2] == (0.08, 0.16)
    text = " ".join(image.warnings)
    assert re.search(warning, text) if warning else not text


def test_a_calibration_that_changed_nothing_is_doubted(tmp_path):
    dataset = picture(
        RAMP_12,
        ImagerPixelSpacing=[0.2, 0.1],
        PixelSpacing=[0.2, 0.1],
        PixelSpacingCalibrationType="GEOMETRY",
    )
    image = read(dataset, tmp_path)
    assert image.geometry.frame is Frame.DETECTOR
    assert "but it is that of the detector" in " ".join(image.warnings)


def test_what_a_gate_wants_to_know_of_a_radiograph_is_a_fact(tmp_path):
    dataset = picture(
        RAMP_12,
        ImagerPixelSpacing=[0.2, 0.2],
        ViewPosition="PA",
        ImageLaterality="R",
        BodyPartExamined="CHEST",
        PresentationIntentType="FOR PRESENTATION",
        BurnedInAnnotation="YES",
        PatientOrientation=["R", "F"],
        PixelSpacingCalibrationType="GEOMETRY",
        EstimatedRadiographicMagnificationFactor="1.1",
    )
    image = read(dataset, tmp_path)
    wanted = {
        "view": "PA",
        "laterality": "R",
        "body_part": "CHEST",
        "presentation_intent": "FOR PRESENTATION",
        "burned_in_annotation": "YES",
        "patient_orientation": "R\\F",
        "spacing_calibration": "GEOMETRY",
        "magnification": "1.1",
    }
    assert {name: image.facts[name] for name in wanted} == wanted
    assert "burned into the pixels" in " ".join(image.warnings)


def test_column_index_runs_along_the_picture_row(tmp_path):
    pixels = np.arange(6, dtype="<u2").reshape(2, 3)
    image = read(picture(pixels), tmp_path)
    assert image.shape == (3, 2, 1)
    assert image.array[0, 2, 1, 0] == pixels[1, 2]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (None, "is not given"),
        (["", ""], "is not given"),
        (["L", "R"], "says no two directions"),
        (["L", "L"], "says no two directions"),
        (["X", "F"], "says no two directions"),
        (["L"], "says no two directions"),
    ],
)
def test_sides_that_are_taken_are_told(parts, words, tmp_path):
    more = {} if parts is None else {"PatientOrientation": parts}
    image = read(picture(RAMP_12, ImagerPixelSpacing=[0.2, 0.1], **more), tmp_path)
    assert image.geometry.axis_codes[:2] == "LI"
    assert any(f"Patient Orientation {words}" in note for note in image.warnings)


def test_sides_that_are_said_are_not_doubted(tmp_path):
    more = {"PatientOrientation": ["A", "F"], "ImagerPixelSpacing": [0.2, 0.1]}
    assert read(picture(RAMP_12, **more), tmp_path).warnings == ()


@pytest.mark.parametrize("spacing", [[0, 0], [0.1, -0.1], [0.1]])
def test_a_spacing_that_is_none_is_told(spacing, tmp_path):
    image = read(picture(RAMP_12, PixelSpacing=spacing), tmp_path)
    assert image.geometry is None
    assert any("is not two positive lengths" in note for note in image.warnings)
