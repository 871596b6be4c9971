"""Series of slices as volumes, on a phantom whose values say where each voxel lies."""

import copy

import numpy as np
import pytest
from dicoms import (
    AXIAL,
    CORONAL,
    SAGITTAL,
    as_big_endian,
    oblique,
    picture,
    save,
    save_series,
    self_describing,
    series,
)
from pydicom.uid import generate_uid

from medcnn import io
from medcnn.errors import DecodeError, NoPixelsError, ReadError, SeveralSeriesError

TILT = np.radians(20)


def worst_error(image):
    """Return max |value - value(affine @ ijk)|; 0.5 is exact after rounding."""
    i, j, k = np.indices(image.shape)
    world_ras = image.geometry.to_world(np.stack([i, j, k], axis=-1))
    world_lps = world_ras * [-1, -1, 1]
    return np.abs(image.array[0] - self_describing(world_lps)).max()


@pytest.mark.parametrize("cosines", [AXIAL, SAGITTAL, CORONAL, oblique()])
@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_volume_lies_where_its_values_say(cosines, order, tmp_path):
    image = io.load(save_series(series(cosines)[order], tmp_path))
    assert image.shape == (11, 9, 7)
    assert worst_error(image) <= 0.501
    np.testing.assert_allclose(image.geometry.spacing_mm, (0.8, 0.6, 2.5), rtol=1e-6)
    assert image.unit == "HU"


def test_instance_numbers_do_not_matter(tmp_path):
    slices = series(oblique())
    for dataset, number in zip(slices, [5, 1, 7, 2, 6, 3, 4], strict=True):
        dataset.InstanceNumber = number
    assert worst_error(io.load(save_series(slices, tmp_path))) <= 0.501


def test_absent_instance_numbers_do_not_matter(tmp_path):
    slices = series()
    for dataset in slices:
        del dataset.InstanceNumber
    assert worst_error(io.load(save_series(slices, tmp_path))) <= 0.501


def test_slices_in_sub_folders_make_one_volume(tmp_path):
    slices = series()
    save_series(slices[:4], tmp_path / "a")
    save_series(slices[4:], tmp_path / "b" / "c")
    image = io.load(tmp_path)
    assert image.shape == (11, 9, 7)
    assert worst_error(image) <= 0.501


def test_each_slice_keeps_its_own_rescale(tmp_path):
    slices = series(modality="PT")
    for k, dataset in enumerate(slices):
        true = np.frombuffer(dataset.PixelData, "<u2").astype(float) - 1024
        slope = 0.25 + 0.05 * k
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, 0
        dataset.PixelData = np.rint(true / slope).astype("<u2").tobytes()
    image = io.load(save_series(slices, tmp_path))
    assert worst_error(image) <= 0.5 + 0.56 / 2
    assert any("differ between slices" in step for step in image.provenance)


def test_padding_of_some_slices_is_masked_in_the_volume(tmp_path):
    slices = series()
    lowest = int(np.frombuffer(slices[2].PixelData, "<u2")[0])
    for dataset in slices:
        dataset.PixelPaddingValue = lowest
    image = io.load(save_series(slices, tmp_path))
    np.testing.assert_array_equal(image.padding, image.array[0] == lowest - 1024)


def sheared(k):
    return 2.5 * k * np.array([0, np.tan(TILT), 1])


def with_gap(k):
    return np.array([0, 0, 2.5 * (k + (k > 3))])


def uneven(k):
    return np.array([0, 0, 2.5 * k + (0.8 if k == 3 else 0)])


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (sheared, r"sheared by 20\.0 degrees"),
        (with_gap, r"1 slice is missing: the spacing is 2\.5 mm"),
        (uneven, r"unevenly spaced: 1\.7 to 3\.3 mm"),
        (lambda k: np.array([0, 0, 2.5 * (k - (k > 3))]), "where another one lies"),
        (lambda k: np.array([9.0 * k, 0, 0]), "side by side in one plane"),
    ],
)
def test_slices_that_make_no_regular_volume_are_refused(step, reason, tmp_path):
    folder = save_series(series(slice_step=step), tmp_path)
    with pytest.raises(ReadError, match=reason):
        io.load(folder)


def test_an_exact_copy_is_left_out_with_a_warning(tmp_path):
    slices = series()
    image = io.load(save_series([*slices, slices[3], slices[5]], tmp_path))
    assert worst_error(image) <= 0.501
    assert "2 files were left out: exact copies" in " ".join(image.warnings)


def test_a_copy_with_other_coding_but_equal_pixels_is_left_out(tmp_path):
    slices = series()
    folder = save_series(slices, tmp_path)
    save(as_big_endian(slices[3]), folder / "again.dcm")
    image = io.load(folder)
    assert image.shape == (11, 9, 7)
    assert worst_error(image) <= 0.501


def test_one_instance_with_other_pixels_is_refused(tmp_path):
    slices = series()
    folder = save_series(slices, tmp_path)
    slices[3].PixelData = bytes(198)
    save(slices[3], folder / "again.dcm")
    reason = r"003\.dcm and .*again\.dcm have one SOP Instance UID but differ"
    with pytest.raises(ReadError, match=reason):
        io.load(folder)


def test_a_doubled_slice_with_a_uid_of_its_own_is_refused(tmp_path):
    slices = series()
    double = copy.deepcopy(slices[3])
    double.SOPInstanceUID = generate_uid()
    double.file_meta.MediaStorageSOPInstanceUID = double.SOPInstanceUID
    with pytest.raises(ReadError, match="1 of its 8 slices lie where another"):
        io.load(save_series([*slices, double], tmp_path))


def test_a_localizer_inside_the_series_is_an_image_of_its_own(tmp_path):
    slices = series()
    localizer = series(CORONAL, count=1)[0]
    localizer.SeriesInstanceUID = slices[0].SeriesInstanceUID
    localizer.StudyInstanceUID = slices[0].StudyInstanceUID
    localizer.FrameOfReferenceUID = slices[0].FrameOfReferenceUID
    folder = save_series([*slices, localizer], tmp_path)
    with pytest.raises(SeveralSeriesError) as refused:
        io.load(folder)
    assert refused.value.series == (
        "part 1: axial, 11 x 9, 7 slices",
        "part 2: coronal, 11 x 9, 1 slice",
    )
    volume, scout = io.load(folder, part=1), io.load(folder, part=2)
    assert (volume.shape, scout.shape) == ((11, 9, 7), (11, 9, 1))
    assert max(worst_error(volume), worst_error(scout)) <= 0.501


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PixelSpacing", [0.6, 0.81]),
        ("FrameOfReferenceUID", "1.2.826.0.1.3680043.8.498.1"),
    ],
)
def test_a_slice_of_another_grid_is_apart_and_is_missed_in_its_volume(
    keyword, value, tmp_path
):
    slices = series()
    setattr(slices[3], keyword, value)
    folder = save_series(slices, tmp_path)
    with pytest.raises(SeveralSeriesError, match="refused: 1 slice is missing"):
        io.load(folder)
    with pytest.raises(ReadError, match="1 slice is missing: the spacing"):
        io.load(folder, part=1)
    assert io.load(folder, part=2).shape == (11, 9, 1)
    study = io.load_study(folder)
    assert [image.shape for image in study.images] == [(11, 9, 1)]
    assert "1 slice is missing" in study.problems[0][1]


def test_slices_of_another_size_are_apart(tmp_path):
    slices = series()
    slices[6].Rows, slices[6].Columns = 11, 9
    folder = save_series(slices, tmp_path)
    shapes = [image.shape for image in io.load_study(folder).images]
    assert shapes == [(11, 9, 6), (9, 11, 1)]
    found, problems = io.describe_study(folder)
    assert [(one.part, one.parts, one.files) for one in found] == [(1, 2, 6), (2, 2, 1)]
    assert problems == ()


def test_one_truncated_slice_is_refused_not_dropped(tmp_path):
    folder = save_series(series(), tmp_path)
    last = folder / "006.dcm"
    last.write_bytes(last.read_bytes()[:-20])
    with pytest.raises(DecodeError, match="178 of 198 bytes"):
        io.load(folder)


def test_two_series_are_listed_and_either_can_be_named(tmp_path):
    first, second = series(), series(SAGITTAL, count=5)
    save_series(first, tmp_path / "a")
    save_series(second, tmp_path / "b")
    with pytest.raises(SeveralSeriesError, match="2 images") as caught:
        io.load(tmp_path)
    assert len(caught.value.series) == 2
    assert "load_study" in caught.value.hint
    image = io.load(tmp_path, series=second[0].SeriesInstanceUID)
    assert image.shape == (11, 9, 5)
    assert worst_error(image) <= 0.501


def test_an_unknown_series_is_refused(tmp_path):
    save_series(series(), tmp_path)
    with pytest.raises(ReadError, match=r"no series 1\.2\.3"):
        io.load(tmp_path, series="1.2.3")


def test_load_study_gives_every_image_and_every_problem(tmp_path):
    save_series(series(), tmp_path / "ct")
    save_series(series(slice_step=with_gap), tmp_path / "gap")
    save(picture(np.ones((4, 4), "<u2")), tmp_path / "cr.dcm")
    (tmp_path / "notes.txt").write_text("hello")
    study = io.load_study(tmp_path)
    assert sorted(image.shape for image in study.images) == [(4, 4, 1), (11, 9, 7)]
    reasons = " ".join(reason for _, reason in study.problems)
    assert "missing" in reasons
    assert "text file" in reasons


def test_pictures_that_share_a_series_stay_pictures(tmp_path):
    uid = generate_uid()
    for name in ("pa", "lateral"):
        dataset = picture(np.ones((4, 4), "<u2"), SeriesInstanceUID=uid)
        save(dataset, tmp_path / f"{name}.dcm")
    assert [image.shape for image in io.load_study(tmp_path).images] == [(4, 4, 1)] * 2


def test_description_of_a_folder_agrees_with_what_is_loaded(tmp_path):
    folder = save_series(series(oblique()), tmp_path)
    image = io.load(folder)
    (description,), problems = io.describe_study(folder)
    assert problems == ()
    assert description.files == 7
    assert description.shape == image.shape
    assert description.spacing_mm == image.geometry.spacing_mm
    assert description.steps == image.provenance


def test_folder_of_reports_says_that_they_have_no_pixels(tmp_path):
    dataset = picture(np.ones((4, 4), "<u2"))
    del dataset.PixelData
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    save(dataset, tmp_path / "sr.dcm")
    with pytest.raises(NoPixelsError, match="Comprehensive SR"):
        io.load(tmp_path)


def test_empty_folder_is_refused(tmp_path):
    with pytest.raises(ReadError, match="holds no image: it is empty"):
        io.load(tmp_path)


@pytest.mark.parametrize("values", [None, True, False])
def test_a_folder_obeys_the_choice_of_values_as_its_files_do(values, tmp_path):
    slices = series()
    for dataset in slices:
        dataset.WindowCenter, dataset.WindowWidth = 40, 400
    folder = save_series(slices, tmp_path)
    image = io.load(folder, values=values)
    first = io.load(folder / "000.dcm", values=values)
    assert image.unit == first.unit == (None if values is False else "HU")
    assert np.array_equal(image.array[..., :1], first.array)
    assert set(first.provenance) < set(image.provenance)
    options = io.ReadOptions(values=values)
    assert io.describe_study(folder, options)[0][0].unit == image.unit


def test_an_empty_file_may_be_a_slice_of_the_series(tmp_path):
    folder = save_series(series(), tmp_path)
    (folder / "006.dcm").write_bytes(b"")
    with pytest.raises(ReadError, match=r"006\.dcm is empty"):
        io.load(folder)
    study = io.load_study(folder)
    assert [image.shape for image in study.images] == [(11, 9, 6)]
    assert "is empty" in study.problems[0][1]


def test_a_dead_link_may_be_a_slice_of_the_series(tmp_path):
    folder = save_series(series(), tmp_path)
    (folder / "007.dcm").symlink_to(tmp_path / "gone")
    with pytest.raises(ReadError, match="link to something that does not exist"):
        io.load(folder)


def test_what_is_no_image_beside_a_series_does_no_harm(tmp_path):
    folder = save_series(series(), tmp_path)
    (folder / "notes.txt").write_text("hello")
    assert worst_error(io.load(folder)) <= 0.501


def test_pictures_of_one_series_are_listed_by_their_files(tmp_path):
    uid = generate_uid()
    for name in ("pa", "lateral"):
        dataset = picture(np.ones((4, 4), "<u2"), SeriesInstanceUID=uid)
        save(dataset, tmp_path / f"{name}.dcm")
    with pytest.raises(SeveralSeriesError, match="name one file") as several:
        io.load(tmp_path)
    assert [line.rpartition(", ")[2] for line in several.value.series] == [
        "lateral.dcm",
        "pa.dcm",
    ]
    assert "1 file:" in several.value.series[0]
