"""The header of a NIfTI file, checked before any voxel is looked at."""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from medcnn.errors import DecodeError, ReadError
from medcnn.geometry import Geometry
from medcnn.io.nifti.form import grid_of
from medcnn.io.packed import Content
from medcnn.io.source import check_samples, nifti_pair

__all__ = ["NiftiFile", "Part", "opened", "scale_words", "shape_parts"]

_HEADERS = {
    b"n+1\0": (nib.Nifti1Header, 348),
    b"ni1\0": (nib.Nifti1Header, 348),
    b"n+2\0": (nib.Nifti2Header, 540),
    b"ni2\0": (nib.Nifti2Header, 540),
}
_VECTORS = {1007, 2003}
_NO_IMAGES = {
    1004: "matrices",
    1005: "symmetric matrices",
    1006: "displacements",
    1008: "a list of points",
    1009: "triangles",
    1010: "quaternions",
}
_COLOURS = {128: 3, 2304: 4}
_REAL = {2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280}
_SECONDS = {8: "s", 16: "ms", 24: "us", 32: "Hz", 40: "ppm", 48: "rad/s"}
_MOST_PARTS = 100_000
_HINT = "Mend its header, or save it again with the program that made it."


@dataclass(frozen=True)
class Part:
    """One volume of a file.

    Attributes:
        number: Counted from 1.
        title: What tells it from the others.
        blocks: Which blocks of I x J x K voxels are its channels.
    """

    number: int
    title: str
    blocks: tuple[int, ...]


@dataclass(frozen=True)
class NiftiFile:
    """A file whose header makes sense.

    Attributes:
        path: The file.
        content: Where its voxels are.
        stored: Data type of a stored number, in its byte order.
        colours: Numbers in one voxel: 1, 3 for RGB, 4 for RGBA.
        offset: The byte where voxels begin.
        slope, intercept: value = slope * stored + intercept.
        grid: Where the voxels lie.
        parts: Its volumes.
        steps: What is done to it, in words.
        warnings: What is doubtful about its header.
    """

    path: Path
    content: Content
    stored: np.dtype[Any]
    colours: int
    offset: int
    slope: float
    intercept: float
    grid: Geometry
    parts: tuple[Part, ...]
    steps: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def channels(self) -> int:
        """Number of channels of the image of one part; alpha is not kept."""
        return min(self.colours, 3) * len(self.parts[0].blocks)

    def block(self, index: int) -> npt.NDArray[Any]:
        """Read one block of stored numbers, shape (colours, I, J, K).

        Raises:
            DecodeError: If it is cut off or its gzip stream is broken.
        """
        i, j, k = self.grid.shape
        size = i * j * k * self.colours * self.stored.itemsize
        raw = self.content.read(self.offset + index * size, size)
        values = np.frombuffer(raw, self.stored)
        return values.reshape((self.colours, i, j, k), order="F")


@contextmanager
def opened(path: Path) -> Iterator[NiftiFile]:
    """Open a file, or a .hdr/.img pair by either name, and check its header.

    Raises:
        DecodeError: If it is broken or cut off, or half of a pair is missing.
        ReadError: If it holds no real numbers on a grid.
    """
    header_path, voxel_path = nifti_pair(path)
    with ExitStack() as files:
        try:
            content = files.enter_context(Content(header_path))
            head = content.head(540)
            is_pair = head[344:348] == b"ni1\0" or head[4:8] == b"ni2\0"
            if is_pair:
                content = files.enter_context(Content(voxel_path))
        except OSError as error:
            msg = f"its NIfTI header or voxels cannot be read ({type(error).__name__})."
            hint = "A .hdr and an .img file belong together."
            raise DecodeError(msg, path=path, hint=hint) from error
        is_alone = not is_pair or voxel_path == header_path
        yield _checked(_header(head, path), content, path, is_alone=is_alone)


def _header(head: bytes, path: Path) -> Any:
    """Parse a header by the class its magic asks for.

    Raises:
        DecodeError: If it is none.
    """
    magic = head[344:348] if head[344:348] in _HEADERS else head[4:8]
    try:
        kind, size = _HEADERS[magic]
        make: Any = kind
        return make(head[:size], check=False)
    except (HeaderDataError, KeyError, ValueError, WrapStructError) as error:
        msg = f"its NIfTI header cannot be read ({type(error).__name__})."
        raise DecodeError(msg, path=path, hint=_HINT) from error


def _checked(header: Any, content: Content, path: Path, *, is_alone: bool) -> NiftiFile:
    """Put together what a header says, after looking whether it can be true."""
    sizes = _sizes(header, path)
    stored, colours = _number_type(header, path)
    i, j, k = (*sizes, 1, 1)[:3]
    parts = shape_parts(header, sizes, path)
    check_samples(path, i, j, k, colours * len(parts[0].blocks))
    offset = _offset(header, path, is_alone=is_alone)
    count = math.prod(sizes) * colours * stored.itemsize
    content.expect(offset + count)
    slope, intercept = _scale(header, colours, path)
    grid, moved, doubts = grid_of(header, (i, j, k), path)
    steps = [f"stored values: {_type_words(stored, colours)}"]
    if int(header["bitpix"]) != stored.itemsize * colours * 8:
        doubts += (f"bitpix {int(header['bitpix'])} contradicts its data type",)
    if colours == 4:
        steps.append("alpha channel dropped")
    return NiftiFile(
        path=path,
        content=content,
        stored=stored,
        colours=colours,
        offset=offset,
        slope=slope,
        intercept=intercept,
        grid=grid,
        parts=parts,
        steps=(*steps, *scale_words(slope, intercept), *moved),
        warnings=doubts,
    )


def _sizes(header: Any, path: Path) -> tuple[int, ...]:
    """Return the length of each axis.

    Raises:
        DecodeError: If the number of axes is none, or a length is below 1.
    """
    count = int(header["dim"][0])
    if not 1 <= count <= 7:
        msg = f"its header declares {count} axes; 1 to 7 are possible."
        raise DecodeError(msg, path=path, hint=_HINT)
    sizes = tuple(int(size) for size in header["dim"][1 : 1 + count])
    if min(sizes) < 1:
        msg = f"the header declares an image of {sizes}, which holds nothing."
        raise DecodeError(msg, path=path, hint=_HINT)
    if len(sizes) == 1:
        msg = f"it holds a list of {sizes[0]} numbers, not a picture or volume."
        raise DecodeError(msg, path=path)
    return sizes


def _number_type(header: Any, path: Path) -> tuple[np.dtype[Any], int]:
    """Return the type of a stored number, and how many make a voxel.

    Raises:
        DecodeError: If voxels are no real numbers.
    """
    code = int(header["datatype"])
    if code in _COLOURS:
        return np.dtype(np.uint8), _COLOURS[code]
    try:
        stored = header.get_data_dtype()
    except (HeaderDataError, KeyError) as error:
        msg = f"its header names data type {code}, which does not exist."
        raise DecodeError(msg, path=path, hint=_HINT) from error
    if code not in _REAL:
        msg = f"its voxels are {stored}, not real numbers that are read."
        hint = "Save magnitudes or float32 with the program that made it."
        raise DecodeError(msg, path=path, hint=hint)
    return stored, 1


def _offset(header: Any, path: Path, *, is_alone: bool) -> int:
    """Return the byte where voxels begin.

    Raises:
        DecodeError: If that is inside the header, or nowhere.
    """
    offset = float(header["vox_offset"])
    least = int(header["sizeof_hdr"]) if is_alone else 0
    if not math.isfinite(offset) or not least <= offset < 2**40:
        msg = f"its voxels begin at byte {offset:g}; from {least} is possible."
        raise DecodeError(msg, path=path, hint=_HINT)
    return int(offset)


def _scale(header: Any, colours: int, path: Path) -> tuple[float, float]:
    """Return slope and intercept; (1, 0) where there is no scaling.

    Raises:
        DecodeError: If there is a slope but no intercept that is a number.

    References:
        [1] nifti1.h: a slope of 0 means no scaling, and none applies to RGB.
    """
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if colours > 1 or slope == 0 or not math.isfinite(slope):
        return 1.0, 0.0
    if not math.isfinite(intercept):
        msg = f"its scaling is {slope:g} * stored + {intercept}."
        raise DecodeError(msg, path=path, hint=_HINT)
    return slope, intercept


def scale_words(slope: float, intercept: float) -> tuple[str, ...]:
    """Return the scaling in words; nothing where there is none."""
    if (slope, intercept) == (1.0, 0.0):
        return ()
    return (f"rescale: value = {slope:g} * stored + {intercept:g}",)


def shape_parts(
    header: Any, sizes: tuple[int, ...], path: Path | None
) -> tuple[Part, ...]:
    """Return the volumes of a file: one for each index of the axes after the third.

    With intent "vector" or "RGB vector" the fifth axis holds the channels of one image.

    Raises:
        DecodeError: If there are far too many.
        ReadError: If it says that it holds no image.
    """
    intent = 0 if header is None else int(header["intent_code"])
    if intent in _NO_IMAGES:
        msg = f"its header says that it holds {_NO_IMAGES[intent]}, not an image."
        raise ReadError(msg, path=path, hint="Name the image that belongs to it.")
    extra = (*sizes[3:], 1, 1, 1, 1)[:4]
    vector = extra[1] if intent in _VECTORS else 1
    count = math.prod(extra) // vector
    if count > _MOST_PARTS:
        msg = f"it declares {count} volumes; at most {_MOST_PARTS} are read."
        raise DecodeError(msg, path=path, hint=_HINT)
    per_vector = extra[0] * vector
    parts = []
    for number in range(count):
        outer, inner = divmod(number, extra[0])
        blocks = tuple(inner + n * extra[0] + outer * per_vector for n in range(vector))
        title = f"volume {number + 1} of {count}" if count > 1 else ""
        if count > 1 and count == extra[0]:
            title += _time_words(header, number)
        parts.append(Part(number + 1, title, blocks))
    return tuple(parts)


def _time_words(header: Any, number: int) -> str:
    """Say when a volume was taken, where the header says so."""
    unit = _SECONDS.get(int(header["xyzt_units"]) & 0x38) if header is not None else ""
    if not unit:
        return ""
    step = float(header["pixdim"][4])
    first = float(header["toffset"])
    if not math.isfinite(step + first) or step <= 0:
        return ""
    return f", at {first + number * step:g} {unit}"


def _type_words(stored: np.dtype[Any], colours: int) -> str:
    """Name the type of a voxel."""
    return {1: stored.name, 3: "RGB of uint8", 4: "RGBA of uint8"}[colours]
