"""Where the pixels of one picture or slice lie: spacing, position and orientation.

References:
    [1] DICOM PS3.3 C.7.6.2.1.1 (Image Plane), C.7.6.1.1.1 (Patient Orientation), 10.7
        (Basic Pixel Spacing Calibration).
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medcnn.errors import GeometryError, ReadError
from medcnn.geometry import Geometry
from medcnn.io.dicom.tags import NOT_CONFORMANT, text
from medcnn.io.dicom.volumes.records import Plane
from medcnn.io.dicom.volumes.spacing import picture_spacing

__all__ = [
    "ORTHOGONAL_TOLERANCE",
    "checked_axes",
    "picture_geometry",
    "slice_geometry",
]

ORTHOGONAL_TOLERANCE = 1e-3
"""How far from unit length and right angles direction cosines may be."""

_DEFAULT_THICKNESS_MM = 1.0
_DIRECTIONS = {
    "R": (1.0, 0.0, 0.0),
    "L": (-1.0, 0.0, 0.0),
    "A": (0.0, 1.0, 0.0),
    "P": (0.0, -1.0, 0.0),
    "H": (0.0, 0.0, 1.0),
    "F": (0.0, 0.0, -1.0),
}
"""First letters of (0020,0020) Patient Orientation in RAS."""

FloatArray = npt.NDArray[np.float64]


def picture_geometry(
    dataset: Dataset, shape: tuple[int, int], path: Path | None
) -> tuple[Geometry | None, list[str]]:
    """Return the grid of a picture that is no slice, and what is doubtful about it.

    Its axes point where (0020,0020) Patient Orientation says; where nothing says, as
    in a picture seen by a radiologist.

    Args:
        dataset: The data set.
        shape: (columns, rows).
        path: The file, for errors.

    Returns:
        The grid, or None where the file says no spacing; and warnings.

    Raises:
        ReadError: If the spacing makes no grid.
    """
    spacing, frame, notes = picture_spacing(dataset)
    if spacing is None:
        return None, notes
    sizes = (spacing[1], spacing[0], _DEFAULT_THICKNESS_MM)
    grid = (*shape, 1)
    try:
        plain = Geometry.from_spacing(grid, sizes, frame=frame)
        said = text(dataset, "PatientOrientation")
        axes = _patient_axes(said)
        if axes is None:
            which = "says no two directions" if said.strip("\\ ") else "is not given"
            notes.append(
                f"(0020,0020) Patient Orientation {which}: rows are taken to run to "
                "the patient's left, columns to the feet"
            )
            return plain, notes
        affine = np.eye(4)
        affine[:3, :3] = axes * sizes
        return Geometry(grid, affine, frame), notes
    except GeometryError as error:
        msg = f"its spacing makes no grid: {error.message}"
        raise ReadError(msg, path=path, hint=NOT_CONFORMANT) from error


def slice_geometry(plane: Plane) -> tuple[Geometry | None, list[str]]:
    """Return the grid of a single slice, and what is doubtful about it.

    Returns:
        The grid, or None where the slice says no spacing; and warnings.

    Raises:
        ReadError: If its directions are none.
        GeometryError: If they make no grid.
    """
    if not plane.spacing:
        return None, []
    across, down = checked_axes(plane.cosines, None)
    notes = []
    if plane.depth_mm is None:
        size = f"{_DEFAULT_THICKNESS_MM:g} mm"
        notes.append(f"it says no slice thickness; {size} was taken")
    affine = np.eye(4)
    affine[:3, 0] = across * plane.spacing[1]
    affine[:3, 1] = down * plane.spacing[0]
    affine[:3, 2] = np.cross(across, down) * (plane.depth_mm or _DEFAULT_THICKNESS_MM)
    affine[:3, 3] = plane.position
    columns, rows, _ = plane.size
    return Geometry.from_lps((columns, rows, 1), affine), notes


def checked_axes(
    cosines: tuple[float, ...], path: Path | None
) -> tuple[FloatArray, FloatArray]:
    """Return unit directions (LPS) of a row and of a column.

    Args:
        cosines: The six numbers of (0020,0037) Image Orientation (Patient).
        path: The file, for errors.

    Raises:
        ReadError: If the cosines are not of unit length or not at right angles.
    """
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


def _patient_axes(orientation: str) -> FloatArray | None:
    """Return unit directions of i, j, k in RAS as columns; None if it says no two.

    k points to the viewer, as in `Geometry.from_spacing`.
    """
    parts = [part.strip().upper()[:1] for part in orientation.split("\\")]
    if len(parts) != 2 or not set(parts) <= set(_DIRECTIONS):
        return None
    row, column = (np.array(_DIRECTIONS[part]) for part in parts)
    if row @ column:
        return None
    return np.stack([row, column, -np.cross(row, column)], axis=1)
