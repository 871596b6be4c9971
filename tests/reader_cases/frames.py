"""Multi-frame objects that say by their values where each frame lies."""

from dataclasses import replace
from functools import partial

from dicoms import oblique, save, series
from multiframe import enhanced
from pydicom.uid import RTDoseStorage

from reader_cases.case import Case, Group, Volumes
from reader_cases.series import TWICE, grid_of, rescaled, two_alike, without

SHUFFLED = [3, 0, 6, 2, 5, 1, 4]


def case(name, make, *, order=None, ask=None, tolerance=0.51):
    """Return a case; `make` returns the slices that become frames."""

    def build(folder):
        return save(enhanced(make(), order), folder / "frames.dcm")

    truth = Volumes((grid_of(make(), tolerance=tolerance),))
    return Case(name, build, truth, ask or {})


def varied():
    return rescaled(series(), [0.5 + 0.25 * k for k in range(7)])


def dose(offsets):
    """Return a dose grid, whose frames lie where (3004,000C) says."""
    slices = series(modality="RTDOSE", slice_step=lambda k: [0, 0, offsets[k]])
    whole = slices[0]
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = RTDoseStorage
    whole.NumberOfFrames = len(slices)
    whole.PixelData = b"".join(slice_.PixelData for slice_ in slices)
    whole.FrameIncrementPointer = 0x3004000C
    whole.GridFrameOffsetVector = list(offsets)
    whole.DoseGridScaling, whole.DoseUnits = 1, "GY"
    del whole.RescaleSlope, whole.RescaleIntercept
    return whole


def dose_case(name, offsets, **ask):
    grid = grid_of(series(slice_step=lambda k: [0, 0, offsets[k]]))
    truth = Volumes((replace(grid, offset=1024.0, tolerance=TWICE),))
    build = partial(_save_dose, offsets)
    return Case(name, build, truth, ask)


def _save_dose(offsets, folder):
    return save(dose(offsets), folder / "dose.dcm")


def _cases():
    one = grid_of(series())
    both = Volumes((one, replace(one, offset=3000.0)))
    return (
        case("Frames in order", series),
        case("Frames in order, oblique", lambda: series(oblique())),
        case("Frames in reverse order", series, order=[6, 5, 4, 3, 2, 1, 0]),
        case("Frames shuffled", lambda: series(oblique()), order=SHUFFLED),
        case(
            "One frame of ten missing",
            lambda: without(4),
            ask={"allow_gaps": True},
            tolerance=TWICE,
        ),
        case("A rescale slope for each frame", varied, order=SHUFFLED, tolerance=1.6),
        dose_case("Dose grid", [2.5 * k for k in range(7)]),
        dose_case("Dose grid, frames downwards", [-2.5 * k for k in range(7)]),
        dose_case("Dose grid, uneven", [0, 2, 4, 6, 9, 12, 15], allow_gaps=True),
        Case(
            "Two volumes, nothing tells them apart",
            lambda folder: save(enhanced(two_alike()), folder / "frames.dcm"),
            both,
            {"study": True},
        ),
    )


FRAMES = Group("frames", "Multi-frame objects", _cases(), "Frames in order")
