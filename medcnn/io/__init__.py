"""Read medical images; the content of a file says which reader it is for, not its name.

A reader and its library are imported when the first file needs them.
"""

import stat
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from medcnn.errors import ReadError
from medcnn.geometry import Geometry
from medcnn.image import Image
from medcnn.io.description import Description
from medcnn.io.source import MAX_FILE_BYTES, MAX_SAMPLES, Kind, identify, require

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_SAMPLES",
    "Description",
    "Kind",
    "describe",
    "identify",
    "load",
]

_READERS = {
    Kind.DICOM: "medcnn.io.dicom.reader",
    Kind.NIFTI: "medcnn.io.nifti",
    Kind.RASTER: "medcnn.io.raster",
}


class _Reader(Protocol):
    """What the reader of a format offers."""

    def read(self, path: Path) -> Image:
        """Read one file."""

    def describe(self, path: Path) -> Description:
        """Describe one file from its header."""


def load(source: Any, *, series: str | None = None) -> Image:
    """Read one image or volume.

    Args:
        source: A file, a folder with one DICOM series, a pydicom data set, a nibabel
            image, or (array, affine) with an array (I, J, K) and an affine from voxel
            centres to RAS+ mm.
        series: Which series of a folder, by its Series Instance UID.

    Raises:
        ReadError: If it cannot be read as an image, or a folder holds several series.
        TypeError: If the source is of no kind that is read.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        if stat.S_ISDIR(require(path).st_mode):
            msg = f"{path} is a folder; series are not read yet."
            raise ReadError(msg, path=path)
        return _reader(identify(path)).read(path)
    return _from_memory(source)


def describe(path: Path) -> Description:
    """Describe one file from its header, without decoding pixels.

    Raises:
        ReadError: If it cannot be read as an image.
    """
    return _reader(identify(path)).describe(path)


def _reader(kind: Kind) -> _Reader:
    """Import the reader of a format."""
    return cast(_Reader, import_module(_READERS[kind]))


def _from_memory(source: Any) -> Image:
    """Make an image of an object that is no path."""
    if isinstance(source, tuple) and len(source) == 2:
        array, affine = source
        if array.ndim == 2:
            array = array[..., None]
        return Image(array[None], geometry=Geometry(array.shape, affine))
    libraries = {kind.__module__.partition(".")[0] for kind in type(source).__mro__}
    if "pydicom" in libraries:
        reader = import_module("medcnn.io.dicom.reader")
        return cast(Image, reader.from_dataset(source))
    if "nibabel" in libraries:
        return cast(Image, import_module("medcnn.io.nifti").from_image(source))
    msg = f"cannot load a {type(source).__name__}"
    raise TypeError(msg)
