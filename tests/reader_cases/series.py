"""Folders of slices that say by their values where they lie."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from dicoms import AXIAL, CORONAL, SAGITTAL, oblique, save_series, series

from reader_cases.case import Case, Grid, Group, Volumes

TILT = np.radians(20)
TWICE = 1.01
"""Error of values that were rounded, interpolated and rounded again."""


def grid_of(slices, offset=0.0, tolerance=0.51):
    """Return where slices lie, by PS3.3 C.7.6.2.1.1."""
    first = slices[0]
    cosines = np.array(first.ImageOrientationPatient, float)
    down_mm, across_mm = (float(x) for x in first.PixelSpacing)
    origins = np.array([s.ImagePositionPatient for s in slices], float)
    normal = np.cross(cosines[:3], cosines[3:])
    return Grid(
        origins=origins[np.argsort(origins @ normal)],
        across=cosines[:3] * across_mm,
        down=cosines[3:] * down_mm,
        size=(first.Columns, first.Rows),
        offset=offset,
        tolerance=tolerance,
    )


def raised(slices, offset):
    """Add a constant to the values of slices."""
    for dataset in slices:
        stored = np.frombuffer(dataset.PixelData, "<u2") + np.uint16(offset)
        dataset.PixelData = stored.tobytes()
    return slices


def rescaled(slices, slopes):
    """Give each slice a rescale slope of its own."""
    for dataset, slope in zip(slices, slopes, strict=True):
        true = np.frombuffer(dataset.PixelData, "<u2").astype(float) - 1024
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, 0
        dataset.PixelData = np.rint(true / slope).astype("<u2").tobytes()
    return slices


def case(name, make, *, pick=slice(None), ask=None, tolerance=0.51):
    """Return a case; `make` returns slices, of which `pick` says what is true."""
    truth = Volumes((grid_of(make()[pick], tolerance=tolerance),))
    return Case(name, lambda f: save_series(make(), f / "series"), truth, ask or {})


def numbered(numbers):
    """Return slices with other instance numbers; None takes them away."""
    slices = series(oblique())
    for dataset, number in zip(slices, numbers, strict=True):
        if number is None:
            del dataset.InstanceNumber
        else:
            dataset.InstanceNumber = number
    return slices


def along(step):
    """Return slices whose places are given by a function of k."""
    return signed(series(slice_step=step))


def without(*gone):
    return signed([s for k, s in enumerate(series(count=10)) if k not in gone])


def signed(slices):
    """Call the stored bits signed, as scanners do; some programs resample only such."""
    for dataset in slices:
        dataset.PixelRepresentation = 1
    return slices


def tilted(k):
    return 2.5 * k * np.array([0, np.tan(TILT), 1])


def drifting(k):
    return np.array([0, 0, 2.48 * k + 0.0007 * k * k])


def uneven(k):
    return np.array([0, 0, 2.5 * k + (0.8 if k >= 4 else 0)])


def rounded():
    """Return slices whose places and directions are written with few digits."""
    slices = series(oblique())
    for dataset in slices:
        place, turn = dataset.ImagePositionPatient, dataset.ImageOrientationPatient
        dataset.ImagePositionPatient = [f"{float(x):.2f}" for x in place]
        dataset.ImageOrientationPatient = [f"{float(x):.5f}" for x in turn]
    return slices


def tilted_without_one():
    return [s for k, s in enumerate(along(tilted)) if k != 3]


def joined(slices, others):
    """Make slices part of another series."""
    for number, dataset in enumerate(others):
        dataset.SeriesInstanceUID = slices[0].SeriesInstanceUID
        dataset.StudyInstanceUID = slices[0].StudyInstanceUID
        dataset.FrameOfReferenceUID = slices[0].FrameOfReferenceUID
        dataset.InstanceNumber = len(slices) + number + 1
    return [*slices, *others]


def doubled():
    slices = series()
    return [*slices, slices[3]]


def several(name, make, grids):
    """Return a case of several volumes in one folder."""
    build = partial(_save_all, make)
    return Case(name, build, Volumes(grids), {"study": True})


def _save_all(make, folder: Path) -> Path:
    return save_series(make(), folder / "series")


def two_series():
    first, second = series(), raised(series(), 3000)
    for dataset in second:
        dataset.StudyInstanceUID = first[0].StudyInstanceUID
        dataset.SeriesNumber = 2
    return [*first, *second]


def two_times():
    first, second = series(), raised(series(), 3000)
    for slices, time in ((first, "100000"), (second, "100030")):
        for dataset in slices:
            dataset.AcquisitionTime = dataset.ContentTime = time
            dataset.AcquisitionNumber = 1 + (slices is second)
            dataset.TemporalPositionIdentifier = 1 + (slices is second)
    return joined(first, second)


def two_echoes():
    first, second = series(modality="MR"), raised(series(modality="MR"), 3000)
    for slices, time in ((first, 10.0), (second, 30.0)):
        for dataset in slices:
            dataset.EchoTime = time
            dataset.EchoNumbers = 1 + (slices is second)
    return joined(first, second)


def two_b_values():
    first, second = series(modality="MR"), raised(series(modality="MR"), 3000)
    for slices, strength in ((first, 0.0), (second, 1000.0)):
        for dataset in slices:
            dataset.DiffusionBValue = strength
    return joined(first, second)


def two_alike():
    return joined(series(), raised(series(), 3000))


def two_references():
    second = raised(series(), 3000)
    reference = second[0].FrameOfReferenceUID
    slices = joined(series(), second)
    for dataset in second:
        dataset.FrameOfReferenceUID = reference
    return slices


def with_localizer(*, is_own):
    slices, extra = series(), series(CORONAL, count=1)
    if is_own:
        extra[0].StudyInstanceUID = slices[0].StudyInstanceUID
        extra[0].SeriesNumber = 2
        return [*slices, *extra]
    return joined(slices, extra)


def in_sub_folders(folder: Path) -> Path:
    slices = series(count=14)
    save_series(slices[:7], folder / "series")
    save_series(slices[7:], folder / "series" / "b")
    return folder / "series"


def with_a_cut(folder: Path) -> Path:
    path = save_series(series(), folder / "series")
    last = path / "003.dcm"
    last.write_bytes(last.read_bytes()[:-20])
    return path


def _cases():
    one = grid_of(series())
    two = (one, replace(one, offset=3000.0))
    flat = grid_of(series(CORONAL, count=1))
    gaps, tilt = {"allow_gaps": True}, {"resample_tilt": True}
    slopes = 0.25 + 0.05 * np.arange(7)
    varied = partial(lambda: rescaled(series(modality="PT"), slopes))
    return (
        case("Axial", partial(series, AXIAL)),
        case("Sagittal", partial(series, SAGITTAL)),
        case("Coronal", partial(series, CORONAL)),
        case("Oblique", partial(series, oblique())),
        case("Files in reverse order", lambda: series(oblique())[::-1]),
        case("Instance numbers descend", lambda: numbered(range(7, 0, -1))),
        case("Instance numbers shuffled", lambda: numbered([5, 1, 7, 2, 6, 3, 4])),
        case("No instance numbers", lambda: numbered([None] * 7)),
        case("Places written to 0.01 mm", rounded, tolerance=0.8),
        case("A rescale slope for each slice", varied, tolerance=0.8),
        case(
            "Gantry tilt of 20 degrees",
            lambda: along(tilted),
            ask=tilt,
            tolerance=TWICE,
        ),
        case("One slice of ten missing", lambda: without(4), ask=gaps, tolerance=TWICE),
        case(
            "Three slices of ten missing",
            lambda: without(3, 4, 7),
            ask=gaps,
            tolerance=TWICE,
        ),
        case("Uneven distances", lambda: along(uneven), ask=gaps, tolerance=TWICE),
        case(
            "Gantry tilt, one slice missing",
            tilted_without_one,
            ask=gaps | tilt,
            tolerance=TWICE,
        ),
        case(
            "Distances drift from 2.48 to 2.52 mm",
            lambda: signed(series(count=30, slice_step=drifting)),
            ask=gaps,
            tolerance=TWICE,
        ),
        case("One slice there twice", doubled, pick=slice(7)),
        several("Two series in one folder", two_series, two),
        several(
            "Localizer, same series", lambda: with_localizer(is_own=False), (one, flat)
        ),
        several(
            "Localizer, own series", lambda: with_localizer(is_own=True), (one, flat)
        ),
        several("Two time points in one series", two_times, two),
        several("Two echoes in one series", two_echoes, two),
        several("Two b-values in one series", two_b_values, two),
        several("Two volumes in one series, nothing tells them apart", two_alike, two),
        several("Two frames of reference in one series", two_references, two),
        Case(
            "Slices in sub-folders",
            in_sub_folders,
            Volumes((grid_of(series(count=14)),)),
        ),
        Case("One slice cut off", with_a_cut, Volumes((one,))),
    )


SERIES = Group("series", "Series of slices", _cases(), "Axial")
