"""One DICOM file to one Image, or to the description of one."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset

from medcnn.image import Image
from medcnn.io.description import Description
from medcnn.io.dicom.deflated import (
    DEFLATED,
    HEAD_BYTES,
    check_inflated_size,
)
from medcnn.io.dicom.facts import facts_of, identity_of
from medcnn.io.dicom.plan import Plan, decode, make_plan
from medcnn.io.dicom.stored import PIXEL_KEYWORDS
from medcnn.io.dicom.tags import broken_as_decode_error, text
from medcnn.io.options import ReadOptions

__all__ = [
    "channels_first",
    "describe",
    "describe_all",
    "from_dataset",
    "oddities",
    "parse",
    "quiet",
    "read",
    "read_all",
]

Caught = list[warnings.WarningMessage]


def read(path: Path, options: ReadOptions) -> Image:
    """Read one DICOM file.

    Raises:
        ReadError: If it cannot be parsed, carries no pixels or they are broken.
    """
    with quiet() as caught:
        dataset, keyword = parse(path)
        return _image(dataset, keyword, path, caught, options)


def read_all(path: Path, options: ReadOptions) -> Iterator[Image]:
    """Read every image of one DICOM file.

    Raises:
        ReadError: If it cannot be parsed, carries no pixels or they are broken.
    """
    yield read(path, options)


def describe_all(path: Path, options: ReadOptions) -> tuple[Description, ...]:
    """Describe every image of one DICOM file from its header.

    Raises:
        ReadError: If it cannot be parsed or carries no pixels.
    """
    return (describe(path, options),)


def from_dataset(
    dataset: Dataset, options: ReadOptions, *, path: Path | None = None
) -> Image:
    """Make an image of a parsed data set.

    Raises:
        ReadError: If it carries no pixels or they are broken.
    """
    with quiet() as caught:
        keyword = next((name for name in PIXEL_KEYWORDS if name in dataset), "")
        return _image(dataset, keyword, path, caught, options)


def describe(path: Path, options: ReadOptions) -> Description:
    """Describe one DICOM file from its header.

    Raises:
        ReadError: If it cannot be parsed or carries no pixels.
    """
    with quiet() as caught:
        dataset, keyword = parse(path, header_only=True)
        plan = make_plan(dataset, keyword, path, options)
        return description(dataset, plan, path, caught)


def parse(path: Path, *, header_only: bool = False) -> tuple[Dataset, str]:
    """Parse a DICOM file with or without preamble.

    Returns:
        The data set, and which attribute carries its pixels ("" if none does).

    Raises:
        DecodeError: If it cannot be parsed.
    """
    what = "its header cannot be parsed"
    with broken_as_decode_error(path, what), path.open("rb") as file:
        is_deflated = DEFLATED in file.read(HEAD_BYTES)
        if is_deflated:
            check_inflated_size(file, path)
        file.seek(0)
        is_short = header_only and not is_deflated
        dataset = dcmread(file, force=True, stop_before_pixels=is_short)
        # pydicom leaves the file at the element it stopped before.
        next_tag = file.read(4) if is_short else b""
    for keyword, number in PIXEL_KEYWORDS.items():
        group, element = number >> 16, number & 0xFFFF
        if keyword in dataset or next_tag in {
            struct.pack("<HH", group, element),
            struct.pack(">HH", group, element),
        }:
            return dataset, keyword
    return dataset, ""


def description(
    dataset: Dataset, plan: Plan, path: Path, caught: Caught, *, files: int = 1
) -> Description:
    """Describe what a plan will read."""
    grid, layout = plan.geometry, plan.layout
    return Description(
        source=path,
        kind="dicom",
        shape=grid.shape if grid else (layout.columns, layout.rows, layout.frames),
        channels=1 if plan.grey else 3,
        modality=text(dataset, "Modality") or None,
        spacing_mm=grid.spacing_mm if grid else None,
        orientation=grid.axis_codes if grid else None,
        frame=grid.frame.value if grid else None,
        unit=plan.unit,
        steps=plan.words,
        warnings=(*plan.warnings, *oddities(caught)),
        facts=facts_of(dataset, layout.syntax.name),
        series_uid=text(dataset, "SeriesInstanceUID") or None,
        files=files,
    )


@contextmanager
def quiet() -> Iterator[Caught]:
    """Collect what pydicom warns of instead of printing it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def oddities(caught: Caught) -> tuple[str, ...]:
    """Count what pydicom found odd; its texts may quote personal values."""
    if not caught:
        return ()
    return (f"the file departs from the DICOM standard in {len(caught)} places",)


def channels_first(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turn (K, rows, columns[, 3]) into (C, I, J, K), without a copy."""
    if values.ndim == 3:
        return values.transpose(2, 1, 0)[None]
    return values.transpose(3, 2, 1, 0)


def _image(
    dataset: Dataset,
    keyword: str,
    path: Path | None,
    caught: Caught,
    options: ReadOptions,
) -> Image:
    """Decode a data set and apply what its header says."""
    plan = make_plan(dataset, keyword, path, options)
    values, mask = decode(dataset, plan, path)
    return Image(
        channels_first(values),
        geometry=plan.geometry,
        unit=plan.unit,
        modality=text(dataset, "Modality") or None,
        facts=facts_of(dataset, plan.layout.syntax.name),
        identity=identity_of(dataset),
        provenance=plan.words,
        warnings=(*plan.warnings, *oddities(caught)),
        padding=None if mask is None else mask.transpose(2, 1, 0),
        source=path,
    )
