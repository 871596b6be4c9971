"""NIfTI-1 and NIfTI-2 files; nothing else knows nibabel."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.fileholders import FileHolder
from nibabel.nifti1 import Nifti1Pair
from nibabel.spatialimages import HeaderDataError

from medcnn.errors import DecodeError, GeometryError, MedcnnError, ReadError
from medcnn.geometry import Geometry
from medcnn.image import Image
from medcnn.io.description import Description
from medcnn.io.options import ReadOptions
from medcnn.io.source import check_samples
from medcnn.outputs import write_whole

__all__ = ["describe_all", "from_image", "read", "read_all", "save_nifti"]

Pixels = npt.NDArray[Any]

_BROKEN = (
    EOFError,
    HeaderDataError,
    ImageFileError,
    LookupError,
    MemoryError,
    OSError,
    OverflowError,
    StopIteration,
    TypeError,
    ValueError,
    zlib.error,
)
_CLASSES = {
    b"n+1\0": nib.Nifti1Image,
    b"ni1\0": nib.Nifti1Pair,
    b"n+2\0": nib.Nifti2Image,
    b"ni2\0": nib.Nifti2Pair,
}
_HEAD_BYTES = 352


def read(path: Path, options: ReadOptions) -> Image:
    """Read one NIfTI file, or a .hdr/.img pair by either name.

    Raises:
        ReadError: If it is broken, cut off, or holds several volumes.
    """
    with _opened(path) as nifti:
        return from_image(nifti, options, path=path)


def read_all(path: Path, options: ReadOptions) -> Iterator[Image]:
    """Read every image of a file.

    Raises:
        ReadError: If it is broken or cut off.
    """
    yield read(path, options)


def describe_all(path: Path, options: ReadOptions) -> tuple[Description, ...]:
    """Describe every image of a file from its header.

    Raises:
        ReadError: If the header is broken.
    """
    return (describe(path),)


def describe(path: Path) -> Description:
    """Describe a NIfTI file from its header.

    Raises:
        ReadError: If the header is broken or declares several volumes.
    """
    with _opened(path) as nifti:
        grid = _geometry(nifti, path)
        return Description(
            source=path,
            kind="nifti",
            shape=grid.shape,
            channels=3 if _colours(nifti) else 1,
            spacing_mm=grid.spacing_mm,
            orientation=grid.axis_codes,
            frame=grid.frame.value,
            steps=_steps(nifti),
            warnings=_doubts(nifti),
        )


def save_nifti(array: Pixels, geometry: Geometry, path: Path) -> None:
    """Write values on a grid in patient space as .nii or .nii.gz, whole or not at all.

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
    content = nifti.to_bytes()
    packed = gzip.compress(content, mtime=0) if path.suffix == ".gz" else content
    write_whole(path, packed)


def from_image(nifti: Any, options: ReadOptions, *, path: Path | None = None) -> Image:
    """Make an image of a nibabel image.

    Args:
        nifti: Anything of nibabel with a shape, an affine and voxels.
        path: The file, for errors.

    Raises:
        ReadError: If its data are cut off, or it holds several volumes.
    """
    if getattr(nifti, "affine", None) is None or len(nifti.shape) < 2:
        msg = f"a {type(nifti).__name__} is no image on a grid of voxels."
        raise ReadError(msg, path=path)
    grid = _geometry(nifti, path)
    values = _values(nifti, grid, path)
    notes = _doubts(nifti)
    if values.dtype.kind == "f":
        bad = int(values.size - np.isfinite(values).sum())
        if bad:
            notes += (f"{bad} of {values.size} values are NaN or infinite",)
    return Image(
        values, geometry=grid, provenance=_steps(nifti), warnings=notes, source=path
    )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Parse the header by the class its content asks for, whatever its name is.

    Raises:
        DecodeError: If it is broken, or half of a pair is missing.
    """
    with ExitStack() as files:
        try:
            header = files.enter_context(_open_bytes(_header_path(path)))
            head = header.read(_HEAD_BYTES)
            kind = next(kind for magic, kind in _CLASSES.items() if magic in head)
            file_map = {"image": FileHolder(fileobj=header)}
            if not issubclass(kind, nib.Nifti1Image):
                voxels = files.enter_context(_open_bytes(_voxel_path(path)))
                file_map["header"] = file_map["image"]
                file_map["image"] = FileHolder(fileobj=voxels)
            header.seek(0)
            parse: Any = kind.from_file_map
            nifti = parse(file_map, mmap=False)
        except _BROKEN as error:
            msg = f"its NIfTI header cannot be read ({type(error).__name__})."
            hint = "A .hdr and an .img file belong together."
            raise DecodeError(msg, path=path, hint=hint) from error
        yield nifti


def _open_bytes(path: Path) -> BufferedIOBase:
    """Open a file for reading, through gzip if its content is gzip."""
    file = path.open("rb")
    is_packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if not is_packed:
        return file
    file.close()
    return gzip.open(path, "rb")


def _header_path(path: Path) -> Path:
    """Return the file that holds the header."""
    header = path.with_suffix(".hdr")
    return header if path.suffix.lower() == ".img" and header.is_file() else path


def _voxel_path(path: Path) -> Path:
    """Return the file that holds the voxels of a pair."""
    return path.with_suffix(".img")


def _values(nifti: Any, grid: Geometry, path: Path | None) -> Pixels:
    """Return the scaled voxels as (C, I, J, K).

    Raises:
        DecodeError: If they are cut off, or no real numbers.
        MedcnnError: As it came.
    """
    try:
        values = np.asanyarray(nifti.dataobj).reshape(grid.shape)
    except MedcnnError:
        raise
    except _BROKEN as error:
        msg = f"its voxels cannot be read ({type(error).__name__})."
        hint = "The file is broken or cut off; copy it again."
        raise DecodeError(msg, path=path, hint=hint) from error
    names = _colours(nifti)
    if names:
        return np.stack([values[name] for name in names])
    if values.dtype.kind not in "buif":
        msg = f"its voxels are {values.dtype}, not real numbers."
        raise DecodeError(msg, path=path)
    if values.dtype.kind == "f":
        return np.asarray(values, np.float32)[None]
    return np.asarray(values, values.dtype.newbyteorder("="))[None]


def _colours(nifti: Any) -> tuple[str, ...]:
    """Return the names of the colour fields that are kept; () for grey."""
    names: tuple[str, ...] = np.dtype(nifti.get_data_dtype()).names or ()
    return names[:3]


def _geometry(nifti: Any, path: Path | None) -> Geometry:
    """Return the true grid, by nibabel's rule: sform if its code is set, else qform.

    Raises:
        ReadError: If it holds several volumes, or its affine makes no grid.
    """
    sizes = tuple(int(size) for size in nifti.shape)
    check_samples(path, *sizes)
    if any(size != 1 for size in sizes[3:]):
        msg = f"it holds several volumes: its shape is {sizes}, not (I, J, K)."
        hint = "Save the wanted volume as its own file, or pass (array, affine)."
        raise ReadError(msg, path=path, hint=hint)
    i, j, k = (*sizes, 1, 1)[:3]
    try:
        return Geometry((i, j, k), nifti.affine)
    except GeometryError as error:
        msg = f"its affine makes no grid: {error.message}"
        hint = "Mend its header, or pass (array, affine)."
        raise ReadError(msg, path=path, hint=hint) from error


def _steps(nifti: Any) -> tuple[str, ...]:
    """Return in words what is done to the stored values."""
    lines = [f"stored values: {nifti.get_data_dtype()}"]
    slope = float(getattr(nifti.dataobj, "slope", 1.0))
    offset = float(getattr(nifti.dataobj, "inter", 0.0))
    if (slope, offset) != (1.0, 0.0):
        lines.append(f"rescale: value = {slope:g} * stored + {offset:g}")
    return tuple(lines)


def _doubts(nifti: Any) -> tuple[str, ...]:
    """Return what is doubtful about the header."""
    if not isinstance(nifti, Nifti1Pair):
        return ()
    if int(nifti.header["sform_code"]) == 0 and int(nifti.header["qform_code"]) == 0:
        return ("neither sform nor qform is set: its place in the patient is unknown",)
    return ()
