"""Slides for `load` and `describe`: small ones whole, all of them from headers."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from medcnn.errors import DecodeError, ReadError
from medcnn.image import Image
from medcnn.io.description import Description
from medcnn.io.options import ReadOptions
from medcnn.io.slide.slide import Slide, open_parts
from medcnn.io.slide.sniff import slide_kind
from medcnn.io.source import MAX_SAMPLES, shown

__all__ = [
    "describe_all",
    "describe_slide",
    "read",
    "read_all",
    "read_slide",
    "slides_in",
]

_STREAM = "Open it with medcnn.open_slide and go through its tiles."


def read(path: Path, options: ReadOptions) -> Image:
    """Read a whole slide, or the one level that a DICOM file holds, as one image.

    Args:
        path: The file.
        options: Its size chooses the coarsest level that is large enough.

    Raises:
        ReadError: If it is too large, broken, or not of a kind that is read.
    """
    with _open(path) as slide:
        return _whole(slide, options)


def read_all(path: Path, options: ReadOptions) -> Iterator[Image]:
    """Read a slide; it is one image.

    Raises:
        ReadError: As `read`.
    """
    yield read(path, options)


def describe_all(path: Path, options: ReadOptions) -> tuple[Description, ...]:
    """Describe a slide from its headers.

    Raises:
        ReadError: If it is broken, or not of a kind that is read.
    """
    del options
    with _open(path) as slide:
        return (_description(slide),)


def slides_in(files: Iterable[Path]) -> list[tuple[Path, str, str]]:
    """Tell the slides among files of slides: a DICOM series is one.

    Returns:
        The first file of each, its Series Instance UID ("" of a TIFF), and what it is
        in words.

    Raises:
        DecodeError: If a DICOM header cannot be parsed.
    """
    every = sorted(files)
    dicom = [file for file in every if slide_kind(file) == "dicom"]
    found = [
        (file, "", f"slide: {shown(file)}") for file in every if file not in set(dicom)
    ]
    reader: Any = import_module("medcnn.io.dicom.slides.reading")
    for uid, group in reader.series_in(dicom).items():
        found.append((group[0], uid, f"SM, slide, {len(group)} files: {uid}"))
    return found


def read_slide(path: Path, series_uid: str, options: ReadOptions) -> Image:
    """Read one of the slides that `slides_in` found.

    Raises:
        ReadError: If it is too large, broken, or not of a kind that is read.
    """
    with _open_found(path, series_uid) as slide:
        return _whole(slide, options)


def describe_slide(path: Path, series_uid: str) -> Description:
    """Describe one of the slides that `slides_in` found.

    Raises:
        ReadError: If it is broken, or not of a kind that is read.
    """
    with _open_found(path, series_uid) as slide:
        return _description(slide)


def _open(path: Path) -> Slide:
    """Open the slide in one file, or the one level that a DICOM file holds."""
    choices = {"alone": True} if slide_kind(path) == "dicom" else {}
    return Slide(open_parts(path, **choices))


def _open_found(path: Path, series_uid: str) -> Slide:
    """Open a slide by its file, or by its folder and series."""
    if not series_uid:
        return Slide(open_parts(path))
    reader: Any = import_module("medcnn.io.dicom.slides.reading")
    return Slide(reader.open_parts(path.parent, series=series_uid))


def _whole(slide: Slide, options: ReadOptions) -> Image:
    """Return the finest level, or the coarsest that is as large as is asked for.

    Raises:
        ReadError: If another part is asked for: a slide is one image.
        DecodeError: If it is too large for one image.
    """
    if (options.part or 1) > 1:
        msg = f"there is no part {options.part}: a slide is one image."
        raise ReadError(msg, path=slide.path, hint="Levels are chosen by size.")
    fitting = [0]
    if options.size is not None:
        rows, columns = options.size
        fitting += [
            n
            for n, level in enumerate(slide.levels)
            if level.shape[0] >= columns and level.shape[1] >= rows
        ]
    columns, rows = slide.levels[fitting[-1]].shape
    if 3 * columns * rows > MAX_SAMPLES:
        msg = f"it is a slide of {columns} x {rows} pixels, too large for one image."
        raise DecodeError(msg, path=slide.path, hint=_STREAM)
    return slide.whole(fitting[-1])


def _description(slide: Slide) -> Description:
    """Describe an open slide."""
    grid, (columns, rows) = slide.geometry, slide.shape
    levels = ", ".join(f"{i} x {j}" for i, j in (one.shape for one in slide.levels))
    facts = dict(slide.facts) | {"levels": levels}
    if slide.spacing_mm is not None:
        facts["pixel_um"] = " x ".join(f"{1000 * mm:.4g}" for mm in slide.spacing_mm)
    if slide.associated:
        facts["associated"] = ", ".join(slide.associated)
    warnings = list(slide.warnings)
    if 3 * columns * rows > MAX_SAMPLES:
        warnings.append(f"it is too large for one image. {_STREAM}")
    return Description(
        source=slide.path,
        kind=f"{slide.kind} slide",
        shape=(columns, rows, 1),
        channels=3,
        modality=slide.modality,
        spacing_mm=grid.spacing_mm if grid else None,
        orientation=grid.axis_codes if grid else None,
        frame=grid.frame.value if grid else None,
        steps=(*slide.provenance, "tiles brought together"),
        warnings=tuple(warnings),
        facts=facts,
        series_uid=slide.identity.series_uid,
        files=slide.files,
    )
