"""MetaImage: .mha, and .mhd with its voxels in a file beside it.

References:
    [1] MetaIO, MetaImage/Documentation: fields, types and their sizes in a file.
    [2] ITK, itkMetaImageIO: row n of TransformMatrix is the direction of axis n in LPS.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medcnn.errors import DecodeError
from medcnn.geometry import LPS_TO_RAS, Geometry
from medcnn.io.raw_voxels import RawReader, Voxels, beside, grid_of, plane_grid
from medcnn.io.regular import open_regular
from medcnn.io.source import check_samples

__all__ = ["READER", "voxels_of"]

_MAX_HEADER_BYTES = 2**16
_TYPES = {
    "CHAR": "i1",
    "UCHAR": "u1",
    "SHORT": "i2",
    "USHORT": "u2",
    "INT": "i4",
    "UINT": "u4",
    "LONG": "i4",
    "ULONG": "u4",
    "LONG_LONG": "i8",
    "ULONG_LONG": "u8",
    "FLOAT": "f4",
    "DOUBLE": "f8",
}
_UNITS_MM = {"um": 0.001, "mm": 1.0, "cm": 10.0}
_MODALITIES = {"CT", "MR", "NM", "US"}
_MATRIX = ("TransformMatrix", "Rotation", "Orientation")
_PLACE = ("Offset", "Position", "Origin")
_HINT = "Save it again with the program that made it."

_Fields = Mapping[str, str]


def voxels_of(path: Path) -> Voxels:
    """Return the voxels that the header of a MetaImage declares, once it is checked.

    Raises:
        DecodeError: If it is broken, or says something that is not read.
    """
    fields, header_size = _fields(path)
    try:
        voxels = _checked(fields, header_size, path)
    except (LookupError, OverflowError, ValueError) as error:
        msg = f"its MetaImage header is broken: {type(error).__name__}: {error}."
        raise DecodeError(msg, path=path, hint=_HINT) from error
    voxels.check()
    return voxels


def _fields(path: Path) -> tuple[_Fields, int]:
    """Return the fields of the header, and how many bytes it has.

    Raises:
        DecodeError: If it does not end where the voxels' file is named.
    """
    with open_regular(path) as file:
        head = file.read(_MAX_HEADER_BYTES)
    found = re.search(
        rb"^[ \t]*ElementDataFile[ \t]*=[^\n]*(\n|\Z)", head, re.MULTILINE
    )
    if found is None:
        msg = "its MetaImage header does not say where the voxels are."
        raise DecodeError(msg, path=path, hint=_HINT)
    lines = head[: found.end()].decode("latin-1").splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line)
    fields = {name.strip(): value.strip() for name, _, value in pairs}
    return fields, found.end()


def _checked(fields: _Fields, header_size: int, path: Path) -> Voxels:
    """Put together what the header says."""
    _refuse(fields, path)
    count = int(fields["NDims"])
    sizes = tuple(int(n) for n in _numbers(fields, "DimSize", count))
    channels = int(fields.get("ElementNumberOfChannels", "1"))
    check_samples(path, channels, *sizes)
    axes = ("c" if channels > 1 else "") + "ijkp"[:count]
    file, start = _place_of_voxels(fields, header_size, path)
    spacing = _spacing(fields, count)
    shape = (*sizes, 1)[:3]
    if count == 2:
        known = spacing if "ElementSpacing" in fields else None
        grid, doubts = plane_grid(path, (shape[0], shape[1], 1), known)
    else:
        grid, doubts = _grid(fields, (shape[0], shape[1], shape[2]), spacing, path)
    modality = fields.get("Modality", "").removeprefix("MET_MOD_")
    return Voxels(
        path=path,
        kind="metaimage",
        file=file,
        start=start,
        is_packed=_is_true(fields.get("CompressedData", "")),
        stored=_number_type(fields),
        sizes=((channels,) if channels > 1 else ()) + sizes,
        axes=axes,
        geometry=grid,
        modality=modality if modality in _MODALITIES else None,
        warnings=doubts,
    )


def _refuse(fields: _Fields, path: Path) -> None:
    """Refuse what is sound but not read.

    Raises:
        DecodeError: If it is.
    """
    kind = fields.get("ObjectType", "Image")
    name = fields["ElementDataFile"]
    scale = fields.get("ElementToIntensityFunctionSlope", "1")
    offset = fields.get("ElementToIntensityFunctionOffset", "0")
    count = int(fields["NDims"])
    units = fields.get("DistanceUnits", "mm")
    reasons = (
        (kind != "Image", f"holds a {kind}, not an image"),
        (not 2 <= count <= 4, f"has {count} axes; 2 to 4 are read"),
        (not _is_true(fields.get("BinaryData", "True")), "is written as text"),
        (name.startswith("LIST") or "%" in name, "is spread over many files"),
        ((float(scale), float(offset)) != (1, 0), "has an intensity function"),
        (units not in _UNITS_MM, f"has lengths in {units}; mm, um and cm are read"),
    )
    for is_so, words in reasons:
        if is_so:
            msg = f"its MetaImage {words}."
            hint = "Save it as one .mha file with the program that made it."
            raise DecodeError(msg, path=path, hint=hint)


def _number_type(fields: _Fields) -> np.dtype[Any]:
    """Return the type of a stored number.

    Raises:
        ValueError: If it is none that is read.
    """
    name = fields["ElementType"].removeprefix("MET_").removesuffix("_ARRAY")
    if name not in _TYPES:
        msg = f"ElementType {name} is none of {', '.join(_TYPES)}"
        raise ValueError(msg)
    big = fields.get("ElementByteOrderMSB", fields.get("BinaryDataByteOrderMSB", ""))
    return np.dtype((">" if _is_true(big) else "<") + _TYPES[name])


def _place_of_voxels(fields: _Fields, header_size: int, path: Path) -> tuple[Path, int]:
    """Return the file with the voxels, and where in it they begin."""
    name = fields["ElementDataFile"]
    is_local = name.upper() == "LOCAL"
    skip = int(fields.get("HeaderSize", "0"))
    file = path if is_local else beside(path, name)
    if skip < 0:
        return file, -1
    return file, header_size if is_local else skip


def _spacing(fields: _Fields, count: int) -> tuple[float, ...]:
    """Return the distance of voxel centres along each axis in mm."""
    name = "ElementSpacing" if "ElementSpacing" in fields else "ElementSize"
    factor = _UNITS_MM[fields.get("DistanceUnits", "mm")]
    return tuple(n * factor for n in _numbers(fields, name, count, default=1.0))


def _grid(
    fields: _Fields, shape: tuple[int, int, int], spacing: tuple[float, ...], path: Path
) -> tuple[Geometry, tuple[str, ...]]:
    """Return the grid of a volume, and what is doubtful about it."""
    count = len(spacing)
    doubts: tuple[str, ...] = ()
    if not any(name in fields for name in _MATRIX):
        doubts = ("no direction of its axes is given: left, posterior, superior taken",)
    matrix = np.eye(count)
    for name in _MATRIX:
        if name in fields:
            matrix = np.array(_numbers(fields, name, count * count)).reshape(count, -1)
            break
    factor = _UNITS_MM[fields.get("DistanceUnits", "mm")]
    place = next((name for name in _PLACE if name in fields), _PLACE[0])
    lps = np.eye(4)
    lps[:3, :3] = matrix[:3, :3].T * np.array(spacing[:3])
    lps[:3, 3] = np.array(_numbers(fields, place, count, default=0.0))[:3] * factor
    return grid_of(path, shape, LPS_TO_RAS @ lps), doubts


def _numbers(
    fields: _Fields, name: str, count: int, *, default: float | None = None
) -> tuple[float, ...]:
    """Return the numbers of a field.

    Raises:
        ValueError: If they are not so many finite numbers.
    """
    if name not in fields and default is not None:
        return (default,) * count
    found = tuple(float(word) for word in fields[name].split())
    if len(found) != count or not all(math.isfinite(n) for n in found):
        msg = f"{name} is {fields[name][:80]!r}; {count} numbers are needed"
        raise ValueError(msg)
    return found


def _is_true(text: str) -> bool:
    """Say whether a field is set."""
    return text[:1].upper() in {"T", "1", "Y"}


READER = RawReader(voxels_of)
