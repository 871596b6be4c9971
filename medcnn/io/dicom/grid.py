"""Where the pixels of one plane lie: from spacing, position and orientation.

References:
    [1] DICOM PS3.3 C.7.6.2.1.1 (Image Plane), 10.7 (Basic Pixel Spacing Calibration).
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medcnn.errors import GeometryError, ReadError
from medcnn.geometry import Frame, Geometry
from medcnn.io.dicom.tags import NOT_CONFORMANT, number, numbers, text

__all__ = ["ORTHOGONAL_TOLERANCE", "plane_axes", "plane_geometry"]

ORTHOGONAL_TOLERANCE = 1e-3
"""How far from unit length and right angles direction cosines may be."""

_DEFAULT_THICKNESS_MM = 1.0

FloatArray = npt.NDArray[np.float64]


def plane_geometry(
    dataset: Dataset, shape: tuple[int, int], path: Path | None
) -> tuple[Geometry | None, list[str]]:
    """Return the grid of a single picture, and what is doubtful about it.

    Args:
        dataset: The data set.
        shape: (columns, rows).
        path: The file, for errors.

    Returns:
        The grid, or None where the file says no spacing; and warnings.

    Raises:
        ReadError: If position, orientation or spacing make no grid.
    """
    spacing, frame = _spacing(dataset)
    if spacing is None:
        return None, []
    if "MOSAIC" in text(dataset, "ImageType").upper().split("\\"):
        return None, ["a mosaic of several slices in one picture; it has no one grid"]
    down_mm, across_mm = spacing
    grid = (*shape, 1)
    axes = plane_axes(dataset, path)
    position = numbers(dataset, "ImagePositionPatient")
    try:
        if axes is None or len(position) != 3:
            sizes = (across_mm, down_mm, _DEFAULT_THICKNESS_MM)
            return Geometry.from_spacing(grid, sizes, frame=frame), []
        depth_mm, notes = _depth(dataset)
        affine = np.eye(4)
        affine[:3, 0] = axes[0] * across_mm
        affine[:3, 1] = axes[1] * down_mm
        affine[:3, 2] = np.cross(axes[0], axes[1]) * depth_mm
        affine[:3, 3] = position
        return Geometry.from_lps(grid, affine), notes
    except GeometryError as error:
        msg = f"its spacing and position make no grid: {error.message}"
        raise ReadError(msg, path=path, hint=NOT_CONFORMANT) from error


def plane_axes(
    dataset: Dataset, path: Path | None
) -> tuple[FloatArray, FloatArray] | None:
    """Return unit directions (LPS) of a row and of a column, or None if not said.

    Raises:
        ReadError: If the cosines are not of unit length or not at right angles.
    """
    cosines = numbers(dataset, "ImageOrientationPatient")
    if len(cosines) != 6:
        return None
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    error = max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(row @ column))
    if error > ORTHOGONAL_TOLERANCE:
        msg = (
            f"(0020,0037) Image Orientation {list(cosines)} is not two unit "
            f"directions at right angles; it is off by {error:.3g}."
        )
        raise ReadError(msg, path=path, hint=NOT_CONFORMANT)
    return row / lengths[0], column / lengths[1]


def _spacing(dataset: Dataset) -> tuple[tuple[float, float] | None, Frame]:
    """Return (between rows, between columns) in mm and where they are true.

    A projection's Pixel Spacing equals its Imager Pixel Spacing, or is calibrated to
    the patient where it differs and the file says how.
    """
    pixel = numbers(dataset, "PixelSpacing")
    imager = numbers(dataset, "ImagerPixelSpacing") or numbers(
        dataset, "NominalScannedPixelSpacing"
    )
    for found, frame in ((pixel, Frame.PATIENT), (imager, Frame.DETECTOR)):
        if len(found) == 2 and min(found) > 0:
            is_same = frame is Frame.PATIENT and found == imager
            return (found[0], found[1]), Frame.DETECTOR if is_same else frame
    return None, Frame.PATIENT


def _depth(dataset: Dataset) -> tuple[float, list[str]]:
    """Return a single slice's extent along its normal in mm."""
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        size = number(dataset, keyword)
        if size:
            return abs(size), []
    note = f"it says no slice thickness; {_DEFAULT_THICKNESS_MM:g} mm was taken"
    return _DEFAULT_THICKNESS_MM, [note]
