"""Planes to a volume: their order and grid, or the reason why they make none.

highdicom judges whether positions are those of one regular volume; what it refuses is
refused here, with the numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import highdicom.spatial
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medcnn.errors import GeometryError, ReadError
from medcnn.geometry import Geometry
from medcnn.io.dicom.grid import plane_axes
from medcnn.io.dicom.tags import NOT_CONFORMANT, numbers

__all__ = ["Stack", "stack_planes"]

FloatArray = npt.NDArray[np.float64]

_COSINE_TOLERANCE = 1e-4
_SPACING_TOLERANCE = 1e-4
_SAME_PLACE_MM = 1e-3
_UNEVEN = 0.01
_HINT = "Load the slices one by one, or convert the series with a tool that resamples."


@dataclass(frozen=True)
class Stack:
    """The planes of a volume in order.

    Attributes:
        order: For each k, the index of its plane among those given.
        geometry: The grid.
    """

    order: tuple[int, ...]
    geometry: Geometry


def stack_planes(
    planes: Sequence[Dataset], shape: tuple[int, int], path: Path | None
) -> Stack:
    """Order planes along their normal and return the grid they make.

    Args:
        planes: Two or more data sets with position, orientation and spacing.
        shape: (columns, rows) of each.
        path: The file or folder, for errors.

    Returns:
        k grows along the cross product of row and column direction.

    Raises:
        ReadError: If orientation or spacing differ, planes are missing, doubled,
            unevenly spaced or sheared (gantry tilt).
    """
    positions = _common(planes, "ImagePositionPatient", path)
    across, down = _axes(planes, path)
    row_mm, column_mm = _pixel_spacing(planes, path)
    normal = np.cross(across, down)
    depths = positions @ normal
    order = np.argsort(depths, kind="stable")
    spacing, _ = highdicom.spatial.get_volume_positions(
        positions.tolist(), [*across, *down], rtol=_UNEVEN
    )
    if spacing is None:
        raise ReadError(
            _why_not(positions[order], normal), path=path, hint=_HINT
        ) from None
    first, last = positions[order[0]], positions[order[-1]]
    affine = np.eye(4)
    affine[:3, 0] = across * column_mm
    affine[:3, 1] = down * row_mm
    affine[:3, 2] = (last - first) / (len(planes) - 1)
    affine[:3, 3] = first
    try:
        geometry = Geometry.from_lps((*shape, len(planes)), affine)
    except GeometryError as error:
        msg = f"its slices make no grid: {error.message}"
        raise ReadError(msg, path=path, hint=NOT_CONFORMANT) from error
    return Stack(tuple(int(index) for index in order), geometry)


def _common(planes: Sequence[Dataset], keyword: str, path: Path | None) -> FloatArray:
    """Return an attribute of three numbers of every plane, shape (N, 3).

    Raises:
        ReadError: If some planes lack it.
    """
    found = [numbers(plane, keyword) for plane in planes]
    lacking = sum(len(values) != 3 for values in found)
    if lacking:
        msg = f"{lacking} of its {len(planes)} slices do not say where they lie."
        raise ReadError(msg, path=path, hint=NOT_CONFORMANT)
    return np.array(found, np.float64)


def _axes(
    planes: Sequence[Dataset], path: Path | None
) -> tuple[FloatArray, FloatArray]:
    """Return the directions that all planes share.

    Raises:
        ReadError: If they do not share them.
    """
    axes = plane_axes(planes[0], path)
    if axes is None:
        msg = "its slices do not say how they are turned."
        raise ReadError(msg, path=path, hint=NOT_CONFORMANT)
    cosines = [numbers(plane, "ImageOrientationPatient") for plane in planes]
    turned = sum(
        len(found) != 6
        or np.abs(np.subtract(found, cosines[0])).max() > _COSINE_TOLERANCE
        for found in cosines
    )
    if turned:
        msg = f"{turned} of its {len(planes)} slices are turned another way."
        hint = "A localizer may be among them; take it out."
        raise ReadError(msg, path=path, hint=hint)
    return axes


def _pixel_spacing(planes: Sequence[Dataset], path: Path | None) -> tuple[float, float]:
    """Return (between rows, between columns) in mm that all planes share.

    Raises:
        ReadError: If they do not share it.
    """
    spacings = {numbers(plane, "PixelSpacing") for plane in planes}
    first = numbers(planes[0], "PixelSpacing")
    if len(first) != 2 or min(first) <= 0:
        msg = f"(0028,0030) Pixel Spacing is {list(first)}, not two lengths in mm."
        raise ReadError(msg, path=path, hint=NOT_CONFORMANT)
    same = all(
        len(other) == 2 and np.allclose(other, first, rtol=_SPACING_TOLERANCE, atol=0)
        for other in spacings
    )
    if not same:
        msg = f"its slices have different spacings in mm: {sorted(spacings)[:4]}."
        raise ReadError(msg, path=path, hint=NOT_CONFORMANT)
    return first[0], first[1]


def _why_not(positions: FloatArray, normal: FloatArray) -> str:
    """Say why sorted positions are not a volume, with the numbers.

    Args:
        positions: Sorted along the normal, (N, 3), LPS mm.
        normal: Unit normal of the planes.
    """
    steps = np.diff(positions, axis=0)
    gaps = steps @ normal
    count = len(positions)
    same = int((np.linalg.norm(steps, axis=1) < _SAME_PLACE_MM).sum())
    if same:
        return (
            f"{same} of its {count} slices lie where another one lies already "
            "(doubled files, or several time points in one series)."
        )
    if (gaps < _SAME_PLACE_MM).any():
        return "some of its slices lie side by side in one plane."
    drift = positions[-1] - positions[0]
    cosine = float(drift @ normal / np.linalg.norm(drift))
    tilt = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    usual = float(np.median(gaps))
    multiples = gaps / usual
    if np.abs(multiples - multiples.round()).max() < 0.02 and multiples.max() > 1.5:
        missing = int((multiples.round() - 1).sum())
        return (
            f"{missing} slices are missing: the spacing is {usual:.4g} mm, the "
            f"largest gap {gaps.max():.4g} mm, among {count} slices."
        )
    if tilt > 1:
        return (
            f"its slices are sheared by {tilt:.1f} degrees (gantry tilt), so they "
            "do not make a rectangular volume."
        )
    return (
        f"its {count} slices are unevenly spaced: {gaps.min():.4g} to "
        f"{gaps.max():.4g} mm."
    )
