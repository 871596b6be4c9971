"""Data sets in one .npz, laid out as MedMNIST's: `chest.npz/train/12` is one image.

The arrays are `train_images`, `val_images`, `test_images`, each (N, rows, columns),
(N, rows, columns, 3) or (N, slices, rows, columns), and `train_labels`, ... of (N,) or
(N, labels). An array is unpacked once into a temporary file that the system removes
with the process, so that reading an image costs no more than its own bytes.

References:
    [1] Yang et al., MedMNIST v2, Scientific Data 10 (2023) 41.
"""

import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from medcnn.errors import DecodeError, ReadError
from medcnn.image import Image
from medcnn.io.archive import Place, contents, pieces
from medcnn.io.description import Description
from medcnn.io.kinds import Kind
from medcnn.io.options import ReadOptions
from medcnn.io.source import check_samples, is_zip, require, shown

__all__ = [
    "PARTS",
    "Item",
    "describe_item",
    "has_slices",
    "images_of",
    "is_data_set",
    "item_of",
    "items_in",
    "labels_of",
    "parts_of",
    "read_item",
]

PARTS = ("train", "val", "test")
"""What the arrays of a data set are named after."""

Values = npt.NDArray[Any]
_BROKEN = (ValueError, OSError, EOFError, SyntaxError, TypeError, KeyError)
_MAX_HEADER_BYTES = 10_000


@dataclass(frozen=True)
class Item:
    """One image of a data set.

    Attributes:
        file: The .npz.
        part: "train", "val" or "test".
        number: Which image of that part, from 0.
    """

    file: Path
    part: str
    number: int

    @property
    def path(self) -> Path:
        """The path that names it."""
        return self.file / self.part / str(self.number)


def is_data_set(path: Path) -> bool:
    """Say whether a path is a .npz with images and labels of a training part."""
    try:
        if not path.is_file() or is_zip(path) is not Kind.NUMPY:
            return False
        return {"train_images.npy", "train_labels.npy"} <= {*contents(path)}
    except (OSError, ValueError, ReadError):
        return False


def item_of(path: Path) -> Item | None:
    """Return the image of a data set that a path names; None for any other path."""
    part = path.parent.name
    if not (path.name.isascii() and path.name.isdigit()) or part not in PARTS:
        return None
    file = path.parent.parent
    return Item(file, part, int(path.name)) if is_data_set(file) else None


def items_in(path: Path) -> tuple[Item, ...]:
    """Return the images that a data set, or one part of it, holds; () for others."""
    file = path.parent if path.name in PARTS else path
    if not is_data_set(file):
        return ()
    wanted = parts_of(file) if file == path else (path.name,)
    return tuple(
        Item(file, part, number)
        for part in wanted
        for number in range(len(images_of(file, part)))
    )


def parts_of(file: Path) -> tuple[str, ...]:
    """Return which of train, val and test a data set has."""
    names = {*contents(file)}
    return tuple(p for p in PARTS if {f"{p}_images.npy", f"{p}_labels.npy"} <= names)


def images_of(file: Path, part: str) -> Values:
    """Return all images of a part, read-only; (N, ...).

    Raises:
        DecodeError: If the part is broken or holds no images.
    """
    images = _array(file, f"{part}_images")
    if images.ndim not in {3, 4, 5} or images.dtype.kind not in "buif":
        msg = f"its {part}_images are {images.dtype} of shape {images.shape}."
        raise DecodeError(msg, path=file, hint="(N, rows, columns[, 3]) is read.")
    return images


def labels_of(file: Path, part: str) -> Values:
    """Return the labels of a part, (N, labels), read-only.

    Raises:
        DecodeError: If they are broken, or not one row for each image.
    """
    labels = _array(file, f"{part}_labels")
    count = len(images_of(file, part))
    if labels.ndim == 1:
        labels = labels[:, None]
    if labels.ndim != 2 or labels.dtype.kind not in "bui" or len(labels) != count:
        msg = (
            f"its {part}_labels are {labels.dtype} of shape {labels.shape}; expected "
            f"whole numbers of shape ({count},) or ({count}, labels)."
        )
        raise DecodeError(msg, path=file, hint="One row of labels for each image.")
    return labels


def has_slices(shape: tuple[int, ...]) -> bool:
    """Say whether images of this array, (N, ...), are volumes; else pictures."""
    return len(shape) == 5 or (len(shape) == 4 and shape[3] != 3)


def read_item(item: Item, options: ReadOptions) -> Image:
    """Read one image.

    Raises:
        ReadError: If there is no such image, or a series or another part is asked for.
    """
    _refuse(item, options)
    values = np.array(images_of(item.file, item.part)[item.number])
    source = item.path
    words = (f"stored values: {values.dtype.name}, image {item.number} of {item.part}",)
    if not has_slices((1, *values.shape)):
        return Image.from_picture(values, provenance=words, source=source)
    planes = values[..., None] if values.ndim == 3 else values  # (K, J, I, C)
    return Image(planes.transpose(3, 2, 1, 0), provenance=words, source=source)


def describe_item(item: Item, options: ReadOptions) -> Description:
    """Describe one image from the header of its array.

    Raises:
        ReadError: If there is no such image, or a series or another part is asked for.
    """
    _refuse(item, options)
    images = images_of(item.file, item.part)
    shape = images.shape[1:]
    depth, rows, columns = shape[:3] if has_slices(images.shape) else (1, *shape[:2])
    colours = shape[-1] if len(shape) > 2 + has_slices(images.shape) else 1
    return Description(
        source=item.path,
        kind="numpy",
        shape=(columns, rows, depth),
        channels=colours,
        steps=(f"stored values: {images.dtype.name}",),
    )


def _refuse(item: Item, options: ReadOptions) -> None:
    """Refuse an image that is not there, and a choice that there is not.

    Raises:
        ReadError: If it is one of these.
    """
    count = len(images_of(item.file, item.part))
    if item.number >= count:
        msg = f"{shown(item.file)} has {count} images in {item.part}, from 0 on."
        raise ReadError(msg, path=item.path, hint="Check the number.")
    if options.series is not None or options.part not in {None, 1}:
        msg = f"{shown(item.path)} is one image; there is no series or part to choose."
        raise ReadError(msg, path=item.path)


def _array(file: Path, name: str) -> Values:
    """Return an array of a data set, unpacked once as long as it does not change.

    Raises:
        ReadError: If it is not there or broken.
    """
    if f"{name}.npy" not in contents(file):
        msg = f"{shown(file)} has no array {name}."
        raise ReadError(msg, path=file, hint=f"It has: {', '.join(parts_of(file))}.")
    status = require(file)
    return _unpacked(file.absolute(), name, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=12)
def _unpacked(file: Path, name: str, size: int, changed_ns: int) -> Values:
    """Unpack an array into a temporary file and map it.

    Raises:
        DecodeError: If it is broken, or there is no space.
    """
    del size, changed_ns
    try:
        with tempfile.TemporaryFile(prefix="medcnn-data-set-") as target:
            target.writelines(pieces(Place(file, f"{name}.npy")))
            target.seek(0)
            shape, is_fortran, stored = _header(target)
            start, have = target.tell(), target.seek(0, 2)
            if stored.hasobject or len(shape) not in range(1, 6):
                msg = f"its array {name} is {stored} of shape {shape}."
                raise DecodeError(msg, path=file, hint="Plain numbers are read.")
            if shape[0] < 1:
                msg = f"its array {name} is empty."
                raise DecodeError(msg, path=file)
            check_samples(file, *shape[1:], 1)
            wanted = start + int(np.prod(shape, dtype=np.int64)) * stored.itemsize
            if wanted != have:
                msg = (
                    f"its array {name} has {have} bytes; its header declares {wanted}."
                )
                raise DecodeError(msg, path=file, hint="Copy the file again.")
            order: Any = "F" if is_fortran else "C"
            return np.memmap(target, stored, "r", start, shape, order)
    except _BROKEN as error:
        msg = f"its array {name} cannot be unpacked ({type(error).__name__}: {error})."
        raise DecodeError(
            msg, path=file, hint="Copy it again, or free space."
        ) from error


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of a .npy; the file stands at its numbers afterwards."""
    version = npy.read_magic(file)
    parse = npy.read_array_header_1_0
    if version != (1, 0):
        parse = npy.read_array_header_2_0
    parsed: tuple[tuple[int, ...], bool, np.dtype[Any]] = parse(
        file, max_header_size=_MAX_HEADER_BYTES
    )
    return parsed
