"""NIfTI-1 and NIfTI-2 files; nothing else knows nibabel."""

import gzip
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.nifti1 import Nifti1Pair
from nibabel.spatialimages import HeaderDataError, SpatialImage

from medcnn.errors import DecodeError, GeometryError, OutputError, ReadError
from medcnn.geometry import Geometry
from medcnn.image import Image
from medcnn.io.description import Description
from medcnn.io.source import check_samples

__all__ = ["describe", "from_image", "read", "save_nifti"]

Pixels = npt.NDArray[Any]

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
    gzip.BadGzipFile,
    zlib.error,
)
_SPACE_CODES = {0: "unknown", 1: "scanner", 2: "aligned", 3: "talairach", 4: "mni"}


def read(path: Path) -> Image:
    """Read one NIfTI file, or a .hdr/.img pair by either name.

    Raises:
        ReadError: If it is broken, cut off, or holds several volumes.
    """
    return from_image(_open(path), path=path)


def from_image(nifti: SpatialImage, *, path: Path | None = None) -> Image:
    """Make an image of a nibabel image.

    Raises:
        ReadError: If its data are cut off, or it holds several volumes.
    """
    grid = _geometry(nifti, path)
    steps = _steps(nifti)
    colours = nifti.get_data_dtype().names
    try:
        values = np.asanyarray(nifti.dataobj)
    except _BROKEN as error:
        msg = f"its voxels cannot be read ({type(error).__name__})."
        hint = "The file is broken or cut off; copy it again."
        raise DecodeError(msg, path=path, hint=hint) from error
    values = values.reshape(grid.shape)
    if colours:
        values = np.stack([values[name] for name in colours[:3]])
    else:
        values = _plain(values)[None]
    notes = _doubts(nifti)
    bad = 0
    if values.dtype.kind == "f":
        bad = int(values.size - np.isfinite(values).sum())
    if bad:
        notes.append(f"{bad} of {values.size} values are NaN or infinite")
    return Image(
        values,
        geometry=grid,
        provenance=steps,
        warnings=tuple(notes),
        source=path,
    )


def describe(path: Path) -> Description:
    """Describe a NIfTI file from its header.

    Raises:
        ReadError: If the header is broken or declares several volumes.
    """
    nifti = _open(path)
    grid = _geometry(nifti, path)
    return Description(
        source=path,
        kind="nifti",
        shape=grid.shape,
        channels=3 if nifti.get_data_dtype().names else 1,
        spacing_mm=grid.spacing_mm,
        orientation=grid.axis_codes,
        frame=grid.frame.value,
        steps=_steps(nifti),
        warnings=tuple(_doubts(nifti)),
    )


def save_nifti(array: Pixels, geometry: Geometry, path: Path) -> None:
    """Write values on a grid in patient space as .nii or .nii.gz.

    Args:
        array: Values, shape (I, J, K).
        geometry: Their grid; its affine becomes sform and qform ("scanner").
        path: File to write; it is replaced.

    Raises:
        GeometryError: If the array is not of the grid's shape.
        OutputError: If the file cannot be written.
    """
    if array.shape != geometry.shape:
        msg = f"array must have its grid's shape {geometry.shape}, got {array.shape}"
        raise GeometryError(msg)
    make: Any = nib.Nifti1Image
    nifti = make(array, geometry.affine)
    nifti.set_sform(geometry.affine, code="scanner")
    nifti.set_qform(geometry.affine, code="scanner")
    nifti.header.set_xyzt_units("mm")
    try:
        nib.save(nifti, path)
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror or error}"
        raise OutputError(msg) from error


def _open(path: Path) -> SpatialImage:
    """Parse the header, by the class its content asks for whatever its name is."""
    try:
        with _opened(path) as file:
            head = file.read(352)
        kind = next(kind for kind, magic in _CLASSES if magic in head)
        return kind.from_file_map(_file_map(path, kind))
    except _BROKEN as error:
        msg = f"its NIfTI header is broken ({type(error).__name__})."
        raise DecodeError(msg, path=path) from error


def _geometry(nifti: SpatialImage, path: Path | None) -> Geometry:
    """Return the true grid, by nibabel's rule: sform if its code is set, else qform."""
    sizes = tuple(int(size) for size in nifti.shape)
    check_samples(path, *sizes)
    space, others = sizes[:3], sizes[3:]
    if any(size != 1 for size in others):
        msg = f"it holds several volumes: its shape is {sizes}, not (I, J, K)."
        hint = "Save the wanted volume as its own file, or pass (array, affine)."
        raise ReadError(msg, path=path, hint=hint)
    i, j, k = (*space, 1, 1)[:3]
    try:
        return Geometry((i, j, k), nifti.affine)
    except GeometryError as error:
        msg = f"its affine makes no grid: {error.message}"
        raise ReadError(msg, path=path) from error


def _steps(nifti: SpatialImage) -> tuple[str, ...]:
    """Return in words what nibabel does to the stored values."""
    header = nifti.header
    lines = [f"stored values: {header.get_data_dtype()}"]
    slope = getattr(nifti.dataobj, "slope", 1.0)
    offset = getattr(nifti.dataobj, "inter", 0.0)
    if (slope, offset) != (1.0, 0.0):
        lines.append(f"rescale: value = {slope:g} * stored + {offset:g}")
    return tuple(lines)


def _doubts(nifti: SpatialImage) -> list[str]:
    """Return what is doubtful about the header."""
    if not isinstance(nifti, Nifti1Pair):
        return []
    if int(nifti.header["sform_code"]) == 0 and int(nifti.header["qform_code"]) == 0:
        return ["neither sform nor qform is set: its place in the patient is unknown"]
    return []


def _plain(values: Pixels) -> Pixels:
    """Return values in native byte order, and floats as float32."""
    if values.dtype.kind == "f":
        return values.astype(np.float32, copy=False)
    return values.astype(values.dtype.newbyteorder("="), copy=False)
