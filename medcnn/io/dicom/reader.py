"""One DICOM file to its images, or to the descriptions of them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pydicom.dataset import Dataset

from medcnn.image import Image
from medcnn.io.description import Description
from medcnn.io.dicom.parse import (
    Parsed,
    parse,
    quiet,
    record_of_file,
    record_of_parsed,
)
from medcnn.io.dicom.pixels.layout import PIXEL_KEYWORDS
from medcnn.io.dicom.volumes.reading import Volumes
from medcnn.io.dicom.volumes.records import FileRecord
from medcnn.io.options import ReadOptions

__all__ = ["describe_all", "from_dataset", "read", "read_all"]


def read(path: Path, options: ReadOptions) -> Image:
    """Read the only image of a DICOM file, or the part that the options name.

    Raises:
        ReadError: If it cannot be parsed, carries no pixels or they are broken, or its
            frames are no volume.
    """
    return _parsed(path, options).read()


def read_all(path: Path, options: ReadOptions) -> Iterator[Image]:
    """Read every image of one DICOM file.

    Raises:
        ReadError: If it cannot be parsed, carries no pixels or they are broken, or no
            frames of it are a volume.
    """
    yield from _parsed(path, options).read_all()


def describe_all(path: Path, options: ReadOptions) -> tuple[Description, ...]:
    """Describe every image of one DICOM file from its header.

    Raises:
        ReadError: If it cannot be parsed or carries no pixels, or no frames of it are a
            volume.
    """
    record = record_of_file(path, options)
    return tuple(Volumes([record], path, options).describe_all())


def from_dataset(
    dataset: Dataset, options: ReadOptions, *, path: Path | None = None
) -> Image:
    """Make an image of a parsed data set.

    Raises:
        ReadError: If it carries no pixels or they are broken, or its frames are no
            volume.
    """
    keyword = next((name for name in PIXEL_KEYWORDS if name in dataset), "")
    with quiet() as caught:
        record = record_of_parsed((dataset, keyword), path, options)
    record = replace(record, oddities=len(caught))
    return Volumes([record], path, options, (dataset, keyword)).read()


def _parsed(path: Path, options: ReadOptions) -> Volumes:
    """Parse a file with its pixels, once."""
    with quiet() as caught:
        parsed: Parsed = parse(path)
        record: FileRecord = record_of_parsed(parsed, path, options)
    record = replace(record, oddities=len(caught))
    return Volumes([record], path, options, parsed)
