"""Read medical images; the content of a file says which reader it is for, not its name.

A reader and its library are imported when the first file needs them.
"""

from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

from medcnn.errors import ReadError
from medcnn.geometry import Geometry
from medcnn.image import Image, Study
from medcnn.io.description import Description
from medcnn.io.discover import Found, discover
from medcnn.io.readers import reader_of
from medcnn.io.source import MAX_FILE_BYTES, MAX_SAMPLES, Kind, identify, is_folder
from medcnn.io.study import items_of, only_item

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_SAMPLES",
    "Description",
    "Found",
    "Kind",
    "describe",
    "describe_study",
    "discover",
    "identify",
    "load",
    "load_study",
]


def load(source: Any, *, series: str | None = None) -> Image:
    """Read one image or volume.

    Args:
        source: A file, a folder with one image or one DICOM series, a pydicom data
            set, a nibabel image, or (array, affine) with an array (I, J[, K]) and an
            affine from voxel centres to RAS+ mm.
        series: Which series of a folder, by its Series Instance UID.

    Raises:
        ReadError: If it cannot be read as an image, or a folder holds several
            (SeveralSeriesError).
        TypeError: If the source is of no kind that is read.
    """
    if not isinstance(source, str | Path):
        return _from_memory(source)
    path = Path(source)
    if is_folder(path):
        return only_item(path, series).read()
    image = reader_of(identify(path)).read(path)
    if series is not None and image.identity.series_uid != series:
        msg = f"the file is not of the series {series}."
        raise ReadError(msg, path=path)
    return image


def load_study(source: str | Path) -> Study:
    """Read every image of a file or folder; what cannot be read is listed.

    Args:
        source: A file, or a folder that is searched with its sub-folders.

    Raises:
        ReadError: If nothing is there.
    """
    path = Path(source)
    if not is_folder(path):
        return Study((load(path),))
    items, broken = items_of(path)
    problems = [(where, str(error)) for where, error in broken]
    images = []
    for item in items:
        try:
            images.append(item.read())
        except ReadError as error:
            problems.append((error.path or item.path, str(error)))
    return Study(tuple(images), tuple(problems))


def describe(path: Path) -> Description:
    """Describe one file from its header, without decoding pixels.

    Raises:
        ReadError: If it cannot be read as an image.
    """
    return reader_of(identify(path)).describe(path)


def describe_study(
    path: Path,
) -> tuple[tuple[Description, ...], tuple[tuple[Path, str], ...]]:
    """Describe every image of a file or folder from headers.

    Returns:
        The descriptions, and (path, reason) for each file that is no image.

    Raises:
        ReadError: If nothing is there.
    """
    if not is_folder(path):
        return (describe(path),), ()
    items, broken = items_of(path)
    problems = [(where, str(error)) for where, error in broken]
    found = []
    for item in items:
        try:
            found.append(item.describe())
        except ReadError as error:
            problems.append((error.path or item.path, str(error)))
    return tuple(found), tuple(problems)


def _from_memory(source: Any) -> Image:
    """Make an image of an object that is no path.

    Raises:
        TypeError: If it is none that is read.
    """
    if isinstance(source, tuple) and len(source) == 2:
        return _from_array(*source)
    libraries = {kind.__module__.partition(".")[0] for kind in type(source).__mro__}
    if "pydicom" in libraries:
        reader: Any = import_module("medcnn.io.dicom.reader")
        return cast(Image, reader.from_dataset(source))
    if "nibabel" in libraries:
        return cast(Image, import_module("medcnn.io.nifti").from_image(source))
    msg = (
        f"cannot load a {type(source).__name__}; a path, a pydicom data set, a nibabel "
        "image or (array, affine) can be loaded"
    )
    raise TypeError(msg)


def _from_array(array: Any, affine: Any) -> Image:
    """Make an image of an array and its affine.

    Raises:
        ReadError: If it is neither a picture nor a volume.
    """
    values = np.asarray(array)
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3:
        msg = f"an array is (I, J[, K]), got shape {values.shape}"
        raise ReadError(msg, hint="Load one volume and one channel at a time.")
    i, j, k = values.shape
    return Image(
        values[None], geometry=Geometry((i, j, k), affine), provenance=("an array",)
    )
