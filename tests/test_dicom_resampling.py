"""Tilted, missing and uneven slices, resampled where it is asked for."""

import numpy as np
import pytest
from dicoms import AXIAL, SAGITTAL, oblique, save, save_series, self_describing, series
from test_dicom_frames import enhanced

from medcnn import io
from medcnn.errors import ReadError

AIR = -1024


def error_inside(image):
    """Return max |value - value(affine @ ijk)| where the padding mask is off."""
    i, j, k = np.indices(image.shape)
    world = image.geometry.to_world(np.stack([i, j, k], axis=-1)) * [-1, -1, 1]
    off = np.abs(image.array[0] - self_describing(world))
    return off[~image.padding].max()


def tilted(degrees, cosines=AXIAL, step=2.5, sideways=0.0):
    """Return a displacement that a gantry turned about the row direction makes."""
    across, down = np.array(cosines[:3]), np.array(cosines[3:])
    table = np.cross(across, down) + np.tan(np.radians(degrees)) * down
    return lambda k: step * k * (table + sideways * across)


@pytest.mark.parametrize("cosines", [AXIAL, SAGITTAL, oblique()])
@pytest.mark.parametrize("degrees", [20, -7.5])
def test_tilt_is_refused_with_its_angle_and_corrected_on_request(
    cosines, degrees, tmp_path
):
    slices = series(cosines, slice_step=tilted(degrees, cosines))
    folder = save_series(slices, tmp_path)
    with pytest.raises(ReadError, match=f"sheared by {abs(degrees):.1f} degrees") as no:
        io.load(folder)
    assert "resample_tilt" in no.value.hint
    image = io.load(folder, resample_tilt=True)
    # the phantom is linear, so linear interpolation adds nothing to its rounding
    assert error_inside(image) <= 0.51
    codes = image.geometry.directions
    np.testing.assert_allclose(codes.T @ codes, np.eye(3), atol=1e-9)
    assert image.geometry.spacing_mm == pytest.approx((0.8, 0.6, 2.5))
    assert image.array.dtype == np.float32
    assert (image.array[0][image.padding] == AIR).all()
    words = f"gantry tilt of {abs(degrees):.1f} degrees was corrected"
    assert words in " ".join(image.provenance)
    assert words in " ".join(image.warnings)


def test_the_corrected_grid_holds_every_slice_whole(tmp_path):
    folder = save_series(series(slice_step=tilted(20)), tmp_path)
    image = io.load(folder, resample_tilt=True)
    shift = 2.5 * 6 * np.tan(np.radians(20)) / 0.6
    assert image.shape == (11, int(np.ceil(9 + shift)), 7)
    inner = (~image.padding).sum(axis=(0, 1))
    assert inner[0] == 99  # the first slice needs no moving
    assert (inner >= 11 * 8).all()


def test_a_shift_along_rows_is_corrected_too(tmp_path):
    folder = save_series(series(slice_step=tilted(12, sideways=0.3)), tmp_path)
    image = io.load(folder, resample_tilt=True)
    assert error_inside(image) <= 0.51
    assert image.shape[0] > 11


def test_padding_of_slices_is_not_mixed_into_values(tmp_path):
    slices = series(slice_step=tilted(20))
    for dataset in slices:
        pixels = np.frombuffer(dataset.PixelData, "<u2").copy().reshape(9, 11)
        pixels[:2] = 0
        dataset.PixelData, dataset.PixelPaddingValue = pixels.tobytes(), 0
    image = io.load(save_series(slices, tmp_path), resample_tilt=True)
    assert error_inside(image) <= 0.51
    assert not image.padding.all()


def test_description_of_a_resampled_series_agrees_with_what_is_loaded(tmp_path):
    folder = save_series(series(slice_step=tilted(20)), tmp_path)
    options = io.ReadOptions(resample_tilt=True)
    (description,), problems = io.describe_study(folder, options)
    image = io.load(folder, resample_tilt=True)
    assert problems == ()
    assert description.shape == image.shape
    assert description.spacing_mm == image.geometry.spacing_mm
    assert description.steps == image.provenance
    assert description.warnings == image.warnings


def missing(*lost):
    """Return the displacement of the slices of an even stack that are left."""
    left = [k for k in range(20) if k not in lost]
    return lambda k: np.array([0, 0, 2.5 * left[k]])


@pytest.mark.parametrize(("lost", "count"), [((3,), 8), ((2, 3, 4), 10)])
def test_missing_slices_are_filled_and_masked_on_request(lost, count, tmp_path):
    folder = save_series(series(slice_step=missing(*lost)), tmp_path)
    with pytest.raises(ReadError, match=rf"{len(lost)} slices? (is|are) missing") as no:
        io.load(folder)
    assert "allow_gaps" in no.value.hint
    image = io.load(folder, allow_gaps=True)
    assert image.shape == (11, 9, count)
    assert error_inside(image) <= 0.51
    assert image.geometry.spacing_mm[2] == pytest.approx(2.5)
    is_masked = image.padding.all(axis=(0, 1))
    assert np.flatnonzero(is_masked).tolist() == list(lost)
    text = " ".join(image.warnings)
    which = (
        "slice lies in a gap and is" if len(lost) == 1 else "slices lie in gaps and are"
    )
    assert f"{len(lost)} {which} masked as padding" in text
    assert all(f"{k} ({2.5 * k:.4g} mm)" in text for k in lost)
    assert f"resampled linearly to {count} slices every 2.5 mm" in text


def test_slices_that_were_acquired_are_kept_to_the_bit(tmp_path):
    folder = save_series(series(slice_step=missing(3)), tmp_path)
    image = io.load(folder, allow_gaps=True)
    for old, new in [(0, 0), (2, 2), (3, 4), (6, 7)]:
        single = io.load(folder / f"{old:03d}.dcm")
        np.testing.assert_array_equal(image.array[..., new], single.array[..., 0])


def test_uneven_slices_are_resampled_to_the_median_distance_on_request(tmp_path):
    folder = save_series(series(slice_step=uneven), tmp_path)
    with pytest.raises(ReadError, match=r"unevenly spaced: 1\.7 to 3\.3 mm"):
        io.load(folder)
    image = io.load(folder, allow_gaps=True)
    assert image.shape == (11, 9, 7)
    assert error_inside_without_mask(image) <= 0.51
    assert "at distances of 1.7 to 3.3 mm" in " ".join(image.warnings)


def uneven(k):
    return np.array([0, 0, 2.5 * k + (0.8 if k == 3 else 0)])


def error_inside_without_mask(image):
    i, j, k = np.indices(image.shape)
    world = image.geometry.to_world(np.stack([i, j, k], axis=-1)) * [-1, -1, 1]
    return np.abs(image.array[0] - self_describing(world)).max()


def test_tilt_and_gaps_are_corrected_together_only_if_both_are_asked_for(tmp_path):
    left = [0, 1, 2, 4, 5, 6, 7]
    step = tilted(18.5)
    folder = save_series(series(slice_step=lambda k: step(left[k])), tmp_path)
    for one in ({}, {"resample_tilt": True}, {"allow_gaps": True}):
        with pytest.raises(ReadError) as no:
            io.load(folder, **one)
        assert "resample_tilt and allow_gaps" in no.value.hint
    image = io.load(folder, resample_tilt=True, allow_gaps=True)
    assert error_inside(image) <= 0.51
    assert image.padding[..., 3].all()
    assert image.shape[2] == 8


def test_options_change_nothing_where_nothing_is_wrong(tmp_path):
    folder = save_series(series(oblique()), tmp_path)
    plain = io.load(folder)
    both = io.load(folder, resample_tilt=True, allow_gaps=True)
    np.testing.assert_array_equal(plain.array, both.array)
    assert plain.provenance == both.provenance
    assert plain.geometry.same_grid(both.geometry)


def test_doubled_slices_are_no_gaps(tmp_path):
    slices = series(slice_step=lambda k: np.array([0, 0, 2.5 * (k - (k > 3))]))
    folder = save_series(slices, tmp_path)
    with pytest.raises(ReadError, match="where another one lies"):
        io.load(folder, allow_gaps=True, resample_tilt=True)


def test_tiny_gap_among_huge_ones_makes_no_huge_volume(tmp_path):
    places = [0, 0.01, 0.02, 0.03, 0.04, 0.05, 4e7]
    slices = series(slice_step=lambda k: np.array([0, 0, places[k]]))
    with pytest.raises(ReadError, match="numbers; at most"):
        io.load(save_series(slices, tmp_path), allow_gaps=True)


def test_values_other_than_hu_are_filled_with_the_lowest(tmp_path):
    slices = series(slice_step=tilted(20), modality="MR")
    image = io.load(save_series(slices, tmp_path), resample_tilt=True)
    assert (image.array[0][image.padding] == image.array[0][~image.padding].min()).all()


def test_frames_of_a_tilted_object_are_resampled(tmp_path):
    path = save(enhanced(series(slice_step=tilted(20))), tmp_path / "a.dcm")
    with pytest.raises(ReadError, match=r"sheared by 20\.0 degrees"):
        io.load(path)
    assert error_inside(io.load(path, resample_tilt=True)) <= 0.51
