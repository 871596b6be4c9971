"""Arrays as they travel, .npz: written and read at once, or in steps."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from MedCNNLib.client.steps import PIECE

if TYPE_CHECKING:
    from MedCNNLib.client.records import Image
    from MedCNNLib.client.steps import Steps

__all__ = ["read", "reading", "write", "writing"]


def write(image: Image, file: Any) -> None:
    """Write an image as the worker takes it."""
    saved: Any = _members(image)
    np.savez(file, **saved)
    file.seek(0)


def writing(image: Image, file: Any) -> Steps:
    """As `write`, in steps; in the order in which memory holds the voxels."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in _members(image).items():
            steps = array.strides
            is_fortran = array.ndim > 1 and abs(steps[0]) < abs(steps[-1])
            head = {
                "descr": np.lib.format.dtype_to_descr(array.dtype),
                "fortran_order": is_fortran,
                "shape": array.shape,
            }
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, head)
                for piece, share in _pieces(array.T if is_fortran else array):
                    member.write(memoryview(piece.reshape(-1).view(np.uint8)))
                    yield share
    file.seek(0)


def read(raw: bytes) -> dict[str, Any]:
    """Return the arrays of an .npz by name, quicker than numpy.load does.

    Raises:
        ValueError: If one is cut off.
    """
    found: dict[str, Any] = {}
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            file = io.BytesIO(content)
            np.lib.format.read_magic(file)
            shape, is_fortran, kind = np.lib.format.read_array_header_1_0(file)
            flat = np.frombuffer(bytearray(content), kind, offset=file.tell())
            order: Any = "F" if is_fortran else "C"
            found[name[:-4]] = flat.reshape(shape, order=order)
    return found


def reading(file: Any) -> Steps:
    """As `read`, in steps; i runs fastest, as in viewers.

    Raises:
        ValueError: If one is cut off.
    """
    found: dict[str, Any] = {}
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                np.lib.format.read_magic(member)
                shape, is_fortran, kind = np.lib.format.read_array_header_1_0(member)
                array = np.empty(shape, kind, order="F")
                yield from _touching(array)
                yield from _filling(array.T if is_fortran else array, member)
            found[name[:-4]] = array
    return found


def _members(image: Image) -> dict[str, Any]:
    """Return the arrays of an image's .npz by name."""
    info = {
        "axes": image.axes,
        "name": image.name,
        "unit": image.unit,
        "modality": image.modality,
        "facts": image.facts,
        "warnings": list(image.warnings),
    }
    members = {
        "array": image.array,
        "info": np.frombuffer(json.dumps(info).encode(), "u1"),
    }
    if image.affine is not None:
        members["affine"] = image.affine
    return members


def _pieces(array: Any) -> Any:
    """Yield an array part by part along its first axis, and how much is done."""
    count = len(array)
    rows = max(1, PIECE * count // max(1, array.nbytes))
    for start in range(0, count, rows):
        yield np.ascontiguousarray(array[start : start + rows]), start / count


def _touching(array: Any) -> Steps:
    """Have the system find an array's memory, in steps: a first write waits for it."""
    flat = array.T.reshape(-1)
    for start in range(0, len(flat), PIECE):
        flat[start : start + PIECE] = 0
        yield 0.0


def _filling(array: Any, member: Any) -> Steps:
    """Fill an array from a file that holds it in C order.

    Raises:
        ValueError: If the file ends too early.
    """
    count = len(array)
    rows = max(1, PIECE // max(1, array.nbytes // max(1, count)))
    for start in range(0, count, rows):
        part = array[start : start + rows]
        raw = member.read(part.nbytes)
        if len(raw) != part.nbytes:
            message = "An array is cut off."
            raise ValueError(message)
        part[...] = np.frombuffer(raw, array.dtype).reshape(part.shape)
        yield start / count
