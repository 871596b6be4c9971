"""Images of nibabel that are in memory, or whose file it opened."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.nifti1 import Nifti1Pair
from nibabel.spatialimages import HeaderDataError

from medcnn.errors import DecodeError, GeometryError, MedcnnError, ReadError
from medcnn.geometry import Geometry
from medcnn.image import Image
from medcnn.io.axes import finite_words
from medcnn.io.nifti.form import grid_of
from medcnn.io.nifti.header import scale_words, shape_parts
from medcnn.io.nifti.reader import scaled
from medcnn.io.options import ReadOptions
from medcnn.io.parts import chosen
from medcnn.io.source import check_samples

__all__ = ["from_image"]

_BROKEN = (
    EOFError,
    HeaderDataError,
    ImageFileError,
    LookupError,
    MemoryError,
    OSError,
    OverflowError,
    TypeError,
    ValueError,
    zlib.error,
)


def from_image(nifti: Any, options: ReadOptions, *, path: Path | None = None) -> Image:
    """Make an image of a nibabel image.

    Args:
        nifti: Anything of nibabel with a shape, an affine and voxels.
        options: What the caller chose.
        path: The file, for errors.

    Raises:
        ReadError: If its data are cut off, or it holds several volumes and none is
            named.
    """
    if getattr(nifti, "affine", None) is None or len(nifti.shape) < 2:
        msg = f"a {type(nifti).__name__} is no image on a grid of voxels."
        raise ReadError(msg, path=path)
    sizes = tuple(int(size) for size in nifti.shape)
    header = nifti.header if isinstance(nifti, Nifti1Pair) else None
    part = chosen(shape_parts(header, sizes, path), options.part, path)
    i, j, k = (*sizes, 1, 1)[:3]
    check_samples(path, i, j, k, len(part.blocks))
    grid, notes = _grid(nifti, header, (i, j, k), path)
    blocks = np.stack([_block(nifti, index, path) for index in part.blocks])
    planes = _planes(blocks.reshape(len(part.blocks), i, j, k), path)
    values = scaled(planes, 1.0, 0.0)
    which = (part.title,) if part.title else ()
    return Image(
        values,
        geometry=grid,
        provenance=(*which, *_steps(nifti)),
        warnings=(*notes, *finite_words(values)),
        source=path,
    )


def _grid(
    nifti: Any, header: Any, shape: tuple[int, int, int], path: Path | None
) -> tuple[Geometry, tuple[str, ...]]:
    """Return the grid of the image's own affine, and doubts about its header.

    Raises:
        ReadError: If it is none.
    """
    try:
        grid = Geometry(shape, nifti.affine)
    except GeometryError as error:
        msg = f"its affine makes no grid: {error.message}"
        hint = "Mend its header, or pass (array, affine)."
        raise ReadError(msg, path=path, hint=hint) from error
    if header is None or not np.allclose(header.get_best_affine(), nifti.affine):
        return grid, ()
    same, _, notes = grid_of(header, shape, path)
    return same, notes


def _block(nifti: Any, index: int, path: Path | None) -> Any:
    """Return scaled block number `index` of the axes after the third.

    Raises:
        DecodeError: If it is cut off.
        MedcnnError: As it came.
    """
    extra = nifti.shape[3:]
    where = np.unravel_index(index, extra, order="F") if extra else ()
    try:
        return np.asanyarray(nifti.dataobj[(..., *where)])
    except MedcnnError:
        raise
    except _BROKEN as error:
        msg = f"its voxels cannot be read ({type(error).__name__})."
        hint = "The file is broken or cut off; copy it again."
        raise DecodeError(msg, path=path, hint=hint) from error


def _planes(blocks: Any, path: Path | None) -> Any:
    """Return blocks as (C, I, J, K) of real numbers.

    Raises:
        DecodeError: If they are none.
    """
    if blocks.dtype.names:
        names = blocks.dtype.names[:3]
        return np.concatenate([blocks[name] for name in names])
    if blocks.dtype.kind not in "buif" or blocks.dtype.itemsize > 8:
        msg = f"its voxels are {blocks.dtype}, not real numbers that are read."
        hint = "Pass magnitudes or float32."
        raise DecodeError(msg, path=path, hint=hint)
    return blocks.astype(np.uint8) if blocks.dtype.kind == "b" else blocks


def _steps(nifti: Any) -> tuple[str, ...]:
    """Return in words what is done to the stored values."""
    slope = float(getattr(nifti.dataobj, "slope", 1.0))
    offset = float(getattr(nifti.dataobj, "inter", 0.0))
    return (f"stored values: {nifti.get_data_dtype()}", *scale_words(slope, offset))
