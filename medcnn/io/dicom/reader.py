"""One DICOM file to one Image, or to the description of one."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset

from medcnn.geometry import Geometry
from medcnn.image import Image
from medcnn.io.description import Description
from medcnn.io.dicom.colour import check_photometric, colour_words, to_rgb
from medcnn.io.dicom.facts import facts_of, identity_of, warnings_of
from medcnn.io.dicom.grey import GreyPlan, plan_grey, render
from medcnn.io.dicom.grid import plane_geometry
from medcnn.io.dicom.stored import PIXEL_KEYWORDS, Layout, container, layout_of
from medcnn.io.dicom.tags import broken_as_decode_error, text

__all__ = ["describe", "from_dataset", "parse", "read"]

Pixels = npt.NDArray[Any]
_Caught = list[warnings.WarningMessage]


@dataclass(frozen=True)
class _Plan:
    """What the header of one data set says about its picture.

    Attributes:
        layout: How the pixels are stored.
        grey: What is done to them; None for colour.
        geometry: The grid; None where nothing says.
        warnings: What a careful reader would want to be told.
    """

    layout: Layout
    grey: GreyPlan | None
    geometry: Geometry | None
    warnings: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """Return the steps in words."""
        return self.grey.words if self.grey else colour_words(self.layout)


def read(path: Path) -> Image:
    """Read one DICOM file.

    Raises:
        ReadError: If it cannot be parsed, carries no pixels or they are broken.
    """
    with _quiet() as caught:
        dataset, keyword = parse(path)
        return _image(dataset, keyword, path, caught)


def from_dataset(dataset: Dataset, *, path: Path | None = None) -> Image:
    """Make an image of a parsed data set.

    Raises:
        ReadError: If it carries no pixels or they are broken.
    """
    with _quiet() as caught:
        keyword = next((name for name in PIXEL_KEYWORDS if name in dataset), "")
        return _image(dataset, keyword, path, caught)


def describe(path: Path) -> Description:
    """Describe one DICOM file from its header.

    Raises:
        ReadError: If it cannot be parsed or carries no pixels.
    """
    with _quiet() as caught:
        dataset, keyword = parse(path, header_only=True)
        plan = _plan(dataset, keyword, path)
        facts = facts_of(dataset, plan.layout.syntax.name)
    grid, layout = plan.geometry, plan.layout
    return Description(
        source=path,
        kind="dicom",
        shape=(layout.columns, layout.rows, layout.frames),
        channels=1 if plan.grey else 3,
        modality=text(dataset, "Modality") or None,
        spacing_mm=grid.spacing_mm if grid else None,
        orientation=grid.axis_codes if grid else None,
        frame=grid.frame.value if grid else None,
        unit=plan.grey.unit if plan.grey else None,
        steps=plan.words,
        warnings=(*plan.warnings, *_library_warnings(caught)),
        facts=facts,
        series_uid=text(dataset, "SeriesInstanceUID") or None,
    )


def parse(path: Path, *, header_only: bool = False) -> tuple[Dataset, str]:
    """Parse a DICOM file with or without preamble.

    Returns:
        The data set, and which attribute carries its pixels ("" if none does).

    Raises:
        DecodeError: If it cannot be parsed.
    """
    with broken_as_decode_error(path, "its header cannot be parsed"):
        with path.open("rb") as file:
            dataset = dcmread(file, force=True, stop_before_pixels=header_only)
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


def _image(dataset: Dataset, keyword: str, path: Path | None, caught: _Caught) -> Image:
    """Decode a data set and apply what its header says."""
    plan = _plan(dataset, keyword, path)
    pixels = container(dataset, plan.layout, path)
    if plan.grey is None:
        values, mask = to_rgb(pixels, dataset, plan.layout, path), None
    else:
        values, mask = render(pixels, plan.grey)
    return Image(
        _channels_first(values),
        geometry=plan.geometry,
        unit=plan.grey.unit if plan.grey else None,
        modality=text(dataset, "Modality") or None,
        facts=facts_of(dataset, plan.layout.syntax.name),
        identity=identity_of(dataset),
        provenance=plan.words,
        warnings=(*plan.warnings, *_library_warnings(caught)),
        padding=None if mask is None else mask.transpose(2, 1, 0),
        source=path,
    )


def _plan(dataset: Dataset, keyword: str, path: Path | None) -> _Plan:
    """Decide from the header alone what will be done."""
    layout = layout_of(dataset, keyword, path)
    notes = warnings_of(dataset)
    grey = None
    if check_photometric(layout, path):
        grey = plan_grey(dataset, layout, path)
        notes += grey.warnings
    if layout.frames > 1:
        notes.append(f"{layout.frames} frames without geometry; k counts frames")
        return _Plan(layout, grey, None, tuple(notes))
    geometry, doubts = plane_geometry(dataset, (layout.columns, layout.rows), path)
    return _Plan(layout, grey, geometry, (*notes, *doubts))


@contextmanager
def _quiet() -> Iterator[_Caught]:
    """Collect what pydicom warns of instead of printing it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def _channels_first(values: Pixels) -> Pixels:
    """Turn (frames, rows, columns[, 3]) into (C, I, J, K), without a copy."""
    if values.ndim == 3:
        return values.transpose(2, 1, 0)[None]
    return values.transpose(3, 2, 1, 0)


def _library_warnings(caught: _Caught) -> tuple[str, ...]:
    """Count what pydicom found odd; its texts may quote personal values."""
    if not caught:
        return ()
    return (f"the file departs from the DICOM standard in {len(caught)} places",)
