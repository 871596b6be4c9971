"""Enhanced multi-frame objects, converted by highdicom from self-describing slices."""

import numpy as np
import pytest
from dicoms import CORONAL, oblique, save, series
from multiframe import enhanced
from test_dicom_series import worst_error

from medcnn import io
from medcnn.errors import ReadError

ROWS_COLUMNS = (9, 11)


@pytest.mark.parametrize("cosines", [CORONAL, oblique()])
@pytest.mark.parametrize("order", [None, [6, 5, 4, 3, 2, 1, 0], [3, 0, 6, 2, 5, 1, 4]])
def test_frames_lie_where_their_values_say(cosines, order, tmp_path):
    dataset = enhanced(series(cosines), order)
    image = io.load(save(dataset, tmp_path / "a.dcm"))
    assert image.shape == (11, 9, 7)
    assert image.unit == "HU"
    assert worst_error(image) <= 0.501


def test_each_frame_keeps_its_own_rescale(tmp_path):
    slices = series()
    for k, dataset in enumerate(slices):
        true = np.frombuffer(dataset.PixelData, "<u2").astype(float) - 1024
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.5 + 0.25 * k, -7
        stored = np.rint((true + 7) / dataset.RescaleSlope)
        dataset.PixelData = stored.astype("<u2").tobytes()
    image = io.load(save(enhanced(slices, [3, 0, 6, 2, 5, 1, 4]), tmp_path / "a.dcm"))
    assert worst_error(image) <= 0.5 + 2.0 / 2


def test_missing_frame_is_refused(tmp_path):
    slices = series()
    del slices[3]
    path = save(enhanced(slices), tmp_path / "a.dcm")
    with pytest.raises(ReadError, match="1 slice is missing"):
        io.load(path)


def test_frames_at_two_time_points_are_refused(tmp_path):
    slices = series()
    slices[3].ImagePositionPatient = slices[2].ImagePositionPatient
    path = save(enhanced(slices), tmp_path / "a.dcm")
    with pytest.raises(ReadError, match="several time points"):
        io.load(path)


def test_description_agrees_with_what_is_loaded(tmp_path):
    path = save(enhanced(series(oblique())), tmp_path / "a.dcm")
    image, description = io.load(path), io.describe(path)
    assert description.shape == image.shape
    assert description.orientation == image.geometry.axis_codes
    assert description.steps == image.provenance


def test_frames_without_geometry_are_kept_with_a_warning(tmp_path):
    dataset = series(count=1)[0]
    del dataset.ImagePositionPatient
    dataset.NumberOfFrames = 3
    dataset.PixelData *= 3
    image = io.load(save(dataset, tmp_path / "a.dcm"))
    assert image.shape == (11, 9, 3)
    assert image.geometry is None
    assert any("3 frames without geometry" in note for note in image.warnings)


@pytest.mark.parametrize("described", [6, 8])
def test_frames_that_are_not_all_described_are_refused(described, tmp_path):
    dataset = enhanced(series(count=max(described, 7)))
    dataset.NumberOfFrames = 7
    dataset.PixelData = dataset.PixelData[: 7 * 2 * 9 * 11]
    groups = dataset.PerFrameFunctionalGroupsSequence
    dataset.PerFrameFunctionalGroupsSequence = groups[:described]
    path = save(dataset, tmp_path / "a.dcm")
    with pytest.raises(ReadError, match=f"7 frames, .* describe {described}") as no:
        io.load(path)
    assert no.value.path == path


def test_what_is_said_of_all_frames_together_holds_without_a_word_of_each(tmp_path):
    dataset = enhanced(series())
    each = dataset.PerFrameFunctionalGroupsSequence[0]
    shared = dataset.SharedFunctionalGroupsSequence[0]
    shared.PixelValueTransformationSequence = each.get(
        "PixelValueTransformationSequence",
        shared.get("PixelValueTransformationSequence"),
    )
    del dataset.PerFrameFunctionalGroupsSequence
    image = io.load(save(dataset, tmp_path / "a.dcm"))
    assert image.unit == "HU"
    assert image.geometry is None
    stored = np.frombuffer(dataset.PixelData, "<u2").reshape(7, 9, 11)
    assert np.array_equal(image.array[0].T, stored.astype(float) - 1024)


def dose_grid(cosines, offsets, *, step):
    """Return a self-describing dose grid; `step` is where 1 mm of offset leads to."""
    slices = series(
        cosines,
        count=len(offsets),
        slice_step=lambda k: (offsets[k] - offsets[0]) * np.array(step, float),
        modality="RTDOSE",
    )
    whole = slices[0]
    whole.PixelData = b"".join(one.PixelData for one in slices)
    whole.NumberOfFrames = len(offsets)
    whole.GridFrameOffsetVector = list(offsets)
    whole.DoseGridScaling, whole.DoseUnits = "1", "GY"
    return whole


@pytest.mark.parametrize("down", [1, -1])
@pytest.mark.parametrize("offsets", [(40, 42, 44, 46), (40, 38, 36)])
def test_offsets_that_are_the_z_of_axial_doses_place_them(down, offsets, tmp_path):
    whole = dose_grid((1, 0, 0, 0, down, 0), offsets, step=(0, 0, 1))
    image = io.load(save(whole, tmp_path / "a.dcm"))
    assert image.shape == (11, 9, len(offsets))
    shifted = image.with_array(image.array - 1024.0, step="-")
    assert worst_error(shifted) <= 0.501


@pytest.mark.parametrize(
    ("cosines", "offsets"), [(oblique(), (40, 42, 44)), (CORONAL, (3.25, 5.25, 7.25))]
)
def test_offsets_that_mean_nothing_give_no_place(cosines, offsets, tmp_path):
    whole = dose_grid(cosines, offsets, step=(0, 0, 1))
    assert io.load(save(whole, tmp_path / "a.dcm")).geometry is None
