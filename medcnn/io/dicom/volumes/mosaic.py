"""Siemens mosaics: the slices of one volume side by side in one picture.

(0020,0032) Image Position of a mosaic is that of a slice as large as the whole mosaic
around the middle of the first slice; each tile is put back to where it was acquired.

References:
    [1] nibabel, doc/source/dicom/dicom_mosaic.rst.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medcnn.errors import ReadError
from medcnn.io.dicom.tags import number, text
from medcnn.io.dicom.volumes.csa import csa_values
from medcnn.io.dicom.volumes.records import Plane

__all__ = ["is_mosaic", "tiles_of", "unpacked"]

_CREATOR = "SIEMENS MR HEADER"
_PARALLEL = 0.999


def is_mosaic(dataset: Dataset) -> bool:
    """Say whether (0008,0008) Image Type names a mosaic."""
    return "MOSAIC" in text(dataset, "ImageType").upper().split("\\")


def tiles_of(dataset: Dataset, whole: Plane, path: Path | None) -> tuple[Plane, ...]:
    """Return the slices of a mosaic in the order of its tiles.

    Args:
        dataset: Its header.
        whole: The mosaic as one plane.
        path: The file, for errors.

    Raises:
        ReadError: If it does not say how many tiles it has, where they lie or to
            which side they follow each other.
    """
    csa = csa_values(
        dataset, "NumberOfImagesInMosaic", "SliceNormalVector", "SpacingBetweenSlices"
    )
    count = _tile_count(dataset, csa)
    columns, rows, samples = whole.size
    side = math.ceil(math.sqrt(count)) if count else 0
    if not side or columns % side or rows % side:
        _refuse(f"{columns} x {rows} pixels are not {count} tiles", path)
    if not (whole.position and whole.cosines and whole.spacing):
        _refuse("it does not say where it lies", path)
    across, down = np.array(whole.cosines[:3]), np.array(whole.cosines[3:])
    normal = _normal(csa, np.cross(across, down), path)
    spacing_mm = number(dataset, "SpacingBetweenSlices") or _one(csa)
    if not spacing_mm:
        _refuse("it does not say how far its slices are apart", path)
    size = (columns // side, rows // side, samples)
    first = np.array(whole.position)
    first = first + across * whole.spacing[1] * (columns - size[0]) / 2
    first = first + down * whole.spacing[0] * (rows - size[1]) / 2
    return tuple(
        replace(
            whole,
            frame=tile,
            size=size,
            position=tuple((first + normal * abs(spacing_mm) * tile).tolist()),
            depth_mm=abs(spacing_mm),
        )
        for tile in range(count)
    )


def unpacked(values: npt.NDArray[Any], size: tuple[int, int, int]) -> npt.NDArray[Any]:
    """Cut a mosaic into its tiles.

    Args:
        values: The mosaic, (1, rows, columns).
        size: (columns, rows, samples) of a tile.

    Returns:
        Every tile, row after row of the mosaic, (tiles, rows, columns).
    """
    columns, rows, _ = size
    grid = values[0].reshape(
        values.shape[1] // rows, rows, values.shape[2] // columns, columns
    )
    return np.asarray(grid.swapaxes(1, 2).reshape(-1, rows, columns))


def _tile_count(dataset: Dataset, csa: dict[str, tuple[str, ...]]) -> int:
    """Return how many tiles hold a slice; 0 if nothing says."""
    try:
        return int(dataset.private_block(0x0019, _CREATOR)[0x0A].value)
    except (KeyError, TypeError, ValueError):
        pass
    try:
        return int(csa["NumberOfImagesInMosaic"][0])
    except (LookupError, ValueError):
        return 0


def _normal(
    csa: dict[str, tuple[str, ...]], across: npt.NDArray[np.float64], path: Path | None
) -> npt.NDArray[np.float64]:
    """Return the direction in which the slices follow each other."""
    try:
        said = np.array([float(part) for part in csa["SliceNormalVector"]])
    except (LookupError, ValueError):
        said = np.zeros(0)
    if said.shape != (3,):
        _refuse("its private header does not say to which side its slices go", path)
    cosine = float(said @ across)
    if abs(cosine) < _PARALLEL:
        _refuse("its slices do not follow each other along their normal", path)
    return np.asarray(np.sign(cosine) * across)


def _one(csa: dict[str, tuple[str, ...]]) -> float:
    """Return the distance of slices from the private header; 0 if it is not there."""
    try:
        return float(csa["SpacingBetweenSlices"][0])
    except (LookupError, ValueError):
        return 0.0


def _refuse(reason: str, path: Path | None) -> NoReturn:
    """Say why a mosaic makes no volume.

    Raises:
        ReadError: Always.
    """
    msg = f"it is a mosaic of slices in one picture, and {reason}."
    hint = "Export the series without mosaic, or convert it with a tool of the vendor."
    raise ReadError(msg, path=path, hint=hint)
