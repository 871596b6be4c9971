"""Values on a grid as a NIfTI-1 file."""

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy.typing as npt

from medcnn.errors import GeometryError
from medcnn.geometry import Geometry
from medcnn.outputs import write_whole

__all__ = ["save_nifti"]

Pixels = npt.NDArray[Any]


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
