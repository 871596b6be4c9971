"""One file to a parsed data set, or to its plain record; what pydicom warns of."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from medcnn.io.dicom.deflated import inflated, is_deflated
from medcnn.io.dicom.pixels.layout import PIXEL_KEYWORDS
from medcnn.io.dicom.pixels.plan import make_plan
from medcnn.io.dicom.structure import check_structure, start_of_data_set
from medcnn.io.dicom.tags import broken_as_decode_error
from medcnn.io.dicom.volumes.planes import record_of
from medcnn.io.dicom.volumes.records import FileRecord
from medcnn.io.options import ReadOptions
from medcnn.io.regular import open_regular

__all__ = ["Parsed", "parse", "quiet", "record_of_file", "record_of_parsed"]

Caught = list[warnings.WarningMessage]
Parsed = tuple[Dataset, str]
"""A data set, and which attribute carries its pixels ("" if none does)."""


def record_of_file(path: Path, options: ReadOptions) -> FileRecord:
    """Read the header of a file.

    Raises:
        ReadError: If it cannot be parsed, carries no pixels or contradicts itself.
    """
    with quiet() as caught:
        dataset, keyword = parse(path, header_only=True)
        record = record_of_parsed((dataset, keyword), path, options)
    return replace(record, oddities=len(caught))


def record_of_parsed(
    parsed: Parsed, path: Path | None, options: ReadOptions
) -> FileRecord:
    """Make the record of a parsed data set.

    Raises:
        ReadError: If it carries no pixels or contradicts itself.
    """
    plan = make_plan(*parsed, path, options)
    with broken_as_decode_error(path, "its header is broken"):
        return record_of(parsed[0], plan, path)


def parse(path: Path, *, header_only: bool = False) -> Parsed:
    """Parse a DICOM file with or without preamble.

    Returns:
        The data set, and which attribute carries its pixels ("" if none does).

    Raises:
        DecodeError: If it cannot be parsed, or its structure is hostile.
        ReadError: If it is no regular file.
    """
    what = "its header cannot be parsed"
    with broken_as_decode_error(path, what), open_regular(path) as packed:
        start = start_of_data_set(packed)
        was_deflated = is_deflated(start)
        file = inflated(packed, start, path) if was_deflated else packed
        check_structure(file, start, path)
        file.seek(0)
        dataset = dcmread(file, force=True, stop_before_pixels=header_only)
        if was_deflated:
            dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        # pydicom leaves the file at the element it stopped before.
        next_tag = file.read(4) if header_only else b""
    for keyword, number in PIXEL_KEYWORDS.items():
        group, element = number >> 16, number & 0xFFFF
        if keyword in dataset or next_tag in {
            struct.pack("<HH", group, element),
            struct.pack(">HH", group, element),
        }:
            return dataset, keyword
    return dataset, ""


@contextmanager
def quiet() -> Iterator[Caught]:
    """Collect what pydicom warns of instead of printing it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught
