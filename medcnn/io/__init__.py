"""Read medical images; the content of a file says which reader it is for, not its name.

A reader and its library are imported when the first file needs them.
"""

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

from medcnn.errors import ReadError
from medcnn.geometry import Geometry
from medcnn.image import Image, Study
from medcnn.io.archive import is_archive
from medcnn.io.archive import status_of as status_of_file
from medcnn.io.data_set import describe_item, item_of, read_item
from medcnn.io.description import Description
from medcnn.io.discover import Found, discover
from medcnn.io.halves import other_halves
from medcnn.io.kinds import Kind
from medcnn.io.options import Cells, ReadOptions
from medcnn.io.parts import chosen
from medcnn.io.readers import reader_of
from medcnn.io.source import MAX_FILE_BYTES, MAX_SAMPLES
from medcnn.io.source import identify as source_kind
from medcnn.io.study import header_of, is_collection, items_of, only_item
from medcnn.io.unpacked import unpacked

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_SAMPLES",
    "Cells",
    "Description",
    "Found",
    "Kind",
    "ReadOptions",
    "describe",
    "describe_study",
    "discover",
    "header_of",
    "identify",
    "is_collection",
    "load",
    "load_study",
    "other_halves",
    "status_of",
    "study_pieces",
]


def load(  # noqa: PLR0913 - each is one choice of the reader
    source: Any,
    *,
    series: str | None = None,
    part: int | None = None,
    size: tuple[int, int] | None = None,
    values: bool | None = None,
    resample_tilt: bool = False,
    allow_gaps: bool = False,
    cells: Cells | None = None,
) -> Image:
    """Read one image or volume.

    Args:
        source: A file, a folder, zip archive or DICOMDIR with one image or one DICOM
            series, a path into an archive (a.zip/b.dcm) or a data set
            (a.npz/train/0), a pydicom data set, a nibabel image, or (array, affine)
            with an array (I, J[, K]) and an affine from voxel centres to RAS+ mm.
        series: Which series of a folder, by its Series Instance UID.
        part: Which image of a file or series that holds several (time points,
            echoes, pages, volumes), counted from 1 as `medcnn inspect` lists them.
        size: (rows, columns) needed at least; a picture may then come reduced to a
            half, quarter or eighth, never a smaller one.
        values: True keeps measured values, False gives what a screen shows, None
            decides by modality.
        resample_tilt: Resample slices that a tilted gantry sheared.
        allow_gaps: Resample slices with gaps or uneven distances to an even grid.
        cells: A grey DICOM picture comes as the means of these cells, if it is at least
            so large; only the detail that they need is decoded.

    Raises:
        ReadError: If it cannot be read as an image, or there are several
            (SeveralSeriesError).
        TypeError: If the source is of no kind that is read.
        ValueError: If a choice makes no sense.
    """
    options = ReadOptions(series, part, size, values, resample_tilt, allow_gaps, cells)
    if not isinstance(source, str | Path):
        return _from_memory(source, options)
    path = Path(source)
    one = item_of(path)
    if one is not None:
        return read_item(one, options)
    with unpacked() as files:
        if is_collection(path):
            item = only_item(path, options, files)
            return files.renamed(item.read(options))
        real = files.real(path)
        image = files.renamed(reader_of(source_kind(real)).read(real, options))
    if series is not None and image.identity.series_uid != series:
        msg = f"the file is not of the series {series}."
        raise ReadError(msg, path=path)
    return image


def identify(path: Path) -> Kind:
    """Say which format a file is by its first bytes, never by its name.

    Raises:
        ReadError: If it is missing, not a regular file, empty, too large or locked.
        UnknownFormatError: If its content is of no format that is read.
    """
    if item_of(path) is not None:
        return Kind.NUMPY
    with unpacked() as files:
        return source_kind(path if is_archive(path) else files.real(path))


def status_of(path: Path) -> os.stat_result:
    """Return the status of a file or folder; of what lies in another, that file's.

    Raises:
        ReadError: If there is none.
    """
    one = item_of(path)
    return status_of_file(path if one is None else one.file)


def load_study(source: str | Path, options: ReadOptions | None = None) -> Study:
    """Read every image of a file or folder; what cannot be read is listed.

    Args:
        source: A file, or a folder that is searched with its sub-folders.
        options: The choices of `load`; its part and series are not looked at.

    Raises:
        ReadError: If nothing is there, or the file is no image.
    """
    images: list[Image] = []
    problems: list[tuple[Path, str]] = []
    for piece in study_pieces(source, options):
        if isinstance(piece, Image):
            images.append(piece)
        else:
            problems.append(piece)
    return Study(tuple(images), tuple(problems))


def study_pieces(
    source: str | Path, options: ReadOptions | None = None
) -> Iterator[Image | tuple[Path, str]]:
    """Yield what `load_study` returns, one image or (path, reason) after the other.

    Args:
        source: A file, or a folder that is searched with its sub-folders.
        options: The choices of `load`; its part and series are not looked at.

    Raises:
        ReadError: If nothing is there, or the file is no image.
    """
    path, options = Path(source), options or ReadOptions()
    one = item_of(path)
    if one is not None:
        yield read_item(one, options)
        return
    with unpacked() as files:
        if not is_collection(path):
            real = files.real(path)
            found = reader_of(source_kind(real)).read_all(real, options)
            yield from map(files.renamed, found)
            return
        items, broken = items_of(path, files, options)
        yield from (files.problem(where, error) for where, error in broken)
        for item in items:
            try:
                yield from map(files.renamed, item.read_all(options))
            except ReadError as error:
                yield files.problem(error.path or item.path, error)


def describe(path: Path, *, part: int | None = None) -> Description:
    """Describe the image of one file from its header, without decoding pixels.

    Args:
        path: The file.
        part: Which image of a file that holds several, counted from 1.

    Raises:
        ReadError: If it cannot be read as an image, or holds several
            (SeveralSeriesError).
    """
    one = item_of(path)
    if one is not None:
        return describe_item(one, ReadOptions(part=part))
    with unpacked() as files:
        real = files.real(path)
        found = reader_of(source_kind(real)).describe_all(real, ReadOptions(part=part))
        return files.renamed(chosen(found, part, path))


def describe_study(
    path: Path, options: ReadOptions | None = None
) -> tuple[tuple[Description, ...], tuple[tuple[Path, str], ...]]:
    """Describe every image of a file or folder from headers.

    Returns:
        The descriptions, and (path, reason) for each file that is no image.

    Raises:
        ReadError: If nothing is there.
    """
    options = options or ReadOptions()
    one = item_of(path)
    if one is not None:
        return (describe_item(one, options),), ()
    found: list[Description] = []
    with unpacked() as files:
        if not is_collection(path):
            real = files.real(path)
            every = reader_of(source_kind(real)).describe_all(real, options)
            return tuple(map(files.renamed, every)), ()
        items, broken = items_of(path, files, options)
        problems = [files.problem(where, error) for where, error in broken]
        for item in items:
            try:
                found += map(files.renamed, item.describe_all(options))
            except ReadError as error:
                problems.append(files.problem(error.path or item.path, error))
    return tuple(found), tuple(problems)


def _from_memory(source: Any, options: ReadOptions) -> Image:
    """Make an image of an object that is no path.

    Raises:
        TypeError: If it is none that is read.
    """
    if isinstance(source, tuple) and len(source) == 2:
        return _from_array(*source)
    libraries = {kind.__module__.partition(".")[0] for kind in type(source).__mro__}
    if "pydicom" in libraries:
        reader: Any = import_module("medcnn.io.dicom.reader")
        return cast(Image, reader.from_dataset(source, options))
    if "nibabel" in libraries:
        nifti: Any = import_module("medcnn.io.nifti")
        return cast(Image, nifti.from_image(source, options))
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
