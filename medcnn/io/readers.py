"""Which module reads which format; it is imported with the first file of its kind."""

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from medcnn.image import Image
from medcnn.io.description import Description
from medcnn.io.source import Kind

__all__ = ["Reader", "reader_of"]

_MODULES = {
    Kind.DICOM: "medcnn.io.dicom.reader",
    Kind.NIFTI: "medcnn.io.nifti",
    Kind.RASTER: "medcnn.io.raster",
}


class Reader(Protocol):
    """What the reader of a format offers."""

    def read(self, path: Path) -> Image:
        """Read one file."""

    def describe(self, path: Path) -> Description:
        """Describe one file from its header."""


def reader_of(kind: Kind) -> Reader:
    """Import the reader of a format."""
    return cast(Reader, import_module(_MODULES[kind]))
