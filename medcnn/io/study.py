"""A folder to the images in it: one for each series, picture or volume file."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from medcnn.errors import DecodeError, NoPixelsError, ReadError, SeveralSeriesError
from medcnn.image import Image
from medcnn.io.description import Description
from medcnn.io.discover import discover
from medcnn.io.options import ReadOptions
from medcnn.io.readers import reader_of
from medcnn.io.source import Kind, identify, nifti_pair, shown

__all__ = ["Item", "items_of", "only_item"]


@dataclass(frozen=True)
class Item:
    """One file or series of a folder, not read yet.

    Attributes:
        path: Its first file.
        series_uid: Series Instance UID; "" outside DICOM.
        words: What it is, for a person to choose by.
        read: Reads its only image, or the part that the options name.
        read_all: Reads every image of it.
        describe_all: Describes every image of it from headers.
    """

    path: Path
    series_uid: str
    words: str
    read: Callable[[ReadOptions], Image]
    read_all: Callable[[ReadOptions], Iterator[Image]]
    describe_all: Callable[[ReadOptions], tuple[Description, ...]]


def items_of(folder: Path) -> tuple[list[Item], list[tuple[Path, ReadError]]]:
    """Find the images of a folder and its sub-folders from headers.

    Returns:
        The images in a stable order, and (path, error) for what is none.
    """
    problems: list[tuple[Path, ReadError]] = []
    dicom: list[Path] = []
    items: list[Item] = []
    for found in discover([folder]):
        if found.problem:
            hint = "Ask for the right to read it."
            error = ReadError(found.problem, path=found.path, hint=hint)
            problems.append((found.path, error))
            continue
        try:
            kind = identify(found.path)
        except ReadError as error:
            problems.append((found.path, error))
            continue
        if kind is Kind.DICOM:
            dicom.append(found.path)
        elif not _is_second_half(found.path, kind):
            items.append(_file_item(found.path, kind))
    if dicom:
        series, broken = _series_items(dicom, folder)
        items += series
        problems += broken
    return sorted(items, key=lambda item: item.path), problems


def only_item(folder: Path, series: str | None) -> Item:
    """Return the one image of a folder, or the one of the named series.

    Raises:
        SeveralSeriesError: If there are several to choose from.
        ReadError: If there is none, or a broken DICOM file may be a part of it.
    """
    items, problems = items_of(folder)
    for _, error in problems:
        # A slice that cannot be parsed may belong to any series: nobody can tell
        # whether the volume is complete without it.
        if isinstance(error, DecodeError):
            raise error
    if series is not None:
        items = [item for item in items if item.series_uid == series]
    if len(items) == 1:
        return items[0]
    if items:
        _refuse_several(items, folder)
    wanted = "image" if series is None else f"series {series}"
    reason = next((error.message for _, error in problems), "it is empty")
    msg = f"{shown(folder)} holds no {wanted}: {reason}"
    kind = NoPixelsError if _all_without_pixels(problems) else ReadError
    raise kind(msg, path=folder, hint="`medcnn inspect` lists what is there.")


def _file_item(path: Path, kind: Kind) -> Item:
    """Make an item of a file that is an image of its own."""
    reader = reader_of(kind)
    return Item(
        path,
        "",
        f"{kind.value}: {shown(path)}",
        partial(reader.read, path),
        partial(reader.read_all, path),
        partial(reader.describe_all, path),
    )


def _series_items(
    files: list[Path], folder: Path
) -> tuple[list[Item], list[tuple[Path, ReadError]]]:
    """Group DICOM files and make an item of each group."""
    series: Any = import_module("medcnn.io.dicom.series")
    groups, problems = series.group_files(files)
    items = [
        Item(
            group.files[0],
            group.series_uid,
            f"{group.words}: {group.series_uid or shown(group.files[0])}",
            partial(series.read_group, group, folder),
            partial(series.read_all_of_group, group, folder),
            partial(series.describe_all_of_group, group, folder),
        )
        for group in groups
    ]
    return items, problems


def _is_second_half(path: Path, kind: Kind) -> bool:
    """Say whether a file is the voxel half of a NIfTI pair, which comes with it."""
    return kind is Kind.NIFTI and nifti_pair(path)[0] != path


def _refuse_several(items: list[Item], folder: Path) -> NoReturn:
    """Say what there is to choose from.

    Raises:
        SeveralSeriesError: Always.
    """
    lines = tuple(item.words for item in items)
    listed = "; ".join(lines[:8]) + ("; ..." if len(lines) > 8 else "")
    msg = f"{shown(folder)} holds {len(items)} images: {listed}."
    raise SeveralSeriesError(
        msg,
        series=lines,
        path=folder,
        hint="Use load_study for all, or name one with series=UID or its own path.",
    )


def _all_without_pixels(problems: list[tuple[Path, ReadError]]) -> bool:
    """Say whether there is something, and all of it carries no pixels."""
    return bool(problems) and all(
        isinstance(error, NoPixelsError) for _, error in problems
    )
