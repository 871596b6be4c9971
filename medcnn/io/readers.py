"""Which module reads which format; it is imported with the first file of its kind."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from medcnn.image import Image
from medcnn.io.description import Description
from medcnn.io.kinds import Kind
from medcnn.io.options import ReadOptions

__all__ = ["Reader", "reader_of"]

_MODULES = {
    Kind.DICOM: "medcnn.io.dicom.reader",
    Kind.NIFTI: "medcnn.io.nifti",
    Kind.RASTER: "medcnn.io.raster",
    Kind.TIFF: "medcnn.io.tiff",
    Kind.NUMPY: "medcnn.io.numpy_files",
    Kind.METAIMAGE: "medcnn.io.metaimage",
    Kind.NRRD: "medcnn.io.nrrd",
    Kind.SLIDE: "medcnn.io.slide.reader",
}


class Reader(Protocol):
    """What the reader of a format offers.

    A file with several images is one whose images need a choice: time points, pages.
    """

    def read(self, path: Path, options: ReadOptions) -> Image:
        """Read the only image of a file, or the part that the options name."""

    def read_all(self, path: Path, options: ReadOptions) -> Iterator[Image]:
        """Read every image of a file, one after the other."""

    def describe_all(self, path: Path, options: ReadOptions) -> tuple[Description, ...]:
        """Describe every image of a file from its header."""


def reader_of(kind: Kind) -> Reader:
    """Import the reader of a format: a module, or the READER in it."""
    module = import_module(_MODULES[kind])
    return cast(Reader, getattr(module, "READER", module))
