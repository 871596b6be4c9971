"""NRRD: .nrrd, and .nhdr with its voxels in a file beside it.

References:
    [1] teem, "Definition of NRRD File Format", versions 1 to 5.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.errors import DecodeError
from medcnn.geometry import LPS_TO_RAS, Geometry
from medcnn.io.raw_voxels import RawReader, Voxels, beside, grid_of, plane_grid
from medcnn.io.regular import open_regular
from medcnn.io.source import check_samples

__all__ = ["READER", "voxels_of"]

_MAX_HEADER_BYTES = 2**16
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16",
           "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long",
           "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64",
           "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}  # fmt: skip
_CODES = {name: code for code, names in _TYPES.items() for name in names}
_TO_RAS = {
    "left-posterior-superior": LPS_TO_RAS,
    "lps": LPS_TO_RAS,
    "right-anterior-superior": np.eye(4),
    "ras": np.eye(4),
    "left-anterior-superior": np.diag([-1.0, 1.0, 1.0, 1.0]),
    "las": np.diag([-1.0, 1.0, 1.0, 1.0]),
}
_TIMED = {f"{name}-time": name for name in _TO_RAS} | {f"{n}t": n for n in _TO_RAS}
_UNITS_MM = {"mm": 1.0, "um": 0.001, "\xb5m": 0.001, "cm": 10.0, "m": 1000.0}
_CHANNELS = {"vector", "covariant-vector", "rgb-color", "3-color", "rgba-color",
             "4-color", "2-vector", "3-vector", "4-vector", "3-gradient",
             "complex"}  # fmt: skip
_PARTS = {"list", "time", "point"}
_SPACE = {"domain", "space", "???"}
_HINT = "Save it again with the program that made it."

_Fields = Mapping[str, str]


@dataclass(frozen=True)
class _Header:
    """A parsed header: its fields, and how many bytes it has."""

    fields: _Fields
    size: int

    def words(self, name: str, count: int) -> list[str]:
        """Return the words of a field, one for each axis; none if it is not there.

        Raises:
            ValueError: If there are more or fewer.
        """
        if name not in self.fields:
            return []
        found = re.findall(r'\([^)]*\)|"[^"]*"|\S+', self.fields[name])
        if len(found) != count:
            msg = f"{name} has {len(found)} entries; {count} are needed"
            raise ValueError(msg)
        return [word.strip('"') for word in found]


def voxels_of(path: Path) -> Voxels:
    """Return the voxels that the header of an NRRD file declares, once it is checked.

    Raises:
        DecodeError: If it is broken, or says something that is not read.
    """
    header = _parsed(path)
    try:
        voxels = _checked(header, path)
    except (LookupError, OverflowError, ValueError) as error:
        msg = f"its NRRD header is broken: {type(error).__name__}: {error}."
        raise DecodeError(msg, path=path, hint=_HINT) from error
    voxels.check()
    return voxels


def _parsed(path: Path) -> _Header:
    """Read the lines of the header up to the empty one.

    Raises:
        DecodeError: If it has no end.
    """
    with open_regular(path) as file:
        head = file.read(_MAX_HEADER_BYTES)
        is_all = not file.read(1)
    end = re.search(rb"\r?\n\r?\n", head)
    if end is None and not (
        is_all and b"data file:" in head.replace(b"datafile:", b"data file:")
    ):
        msg = "its NRRD header has no end."
        raise DecodeError(msg, path=path, hint=_HINT)
    size = end.end() if end else len(head)
    fields: dict[str, str] = {}
    for line in head[:size].decode("latin-1").splitlines()[1:]:
        name, separator, value = line.partition(": ")
        if separator and not line.startswith("#") and ":=" not in line:
            fields[name.strip().lower()] = value.strip()
    return _Header(fields, size)


def _checked(header: _Header, path: Path) -> Voxels:
    """Put together what the header says.

    Raises:
        ValueError: If it does not say its sizes.
    """
    fields = header.fields
    _refuse(fields, path)
    count = int(fields["dimension"])
    sizes = tuple(int(n) for n in header.words("sizes", count))
    if not sizes:
        msg = "it does not say its sizes"
        raise ValueError(msg)
    check_samples(path, *sizes)
    axes = _axes(header, count, path)
    file, start = _place_of_voxels(header, path)
    grid, doubts = _geometry(header, sizes, axes, path)
    return Voxels(
        path=path,
        kind="nrrd",
        file=file,
        start=start,
        is_packed=fields["encoding"].lower() != "raw",
        stored=_number_type(fields),
        sizes=sizes,
        axes=axes,
        geometry=grid,
        warnings=doubts,
    )


def _refuse(fields: _Fields, path: Path) -> None:
    """Refuse what is sound but not read.

    Raises:
        DecodeError: If it is.
    """
    name = _data_file(fields)
    encoding = fields["encoding"].lower()
    skip = int(fields.get("line skip", fields.get("lineskip", "0")))
    bytes_skipped = int(fields.get("byte skip", fields.get("byteskip", "0")))
    is_packed = encoding in {"gzip", "gz"}
    reasons = (
        (encoding != "raw" and not is_packed, f"is written as {encoding[:20]}"),
        (not 2 <= int(fields["dimension"]) <= 5, "has not 2 to 5 axes"),
        (fields["type"] == "block", "holds blocks, not numbers"),
        (name.startswith("LIST") or "%" in name, "is spread over many files"),
        (skip != 0, f"skips {skip} lines before its voxels"),
        (is_packed and bytes_skipped != 0, "skips bytes of packed voxels"),
    )
    for is_so, words in reasons:
        if is_so:
            msg = f"its NRRD {words}; raw and gzip in one file are read."
            raise DecodeError(msg, path=path, hint=_HINT)


def _data_file(fields: _Fields) -> str:
    """Return the name of the file with the voxels; empty if they follow the header."""
    return fields.get("data file", fields.get("datafile", ""))


def _number_type(fields: _Fields) -> np.dtype[Any]:
    """Return the type of a stored number.

    Raises:
        ValueError: If it is none that is read, or its byte order is not said.
    """
    code = _CODES.get(fields["type"].lower(), "")
    endian = fields.get("endian", "little" if code[1:] == "1" else "").lower()
    if not code or endian not in {"little", "big"}:
        msg = f"type {fields['type'][:40]!r} with byte order {endian[:10]!r}"
        raise ValueError(msg)
    return np.dtype(("<" if endian == "little" else ">") + code)


def _axes(header: _Header, count: int, path: Path) -> str:
    """Name each axis: three in space, of the others one for channels, one for parts.

    Raises:
        DecodeError: If an axis has no meaning that is read.
    """
    kinds = [kind.lower() for kind in header.words("kinds", count)] or ["???"] * count
    vectors = header.words("space directions", count)
    free = list("ijk" if vectors else "ijkp")
    named = ""
    for n, kind in enumerate(kinds):
        is_space = vectors[n] != "none" if vectors else kind in _SPACE
        letters = {**dict.fromkeys(_CHANNELS, "c"), **dict.fromkeys(_PARTS, "p")}
        named += free.pop(0) if is_space and free else letters.get(kind, "?")
    if "?" in named or len({*named}) < count or "ij" not in named.replace("c", ""):
        told = ", ".join(kinds)
        msg = (
            f"its NRRD axes are of the kinds {told[:80]}; space, vector, list are read."
        )
        raise DecodeError(msg, path=path, hint=_HINT)
    return named


def _place_of_voxels(header: _Header, path: Path) -> tuple[Path, int]:
    """Return the file with the voxels, and where in it they begin."""
    name = _data_file(header.fields)
    skip = int(header.fields.get("byte skip", header.fields.get("byteskip", "0")))
    file = beside(path, name) if name else path
    if skip < 0:
        return file, -1
    return file, skip + (0 if name else header.size)


def _geometry(
    header: _Header, sizes: tuple[int, ...], axes: str, path: Path
) -> tuple[Geometry | None, tuple[str, ...]]:
    """Return the grid, and what is doubtful about it."""
    i, j, k = (sizes[axes.index(a)] if a in axes else 1 for a in "ijk")
    vectors = header.words("space directions", len(axes))
    if vectors and ("k" in axes or vectors[axes.index("i")].count(",") == 2):
        return _placed(header, vectors, axes, (i, j, k), path)
    spacing = _spacing(header, vectors, axes)
    if "k" not in axes:
        return plane_grid(path, (i, j, k), spacing)
    if spacing is None:
        return None, ("no spacing and no place in the patient are given",)
    affine = LPS_TO_RAS @ np.diag([*spacing, 1.0])
    doubt = "no place in the patient is given: left, posterior, superior taken"
    return grid_of(path, (i, j, k), affine), (doubt,)


def _placed(
    header: _Header,
    vectors: list[str],
    axes: str,
    shape: tuple[int, int, int],
    path: Path,
) -> tuple[Geometry, tuple[str, ...]]:
    """Return the grid of a volume or slice whose axes have directions in a space.

    Raises:
        DecodeError: If that space is not the patient's.
    """
    fields = header.fields
    name = fields.get("space", "").lower()
    space = _TIMED.get(name, name)
    if space not in _TO_RAS:
        msg = f"its space is {name[:40] or 'not named'}, which is not the patient's."
        hint = "Name it: space: left-posterior-superior."
        raise DecodeError(msg, path=path, hint=hint)
    factor, doubts = _factor(header)
    affine = np.eye(4)
    steps = [_vector(vectors[axes.index(a)]) for a in "ijk" if a in axes]
    if len(steps) == 2:
        across = np.cross(steps[0], steps[1])
        steps.append(across / (max(float(np.linalg.norm(across)), 1e-12) * factor))
        doubts = (*doubts, "one slice, whose thickness is not given; 1 mm was taken")
    affine[:3, :3] = np.transpose(steps)
    if "space origin" in fields:
        affine[:3, 3] = _vector(fields["space origin"])
    else:
        doubts = (*doubts, "its origin is not given: the place of its first voxel is 0")
    affine[:3] *= factor
    return grid_of(path, shape, _TO_RAS[space] @ affine), doubts


def _factor(header: _Header) -> tuple[float, tuple[str, ...]]:
    """Return what one unit of space is in mm, and what is doubtful about it.

    Raises:
        ValueError: If the units differ or are none of length.
    """
    text = header.fields.get("space units", "")
    units = {unit.strip('"') for unit in text.split()}
    if not units or units == {""}:
        return 1.0, ()
    if len(units) > 1 or not units <= _UNITS_MM.keys():
        msg = f"space units are {text[:40]}; mm, um, cm and m are read"
        raise ValueError(msg)
    unit = units.pop()
    factor = _UNITS_MM[unit]
    if factor == 1:
        return 1.0, ()
    return factor, (f"its lengths are {unit}: multiplied by {factor:g} to millimetres",)


def _spacing(
    header: _Header, vectors: list[str], axes: str
) -> tuple[float, ...] | None:
    """Return the distance of voxel centres along the axes in space, if it is said."""
    if vectors:
        factor, _ = _factor(header)
        steps = [
            _vector(v, size=None)
            for v, a in zip(vectors, axes, strict=True)
            if a in "ijk"
        ]
        return tuple(float(np.linalg.norm(step)) * factor for step in steps)
    words = header.words("spacings", len(axes))
    if not words:
        return None
    return tuple(float(w) for w, a in zip(words, axes, strict=True) if a in "ijk")


def _vector(text: str, size: int | None = 3) -> npt.NDArray[np.float64]:
    """Return the numbers of "(x,y,z)".

    Raises:
        ValueError: If they are not so many finite numbers.
    """
    found = [float(word) for word in text.strip("()").split(",")]
    if (size and len(found) != size) or not all(math.isfinite(n) for n in found):
        msg = f"{text[:60]!r} is no vector of {size} numbers"
        raise ValueError(msg)
    return np.array(found)


READER = RawReader(voxels_of)
