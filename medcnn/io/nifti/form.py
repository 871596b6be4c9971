"""Where the voxels of a NIfTI file lie: sform, qform, units, and what is doubtful.

References:
    [1] nifti1.h, "3D image (volume) orientation and location in space", methods 1 to 3.
    [2] nibabel, "The NIfTI affines": sform if its code is set, else qform, else the
        shape and voxel sizes alone.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from nibabel.spatialimages import HeaderDataError

from medcnn.errors import GeometryError, ReadError
from medcnn.geometry import Geometry

__all__ = ["grid_of"]

FloatArray = npt.NDArray[np.float64]

_SPACES = {1: "scanner", 2: "aligned", 3: "Talairach", 4: "MNI 152", 5: "a template"}
_UNITS_MM = {1: ("metres", 1000.0), 3: ("micrometres", 0.001)}
_APART_MM = 0.01


def grid_of(
    header: Any, shape: tuple[int, int, int], path: Path | None
) -> tuple[Geometry, tuple[str, ...], tuple[str, ...]]:
    """Return the grid of a header, by nibabel's rule, in millimetres.

    Args:
        header: A nibabel NIfTI header.
        shape: Number of voxels along i, j, k.
        path: The file, for errors.

    Returns:
        The grid, what was done to it in words, and what is doubtful about it.

    Raises:
        ReadError: If the form that counts makes no grid.
    """
    affine, doubts = _affine(header, path)
    affine, step = _in_millimetres(affine, header)
    try:
        grid = Geometry(shape, affine)
    except GeometryError as error:
        msg = f"its affine makes no grid: {error.message}"
        hint = "Mend its header, or pass (array, affine)."
        raise ReadError(msg, path=path, hint=hint) from error
    doubts += _quarrel(header, shape) + _size_quarrel(header)
    if int(header["xyzt_units"]) & 7 == 0:
        doubts += ("its unit of length is not set: millimetres are assumed",)
    return grid, step, doubts + step


def _affine(header: Any, path: Path | None) -> tuple[FloatArray, tuple[str, ...]]:
    """Return the affine that counts, in the header's unit, and doubts about it.

    Raises:
        ReadError: If the quaternion that counts is none.
    """
    if int(header["sform_code"]) > 0:
        return np.asarray(header.get_sform(), np.float64), ()
    if int(header["qform_code"]) > 0:
        try:
            return np.asarray(header.get_qform(), np.float64), ()
        except (HeaderDataError, ValueError) as error:
            msg = f"its qform makes no grid: {error}."
            hint = "Mend its header, or pass (array, affine)."
            raise ReadError(msg, path=path, hint=hint) from error
    doubt = (
        "neither sform nor qform is set: its place in the patient, and which side is "
        "left, are unknown"
    )
    plain = header.copy()
    plain["pixdim"][1:4] = np.abs(plain["pixdim"][1:4])  # nibabel does so too
    return np.asarray(plain.get_base_affine(), np.float64), (doubt,)


def _in_millimetres(
    affine: FloatArray, header: Any
) -> tuple[FloatArray, tuple[str, ...]]:
    """Turn an affine in the header's unit of length to millimetres."""
    name, factor = _UNITS_MM.get(int(header["xyzt_units"]) & 7, ("", 1.0))
    if not name:
        return affine, ()
    turned = affine.copy()
    turned[:3] *= factor
    return turned, (f"its lengths are {name}: multiplied by {factor:g} to millimetres",)


def _quarrel(header: Any, shape: tuple[int, int, int]) -> tuple[str, ...]:
    """Say by how much sform and qform disagree, if both are set."""
    codes = int(header["sform_code"]), int(header["qform_code"])
    if min(codes) <= 0:
        return ()
    sform, qform = (_SPACES.get(code, f"code {code}") for code in codes)
    try:
        other = np.asarray(header.get_qform(), np.float64)
    except (HeaderDataError, ValueError):
        return ("its qform is broken; its sform is used",)
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1)
    apart = (header.get_sform() - other) @ np.vstack([corners, np.ones(8)])
    most = float(np.linalg.norm(apart[:3], axis=0).max())
    most *= _UNITS_MM.get(int(header["xyzt_units"]) & 7, ("", 1.0))[1]
    if most <= _APART_MM:
        return ()
    msg = (
        f"sform ({sform}) and qform ({qform}) put a corner {most:.4g} mm apart; "
        "the sform is used"
    )
    return (msg,)


def _size_quarrel(header: Any) -> tuple[str, ...]:
    """Say where the sform's voxel sizes are not those of pixdim."""
    if int(header["sform_code"]) <= 0:
        return ()
    count = min(max(int(header["dim"][0]), 1), 3)
    said = np.abs(np.asarray(header["pixdim"][1 : 1 + count], np.float64))
    used = np.linalg.norm(header.get_sform()[:3, :count], axis=0)
    if np.allclose(said, used, rtol=1e-3):
        return ()
    sizes, others = (" x ".join(f"{n:.4g}" for n in each) for each in (used, said))
    return (f"the sform's voxels are {sizes}, pixdim says {others}; the sform is used",)
