"""Several images in one series or object: separated by what tells them apart."""

import copy

import numpy as np
import pytest
from dicoms import CORONAL, SAGITTAL, oblique, save, save_series, series
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from test_dicom_frames import enhanced
from test_dicom_series import with_gap, worst_error

from medcnn import io
from medcnn.errors import ReadError, SeveralSeriesError

STEP = 1000
"""By how much the values of a repeat exceed those of the one before."""


def repeats(count, change, *, cosines=SAGITTAL, modality="MR"):
    """Return `count` volumes in one series; `change(slice, repeat, k)` marks each."""
    first = series(cosines, modality=modality)
    found = []
    for repeat in range(count):
        for k, slice_ in enumerate(first):
            dataset = copy.deepcopy(slice_)
            dataset.SOPInstanceUID = generate_uid()
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            dataset.RescaleIntercept = -1024 + STEP * repeat
            change(dataset, repeat, k)
            found.append(dataset)
    return found


def titles(folder):
    with pytest.raises(SeveralSeriesError) as refused:
        io.load(folder)
    return [line.partition(": ")[2] for line in refused.value.series]


def errors(folder):
    """Return how far each part is from what it should be, in the order of parts."""
    images = io.load_study(folder).images
    return [
        worst_error(image.with_array(image.array - STEP * at, step="-"))
        for at, image in enumerate(images)
    ]


def by(keyword, *values):
    return lambda dataset, repeat, _: setattr(dataset, keyword, values[repeat])


def by_clock(dataset, repeat, k):
    """Slice after slice, each at all its times: a cine with uneven heart beats."""
    dataset.TriggerTime = f"{20 + 300 * repeat + 3 * k:g}"


def by_acquisition_time(dataset, repeat, k):
    dataset.AcquisitionDate = "20261122"
    seconds = 35 * repeat + 4 * (k % 2) + k // 2
    dataset.AcquisitionTime = f"1200{seconds:02d}.250000"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (by("EchoTime", "4.92", "7.38"), ["echo time 4.92 ms", "echo time 7.38 ms"]),
        (by("EchoNumbers", 1, 2), ["echo 1", "echo 2"]),
        (by("TemporalPositionIdentifier", 1, 2), ["time point 1", "time point 2"]),
        (by("TriggerTime", "20", "520"), ["trigger time 20 ms", "trigger time 520 ms"]),
        (by("DiffusionBValue", 0.0, 1000.0), ["b 0 s/mm2", "b 1000 s/mm2"]),
        (by("AcquisitionNumber", 1, 2), ["acquisition 1", "acquisition 2"]),
        (by("ConvolutionKernel", "B30f", "B70f"), ["kernel B30f", "kernel B70f"]),
        (by("InversionTime", "100", "900"), ["inversion time 100 ms", None]),
        (by("StackID", "1", "2"), ["stack 1", "stack 2"]),
        (
            by("ImageType", ["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]),
            ["magnitude", "phase"],
        ),
        (
            by("ImageType", ["DERIVED", "PRIMARY", "FAT"], ["DERIVED", "PRIMARY", "W"]),
            ["image type FAT", "image type W"],
        ),
        (
            by_clock,
            [
                "time 1 of 2 (trigger time 20 ms)",
                "time 2 of 2 (trigger time 320 ms)",
            ],
        ),
        (
            by_acquisition_time,
            [
                "time 1 of 2 (0 s after the first)",
                "time 2 of 2 (35 s after the first)",
            ],
        ),
    ],
)
@pytest.mark.parametrize("is_shuffled", [False, True])
def test_what_differs_separates_and_names_the_parts(
    change, expected, is_shuffled, tmp_path
):
    slices = repeats(2, change)
    if is_shuffled:
        slices = [slices[at] for at in np.random.default_rng(3).permutation(14)]
    folder = save_series(slices, tmp_path)
    found = titles(folder)
    assert all(b in {None, a} for a, b in zip(found, expected, strict=True))
    assert max(errors(folder)) <= 0.501
    second = io.load(folder, part=2)
    assert worst_error(second.with_array(second.array - STEP, step="-")) <= 0.501


def test_parts_are_described_as_they_are_loaded(tmp_path):
    folder = save_series(repeats(3, by("EchoTime", "2", "4", "6")), tmp_path)
    found, problems = io.describe_study(folder)
    assert problems == ()
    assert [(d.part, d.parts, d.files) for d in found] == [
        (1, 3, 7),
        (2, 3, 7),
        (3, 3, 7),
    ]
    for description in found:
        image = io.load(folder, part=description.part)
        assert description.shape == image.shape
        assert description.steps == image.provenance
        assert description.orientation == image.geometry.axis_codes
        assert description.warnings == image.warnings


def test_two_keys_are_used_where_one_is_not_enough(tmp_path):
    def change(dataset, repeat, _):
        dataset.EchoTime = ["3", "6"][repeat // 2]
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "MP"[repeat % 2]]

    folder = save_series(repeats(4, change), tmp_path)
    assert sorted(titles(folder)) == [
        "magnitude, echo time 3 ms",
        "magnitude, echo time 6 ms",
        "phase, echo time 3 ms",
        "phase, echo time 6 ms",
    ]
    order = {title: at for at, title in enumerate(titles(folder))}
    for repeat in range(4):
        name = "magnitude, " if repeat % 2 == 0 else "phase, "
        part = 1 + order[f"{name}echo time {3 + 3 * (repeat // 2)} ms"]
        image = io.load(folder, part=part)
        shifted = image.with_array(image.array - STEP * repeat, step="-")
        assert worst_error(shifted) <= 0.501


def test_diffusion_directions_are_parts(tmp_path):
    directions = [None, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]

    def change(dataset, repeat, _):
        dataset.DiffusionBValue = 1000.0 if repeat else 0.0
        if repeat:
            dataset.DiffusionGradientOrientation = directions[repeat]

    folder = save_series(repeats(3, change), tmp_path)
    assert titles(folder) == [
        "no gradient, b 0 s/mm2",
        "gradient 0.0000 1.0000 0.0000, b 1000 s/mm2",
        "gradient 1.0000 0.0000 0.0000, b 1000 s/mm2",
    ]
    assert sorted(round(e / STEP) for e in errors(folder)) == [0, 1, 1]


@pytest.mark.parametrize("cosines", [CORONAL, oblique()])
def test_nothing_that_tells_repeats_apart_is_refused_with_the_number(cosines, tmp_path):
    slices = repeats(2, lambda *_: None, cosines=cosines)
    with pytest.raises(ReadError, match="7 of its 14 slices lie where another") as no:
        io.load(save_series(slices, tmp_path))
    assert "Nothing in the headers tells them apart as even volumes" in no.value.hint


@pytest.mark.parametrize("keyword", ["AcquisitionNumber", "EchoNumbers", "TriggerTime"])
def test_a_key_that_changes_with_each_slice_hides_no_missing_one(keyword, tmp_path):
    slices = series(slice_step=with_gap, modality="MR")
    for k, dataset in enumerate(slices):
        setattr(dataset, keyword, k + 1)
    with pytest.raises(ReadError, match="1 slice is missing"):
        io.load(save_series(slices, tmp_path))


def test_interleaved_acquisitions_are_one_volume(tmp_path):
    slices = series()
    for k, dataset in enumerate(slices):
        dataset.AcquisitionNumber = 1 + k % 2
    assert worst_error(io.load(save_series(slices, tmp_path))) <= 0.501


def test_interleaved_acquisitions_hide_no_missing_slice(tmp_path):
    slices = series(count=9)
    for k, dataset in enumerate(slices):
        dataset.AcquisitionNumber = 1 + k % 2
    del slices[1]
    with pytest.raises(ReadError, match="1 slice is missing"):
        io.load(save_series(slices, tmp_path))


def test_a_slice_missing_in_one_echo_refuses_that_echo_alone(tmp_path):
    slices = repeats(2, by("EchoTime", "3", "6"))
    del slices[10]
    folder = save_series(slices, tmp_path)
    study = io.load_study(folder)
    assert [image.shape for image in study.images] == [(11, 9, 7)]
    assert "echo time 6 ms: 1 slice is missing" in study.problems[0][1]
    assert titles(folder)[1].startswith("echo time 6 ms (refused: 1 slice is missing")
    found, problems = io.describe_study(folder)
    assert len(found) == len(problems) == 1


def test_two_blocks_of_other_spacing_are_two_volumes(tmp_path):
    slices = series(count=9, slice_step=lambda k: np.array([0, 0, blocks(k)]))
    for k, dataset in enumerate(slices):
        dataset.SliceThickness = 2.5 if k < 5 else 5
    folder = save_series(slices, tmp_path)
    assert titles(folder) == ["slice thickness 2.5 mm", "slice thickness 5 mm"]
    images = io.load_study(folder).images
    assert [image.geometry.spacing_mm[2] for image in images] == pytest.approx([2.5, 5])
    assert max(worst_error(image) for image in images) <= 0.501


def blocks(k):
    return 2.5 * k if k < 5 else 11 + 5 * (k - 5)


def test_a_scout_of_the_same_direction_is_told_by_its_image_type(tmp_path):
    slices = series(slice_step=lambda k: np.array([0, 0, 2.5 * k + (k == 6) * 31.3]))
    for k, dataset in enumerate(slices):
        kind = "LOCALIZER" if k == 6 else "AXIAL"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", kind]
    folder = save_series(slices, tmp_path)
    assert titles(folder) == ["image type AXIAL", "image type LOCALIZER"]
    assert [i.shape[2] for i in io.load_study(folder).images] == [6, 1]


# ---- enhanced multi-frame objects


@pytest.mark.parametrize("order", [None, list(range(13, -1, -1))])
def test_frames_of_two_echoes_are_parts(order, tmp_path):
    def change(dataset, repeat, k):
        dataset.EchoTime = ["3", "6"][repeat]
        dataset.InstanceNumber = 1 + k + 7 * repeat

    whole = enhanced(repeats(2, change, modality="CT"), order)
    path = save(whole, tmp_path / "a.dcm")
    assert titles(path) == ["echo time 3 ms", "echo time 6 ms"]
    assert max(errors(path)) <= 0.501


def test_frames_are_told_apart_by_their_dimension_index(tmp_path):
    def change(dataset, repeat, k):
        dataset.InstanceNumber = 1 + 7 * repeat + k

    whole = enhanced(repeats(2, change, modality="CT"))
    item = Dataset()
    item.DimensionIndexPointer = 0x00089007
    item.DimensionDescriptionLabel = "Kind"
    whole.DimensionIndexSequence = [item]
    for at, group in enumerate(whole.PerFrameFunctionalGroupsSequence):
        content = Dataset()
        content.DimensionIndexValues = [1 + at // 7]
        group.FrameContentSequence = [content]
    path = save(whole, tmp_path / "a.dcm")
    assert titles(path) == ["Kind 1", "Kind 2"]
    assert max(errors(path)) <= 0.501


def test_objects_of_one_series_are_parts_of_it(tmp_path):
    uid = generate_uid()
    both = repeats(2, lambda *_: None, modality="CT")
    for repeat in range(2):
        whole = enhanced(both[7 * repeat :][:7])
        whole.SeriesInstanceUID = uid
        for group in whole.PerFrameFunctionalGroupsSequence:
            content = Dataset()
            content.TemporalPositionIndex = 1 + repeat
            group.FrameContentSequence = [content]
        save(whole, tmp_path / f"{repeat}.dcm")
    assert titles(tmp_path) == ["time point 1", "time point 2"]
    assert max(errors(tmp_path)) <= 0.501


def test_a_refused_echo_of_an_object_leaves_the_other_one(tmp_path):
    def change(dataset, repeat, k):
        dataset.EchoTime = ["3", "6"][repeat]
        dataset.InstanceNumber = 1 + k + 7 * repeat

    slices = repeats(2, change, modality="CT")
    del slices[10]
    path = save(enhanced(slices), tmp_path / "a.dcm")
    (image,) = io.load_study(path).images
    (description,) = io.describe_study(path)[0]
    assert (description.part, description.parts) == (1, 2)
    for warnings in (image.warnings, description.warnings):
        assert "1 other image is refused" in " ".join(warnings)
    with pytest.raises(ReadError, match="echo time 6 ms: 1 slice is missing"):
        io.load(path, part=2)


# ---- slices that lie evenly, but are not of one image


def test_even_slices_of_magnitude_and_phase_are_two_images(tmp_path):
    slices = series(oblique(), count=8, modality="MR")
    for k, dataset in enumerate(slices):
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "MP"[k % 2]]
    folder = save_series(slices, tmp_path)
    assert titles(folder) == ["magnitude", "phase"]
    images = io.load_study(folder).images
    assert [image.shape for image in images] == [(11, 9, 4)] * 2
    assert max(worst_error(image) for image in images) <= 0.501


def test_even_slices_of_two_echo_times_are_one_volume_with_a_warning(tmp_path):
    slices = series(count=8, modality="MR")
    for k, dataset in enumerate(slices):
        dataset.EchoTime = ["3", "6"][k % 2]
    image = io.load(save_series(slices, tmp_path))
    assert worst_error(image) <= 0.501
    told = "its slices are not all of one kind: echo time 3 ms, echo time 6 ms"
    assert told in image.warnings
    assert io.describe_study(tmp_path)[0][0].warnings == image.warnings


def test_a_value_that_differs_in_every_slice_is_not_told(tmp_path):
    slices = series(count=5, modality="MR")
    for k, dataset in enumerate(slices):
        dataset.TemporalPositionIdentifier = k + 1
    assert io.load(save_series(slices, tmp_path)).warnings == ()


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "PatientID", "Modality"])
def test_one_series_uid_never_mixes_patients_studies_or_modalities(keyword, tmp_path):
    slices = series(count=8)
    for k, dataset in enumerate(slices):
        dataset.PatientID = "1"
        other = {"StudyInstanceUID": "1.2.3.4", "PatientID": "2", "Modality": "PT"}
        if k % 2:
            setattr(dataset, keyword, other[keyword])
    folder = save_series(slices, tmp_path)
    with pytest.raises(SeveralSeriesError, match="2 images") as several:
        io.load(folder, series=slices[0].SeriesInstanceUID)
    assert "share one series UID" in several.value.hint
    images = io.load_study(folder).images
    assert [image.shape for image in images] == [(11, 9, 4)] * 2
    assert max(worst_error(image) for image in images) <= 0.501
