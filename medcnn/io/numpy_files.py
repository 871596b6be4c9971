"""NumPy's .npy and .npz; never a pickle.

An array does not say which of its axes is which. A .npy holds (I, J[, K]): i along a
picture's columns, j along its rows, as everywhere in medcnn. A .npz may say it: `axes`
is a text with one letter of "ijkcp" for each axis ("jic" for rows, columns, channels),
and `affine` a (4, 4) matrix from voxel centres to RAS+ mm.
"""

import math
import struct
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from medcnn.errors import DecodeError, GeometryError, ReadError
from medcnn.geometry import Geometry
from medcnn.image import Image
from medcnn.io.archive import Place, contents, pieces
from medcnn.io.axes import arrange, finite_words, plain
from medcnn.io.description import Description
from medcnn.io.options import ReadOptions
from medcnn.io.parts import chosen
from medcnn.io.regular import open_regular
from medcnn.io.source import check_samples, is_zip

__all__ = ["describe_all", "read", "read_all"]

Pixels = npt.NDArray[Any]

_MAX_HEADER_BYTES = 10_000
_SPECIAL = {"affine", "axes"}
_DATA_SETS = ({"train_images", "train_labels"}, {"x_train", "y_train"})
_HINT = "Save it again: numpy.savez(file, image=array, affine=affine, axes='ijk')."
_BROKEN = (
    AttributeError,
    EOFError,
    KeyError,
    OSError,
    OverflowError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
)


@dataclass(frozen=True)
class _Array:
    """One array of a file, not read yet.

    Attributes:
        path: The file.
        name: Its name in a .npz; "" in a .npy.
        shape, stored, is_fortran: What its header says.
        start: Where its numbers begin.
        axes: What its axes are.
        affine: (4, 4), or None.
        title: What tells it from the others.
        warnings: What is doubtful.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    stored: np.dtype[Any]
    is_fortran: bool
    start: int
    axes: str = ""
    affine: Pixels | None = None
    title: str = ""
    part: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of bytes of its numbers."""
        return math.prod(self.shape) * self.stored.itemsize

    def length(self, axis: str) -> int:
        """Return the length of an axis; 1 if there is none of that name."""
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1


def read(path: Path, options: ReadOptions) -> Image:
    """Read one array.

    Raises:
        ReadError: If it is broken or no image, or there are several and none is named
            (SeveralSeriesError).
    """
    return _image(chosen(_arrays(path), options.part, path))


def read_all(path: Path, options: ReadOptions) -> Iterator[Image]:
    """Read every array of a file.

    Raises:
        ReadError: If one is broken or no image.
    """
    del options
    for array in _arrays(path):
        yield _image(array)


def describe_all(path: Path, options: ReadOptions) -> tuple[Description, ...]:
    """Describe every array of a file from its header.

    Raises:
        ReadError: If one is broken or no image.
    """
    del options
    found = _arrays(path)
    return tuple(
        _description(array, number, len(found)) for number, array in enumerate(found, 1)
    )


def _arrays(path: Path) -> list[_Array]:
    """Return the images of a file: its arrays, and each part of them.

    Raises:
        DecodeError: If one cannot be an image.
    """
    if is_zip(path) is None:
        with open_regular(path) as file:
            one = _header(file, path, "")
        have = path.stat().st_size
        if one.start + one.size != have:
            msg = f"it has {have} bytes; its header declares {one.start + one.size}."
            raise DecodeError(msg, path=path, hint="Copy the file again.")
        named, affine, axes = [one], None, ""
    else:
        named, affine, axes = _members(path)
    return [part for one in named for part in _parts(one, axes, affine, len(named))]


def _members(path: Path) -> tuple[list[_Array], Pixels | None, str]:
    """Return the arrays of a .npz, its affine and what its axes are.

    Raises:
        DecodeError: If it holds no image, or a data set.
    """
    infos = contents(path)
    names = [name.removesuffix(".npy") for name in infos]
    if any(known <= {*names} for known in _DATA_SETS):
        msg = f"it is a data set ({', '.join(sorted(names)[:6])}), not an image."
        raise DecodeError(
            msg, path=path, hint=f"Name one image of it, such as {path.name}/train/0."
        )
    arrays = []
    for member, info in infos.items():
        if not member.endswith(".npy"):
            msg = f"its member {member[:80]} is no array."
            raise DecodeError(msg, path=path, hint=_HINT)
        head = next(pieces(Place(path, member)), b"")
        one = _header(BytesIO(head), path, member.removesuffix(".npy"))
        if one.start + one.size != info.file_size:
            msg = f"its member {member[:80]} has {info.file_size} bytes; "
            msg += f"its header declares {one.start + one.size}."
            raise DecodeError(msg, path=path, hint="Copy the file again.")
        arrays.append(one)
    special = {one.name: one for one in arrays if one.name in _SPECIAL}
    images = [one for one in arrays if one.name not in _SPECIAL]
    if not images:
        msg = f"it holds no image, only {', '.join(sorted(names)[:6]) or 'nothing'}."
        raise DecodeError(msg, path=path, hint=_HINT)
    return images, _affine(special.get("affine")), _axes_text(special.get("axes"))


def _affine(array: _Array | None) -> Pixels | None:
    """Return the affine of a .npz; None if it has none.

    Raises:
        DecodeError: If it is none.
    """
    if array is None:
        return None
    if array.shape != (4, 4) or array.stored.kind not in "fiu":
        msg = (
            f"its affine is {array.stored} of shape {array.shape}, not (4, 4) numbers."
        )
        raise DecodeError(msg, path=array.path, hint=_HINT)
    return _values(array).astype(np.float64)


def _axes_text(array: _Array | None) -> str:
    """Return the letters of the axes that a .npz names; "" if it names none.

    Raises:
        DecodeError: If they are no short text.
    """
    if array is None:
        return ""
    if (
        array.stored.kind not in "US"
        or array.shape not in {(), (1,)}
        or array.size > 64
    ):
        msg = f"its axes are {array.stored} of shape {array.shape}, not a short text."
        raise DecodeError(msg, path=array.path, hint=_HINT)
    value = _values(array).ravel()[0]
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _header(file: IO[bytes], path: Path, name: str) -> _Array:
    """Parse the header of a .npy.

    Raises:
        DecodeError: If it is broken.
    """
    try:
        version = npy.read_magic(file)
        parse = npy.read_array_header_1_0
        if version != (1, 0):
            parse = npy.read_array_header_2_0
        shape, is_fortran, stored = parse(file, max_header_size=_MAX_HEADER_BYTES)
    except _BROKEN as error:
        msg = f"its NumPy header is broken ({type(error).__name__})."
        raise DecodeError(msg, path=path, hint="Copy the file again.") from error
    if stored.hasobject:
        msg = "it holds pickled objects, which could run code; it was not opened."
        raise DecodeError(msg, path=path, hint=_HINT)
    if any(n < 0 for n in shape) or len(shape) > 5:
        msg = f"an array of shape {shape[:9]} is no image."
        raise DecodeError(msg, path=path, hint=_HINT)
    return _Array(path, name, shape, stored, is_fortran, file.tell())


def _parts(
    one: _Array, axes: str, affine: Pixels | None, count: int
) -> Iterator[_Array]:
    """Yield the images that an array holds.

    Raises:
        DecodeError: If its numbers or axes are those of no image.
    """
    if one.stored.kind not in "buif" or one.stored.itemsize > 8:
        msg = f"its array {one.name} is {one.stored}, not real numbers that are read."
        raise DecodeError(msg.replace("  ", " "), path=one.path, hint=_HINT)
    check_samples(one.path, *one.shape)
    named, doubts = (axes, ()) if axes else _assumed(one, affine)
    is_sound = len(named) == len(one.shape) == len({*named}) and {*named} <= {*"ijkcp"}
    if not is_sound or not {"i", "j"} <= {*named}:
        msg = f"an array of shape {one.shape} has not the axes {named!r}."
        raise DecodeError(msg, path=one.path, hint=_HINT)
    pages = one.shape[named.index("p")] if "p" in named else 1
    for n in range(pages):
        words = [one.name] if count > 1 else []
        words += [f"{n + 1} of {pages}"] if pages > 1 else []
        yield _Array(
            *(one.path, one.name, one.shape, one.stored, one.is_fortran, one.start),
            axes=named,
            affine=affine,
            title=" ".join(words),
            part=n,
            warnings=doubts,
        )


def _assumed(one: _Array, affine: Pixels | None) -> tuple[str, tuple[str, ...]]:
    """Return the axes of an array that does not say them, and the doubt.

    Raises:
        DecodeError: If it may as well be a colour picture.
    """
    if len(one.shape) not in {2, 3}:
        msg = (
            f"nothing says which axis of {one.shape} is which; (I, J[, K]) is assumed "
        )
        msg += "of 2 and 3 axes only."
        raise DecodeError(msg, path=one.path, hint=_HINT)
    if affine is not None:
        return "ijk"[: len(one.shape)], ()
    if len(one.shape) == 3 and {one.shape[0], one.shape[2]} & {3, 4}:
        msg = f"an array of shape {one.shape} may be slices or colours; nothing says."
        hint = (
            "Save a .npz with axes='ijk' for slices, 'jic' for rows, columns, colours."
        )
        raise DecodeError(msg, path=one.path, hint=hint)
    doubt = "nothing says which axis is which: i (columns), j (rows), k are assumed"
    return "ijk"[: len(one.shape)], (doubt,)


def _values(array: _Array) -> Pixels:
    """Return an array as it is stored.

    Raises:
        DecodeError: If it is cut off.
    """
    if is_zip(array.path) is None:
        with open_regular(array.path) as file:
            file.seek(array.start)
            raw = file.read(array.size)
    else:
        place = Place(array.path, array.name + ".npy")
        raw = b"".join(pieces(place))[array.start :]
    if len(raw) != array.size:
        msg = f"its array is cut off: {len(raw)} of {array.size} bytes are there."
        raise DecodeError(msg, path=array.path, hint="Copy the file again.")
    order: Any = "F" if array.is_fortran else "C"
    return np.frombuffer(raw, array.stored).reshape(array.shape, order=order)


def _image(array: _Array) -> Image:
    """Read one image."""
    values = plain(arrange(_values(array), array.axes)[array.part])
    return Image(
        values,
        geometry=_grid(array),
        provenance=(
            *((array.title,) if array.title else ()),
            f"stored values: {array.stored.name}, axes {array.axes}",
        ),
        warnings=(*array.warnings, *finite_words(values)),
        source=array.path,
    )


def _grid(array: _Array) -> Geometry | None:
    """Return the grid of an affine; None without one.

    Raises:
        ReadError: If it makes none.
    """
    if array.affine is None:
        return None
    shape = array.length("i"), array.length("j"), array.length("k")
    try:
        return Geometry(shape, array.affine)
    except GeometryError as error:
        msg = f"its affine makes no grid: {error.message}"
        raise ReadError(msg, path=array.path, hint=_HINT) from error


def _description(array: _Array, number: int, count: int) -> Description:
    """Describe one image."""
    grid = _grid(array)
    return Description(
        source=array.path,
        kind="numpy",
        shape=(array.length("i"), array.length("j"), array.length("k")),
        channels=array.length("c"),
        spacing_mm=grid.spacing_mm if grid else None,
        orientation=grid.axis_codes if grid else None,
        frame=grid.frame.value if grid else None,
        steps=(f"stored values: {array.stored.name}, axes {array.axes}",),
        warnings=array.warnings,
        part=number,
        parts=count,
        title=array.title,
    )
