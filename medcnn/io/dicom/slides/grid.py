"""Where the levels of a DICOM slide lie: spacing, origin and direction in slide mm.

References:
    [1] DICOM PS3.3 C.8.12.2 (Slide Coordinate System), C.8.12.4 (Total Pixel Matrix
        Origin Sequence, Image Orientation (Slide)).
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medcnn.errors import DecodeError
from medcnn.io.dicom.tags import NOT_CONFORMANT, number, numbers, sequence, text
from medcnn.io.slide.contract import whole_downsample

__all__ = ["affine_of", "check_same_place", "downsample_of"]

FloatArray = npt.NDArray[np.float64]


def downsample_of(
    first: Dataset,
    base: tuple[int, int],
    dataset: Dataset,
    shape: tuple[int, int],
    path: Path,
) -> float:
    """Return how many pixels of the finest level one of this level spans.

    Raises:
        DecodeError: If sizes and spacings tell different stories.
    """
    downsample = whole_downsample(base, shape)
    ours, theirs = _spacing(first), _spacing(dataset)
    if ours and theirs:
        by_spacing = theirs[0] / ours[0]
        if abs(by_spacing / downsample - 1) > 0.02 + 2 / min(shape):
            msg = f"its level of {shape[0]} x {shape[1]} pixels is {downsample:.4g} "
            msg += f"times coarser by size, but {by_spacing:.4g} times by spacing."
            raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    return downsample


def check_same_place(first: Dataset, other: Dataset, path: Path) -> None:
    """Refuse a level in another frame of reference, direction or place.

    Writers state one origin for all levels, or one that is moved by half a pixel of
    the level: the origin is the middle of its first pixel. Both are accepted; levels
    are laid edge on edge.

    Raises:
        DecodeError: If it lies elsewhere.
    """
    frames = {text(h, "FrameOfReferenceUID") for h in (first, other)}
    ours, theirs = (
        np.array(numbers(h, "ImageOrientationSlide")) for h in (first, other)
    )
    is_turned = ours.shape != theirs.shape or not np.allclose(ours, theirs, atol=1e-4)
    here, there = _origin(first), _origin(other)
    spacing = _spacing(other)
    apart = 0.0
    if here is not None and there is not None and spacing:
        apart = float(np.abs(np.subtract(here, there)).max()) / max(spacing)
    if len(frames) > 1 or is_turned or apart > 1.0:
        msg = "its levels lie in different places on the slide."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)


def affine_of(dataset: Dataset, path: Path) -> tuple[FloatArray | None, list[str]]:
    """Return pixel centre of the level to slide mm, and what is doubtful about it.

    Raises:
        DecodeError: If its orientation is not two directions at right angles.
    """
    spacing, origin = _spacing(dataset), _origin(dataset)
    cosines = numbers(dataset, "ImageOrientationSlide")
    if not spacing:
        return None, ["it does not say how large its pixels are"]
    doubts = []
    if origin is None:
        origin, doubts = (
            (spacing[0] / 2, spacing[1] / 2),
            ["it does not say where on the slide it lies: mm are from its own corner"],
        )
    if len(cosines) != 6:
        cosines = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
        doubts.append("it does not say how it is turned: the slide's axes are its own")
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    errors = np.linalg.norm(row) - 1, np.linalg.norm(column) - 1, row @ column
    if max(abs(e) for e in errors) > 1e-3:
        msg = f"(0048,0102) Image Orientation (Slide) {list(cosines)} is not two unit "
        msg += "directions at right angles."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * spacing[0], column * spacing[1]
    affine[:3, 2] = np.cross(row, column)
    affine[:2, 3] = origin
    return affine, doubts


def _spacing(dataset: Dataset) -> tuple[float, float] | None:
    """Return mm from pixel to pixel along (i, j): Pixel Spacing names rows first."""
    shared = sequence(dataset, "SharedFunctionalGroupsSequence")
    measures = sequence(shared[0], "PixelMeasuresSequence") if shared else []
    found = numbers(measures[0], "PixelSpacing") if measures else ()
    if len(found) != 2 or min(found) <= 0:
        return None
    return found[1], found[0]


def _origin(dataset: Dataset) -> tuple[float, float] | None:
    """Return x, y of the middle of the first pixel on the slide in mm."""
    items = sequence(dataset, "TotalPixelMatrixOriginSequence")
    found = [
        number(items[0], f"{axis}OffsetInSlideCoordinateSystem") if items else None
        for axis in "XY"
    ]
    if found[0] is None or found[1] is None:
        return None
    return found[0], found[1]
