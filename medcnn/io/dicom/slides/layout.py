"""Which frame of a whole-slide image holds which tile.

References:
    [1] DICOM PS3.3 C.8.12.4 (Whole Slide Microscopy Image), C.7.6.17.3 (Dimension
        Organization Type: TILED_FULL, TILED_SPARSE), C.8.12.6.1 (Plane Position,
        Slide).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medcnn.errors import DecodeError
from medcnn.io.dicom.pixels.layout import Layout
from medcnn.io.dicom.tags import NOT_CONFORMANT, number, sequence, text
from medcnn.io.slide.contract import check_matrix

__all__ = ["Plane", "matrix_of", "planes_of"]

Index = npt.NDArray[np.int64]


@dataclass(frozen=True, order=True)
class Plane:
    """One of the images that one slide may have.

    Attributes:
        optical_path: Optical Path Identifier.
        depth_um: Z offset in the slide coordinate system, in micrometres.
    """

    optical_path: str
    depth_um: float


def matrix_of(dataset: Dataset, layout: Layout, path: Path) -> tuple[int, int]:
    """Return (columns, rows) of the total pixel matrix, checked.

    Raises:
        DecodeError: If it is missing, empty or too large.
    """
    columns = int(number(dataset, "TotalPixelMatrixColumns") or 0)
    rows = int(number(dataset, "TotalPixelMatrixRows") or 0)
    check_matrix(path, (columns, rows), (layout.columns, layout.rows))
    return columns, rows


def planes_of(
    dataset: Dataset, layout: Layout, shape: tuple[int, int], path: Path
) -> Mapping[Plane, Index]:
    """Return the frame of each tile, for each optical path and focal plane.

    Args:
        dataset: The header.
        layout: How the pixels are stored.
        shape: (columns, rows) of the total pixel matrix.
        path: The file, for errors.

    Returns:
        Frame numbers from 0, (rows, columns) of the grid of tiles; -1 where no frame
        was stored.

    Raises:
        DecodeError: If frames are missing, lie off the grid or on each other.
    """
    across, down = -(-shape[0] // layout.columns), -(-shape[1] // layout.rows)
    kind = text(dataset, "DimensionOrganizationType")
    groups = sequence(dataset, "PerFrameFunctionalGroupsSequence")
    if kind == "TILED_FULL" or (not kind and not groups):
        return _full(dataset, layout, (down, across), path)
    return _sparse(groups, layout, (down, across), path)


def _full(
    dataset: Dataset, layout: Layout, grid: tuple[int, int], path: Path
) -> Mapping[Plane, Index]:
    """Return the frames of TILED_FULL: rows of tiles, then focal planes, then paths.

    Raises:
        DecodeError: If the number of frames is another one than that.
    """
    depths = int(number(dataset, "TotalPixelMatrixFocalPlanes") or 1)
    paths = [
        text(item, "OpticalPathIdentifier")
        for item in sequence(dataset, "OpticalPathSequence")
    ] or [""]
    expected = grid[0] * grid[1] * depths * len(paths)
    if layout.frames != expected:
        msg = f"it holds {layout.frames} frames; {grid[1]} x {grid[0]} tiles in "
        msg += f"{depths} focal planes and {len(paths)} optical paths are {expected}."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    numbers = np.arange(expected).reshape(len(paths), depths, *grid)
    step_um = 1000 * (_between_planes_mm(dataset) or 0.001)
    return {
        Plane(name, round(n * step_um, 3)): numbers[p, n]
        for p, name in enumerate(paths)
        for n in range(depths)
    }


def _between_planes_mm(dataset: Dataset) -> float | None:
    """Return the distance between focal planes in mm."""
    shared = sequence(dataset, "SharedFunctionalGroupsSequence")
    measures = sequence(shared[0], "PixelMeasuresSequence") if shared else []
    return number(measures[0], "SpacingBetweenSlices") if measures else None


def _sparse(
    groups: list[Dataset], layout: Layout, grid: tuple[int, int], path: Path
) -> Mapping[Plane, Index]:
    """Return the frames of TILED_SPARSE, each of which says where it lies.

    Raises:
        DecodeError: If a frame does not say it, lies off the grid or on another one.
    """
    if len(groups) != layout.frames:
        msg = f"it holds {layout.frames} frames, but says where {len(groups)} lie."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    found: dict[Plane, Index] = {}
    for frame, group in enumerate(groups):
        plane, across, down = _place(group, layout, frame, path)
        index = found.setdefault(plane, np.full(grid, -1, np.int64))
        if not (0 <= down < grid[0] and 0 <= across < grid[1]):
            msg = f"frame {frame + 1} lies outside the total pixel matrix."
            raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
        if index[down, across] >= 0:
            msg = f"frames {index[down, across] + 1} and {frame + 1} lie on each other."
            raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
        index[down, across] = frame
    return found


def _place(
    group: Dataset, layout: Layout, frame: int, path: Path
) -> tuple[Plane, int, int]:
    """Return the plane of a frame, and its column and row in the grid of tiles.

    Raises:
        DecodeError: If it does not say where it lies, or lies off the grid.
    """
    items = sequence(group, "PlanePositionSlideSequence")
    position = items[0] if items else Dataset()
    column = number(position, "ColumnPositionInTotalImagePixelMatrix")
    row = number(position, "RowPositionInTotalImagePixelMatrix")
    if column is None or row is None:
        msg = f"frame {frame + 1} does not say where it lies on the slide."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    left, top = int(column) - 1, int(row) - 1
    if left % layout.columns or top % layout.rows:
        msg = f"frame {frame + 1} begins at column {left + 1}, row {top + 1}: not on a "
        msg += f"grid of {layout.columns} x {layout.rows} pixels."
        hint = "Slides whose tiles overlap or lie freely are not read."
        raise DecodeError(msg, path=path, hint=hint)
    optical = sequence(group, "OpticalPathIdentificationSequence")
    name = text(optical[0], "OpticalPathIdentifier") if optical else ""
    depth_mm = number(position, "ZOffsetInSlideCoordinateSystem") or 0.0
    # writers differ in its unit, and only the order of the planes counts here
    plane = Plane(name, round(1000 * depth_mm, 3))
    return plane, left // layout.columns, top // layout.rows
