"""A folder to the images in it: one for each series, picture or volume file.

A zip archive is a folder here, and so are the files that a DICOMDIR lists.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from medcnn.errors import (
    DecodeError,
    NoPixelsError,
    ReadError,
    SeveralSeriesError,
    UnknownFormatError,
)
from medcnn.image import Image
from medcnn.io.archive import members, place_of
from medcnn.io.description import Description
from medcnn.io.discover import discover
from medcnn.io.halves import VOXELS
from medcnn.io.kinds import Kind
from medcnn.io.options import ReadOptions
from medcnn.io.readers import reader_of
from medcnn.io.source import identify, is_folder, nifti_pair, shown
from medcnn.io.unpacked import Unpacked

__all__ = ["Item", "header_of", "is_collection", "items_of", "only_item"]


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


def is_collection(path: Path) -> bool:
    """Say whether a path stands for many files: a folder, archive, or DICOMDIR.

    Raises:
        ReadError: If nothing is there, or it may not be looked at.
    """
    place = place_of(path)
    if place is None:
        return is_folder(path) or _is_dicomdir(path)
    return members(path) != ("",)


def items_of(
    folder: Path, files: Unpacked, options: ReadOptions
) -> tuple[list[Item], list[tuple[Path, ReadError]]]:
    """Find the images of a collection and its sub-folders from headers.

    Args:
        folder: What `is_collection` says yes to.
        files: Where members of archives are unpacked to.
        options: What the caller chose.

    Returns:
        The images in a stable order, and (path, error) for what is none.
    """
    problems: list[tuple[Path, ReadError]] = []
    grouped: dict[Kind, list[Path]] = {Kind.DICOM: [], Kind.SLIDE: []}
    items: list[Item] = []
    voxels: set[Path] = set()
    for found in discover([folder]):
        if found.problem:
            hint = "Ask for the right to read it."
            error = ReadError(found.problem, path=found.path, hint=hint)
            problems.append((found.path, error))
            continue
        path = found.path
        try:
            path = files.real(found.path)
            kind = identify(path)
            voxels |= _voxel_files(path, kind)
            if path == folder and kind is Kind.DICOMDIR:
                _files_listed(path)  # says why it is not the list of its files
        except ReadError as error:
            problems.append((path, error))
            continue
        if kind in grouped:
            grouped[kind].append(path)
        elif kind is not Kind.DICOMDIR and not _is_second_half(path, kind):
            items.append(_file_item(path, kind))
    problems = [one for one in problems if one[0] not in voxels]
    series, broken = _series_items(grouped[Kind.DICOM], folder, options)
    items += series + _slide_items(grouped[Kind.SLIDE])
    problems += broken
    return sorted(items, key=lambda item: item.path), problems


def only_item(folder: Path, options: ReadOptions, files: Unpacked) -> Item:
    """Return the one image of a collection, or the one of the series in the options.

    Raises:
        SeveralSeriesError: If there are several to choose from.
        ReadError: If there is none, or a broken DICOM file may be a part of it.
    """
    items, problems = items_of(folder, files, options)
    series = options.series
    _refuse_broken(problems, DecodeError)
    if series is not None:
        items = [item for item in items if item.series_uid == series]
    if len(items) == 1:
        if items[0].series_uid:
            _refuse_broken(problems, ReadError)
        return items[0]
    if items:
        _refuse_several(items, folder)
    wanted = "image" if series is None else f"series {series}"
    reason = next((error.message for _, error in problems), "it is empty")
    msg = f"{shown(folder)} holds no {wanted}: {reason}"
    kind = NoPixelsError if _all_without_pixels(problems) else ReadError
    raise kind(msg, path=folder, hint="`medcnn inspect` lists what is there.")


def _refuse_broken(
    problems: list[tuple[Path, ReadError]], kind: type[ReadError]
) -> None:
    """Raise the first error of a kind, unless it says that a file is no image.

    A file that cannot be read may be a slice of any series: nobody can tell whether the
    volume is complete without it.

    Raises:
        ReadError: If there is one.
    """
    for _, error in problems:
        is_other = isinstance(error, NoPixelsError | UnknownFormatError)
        if isinstance(error, kind) and not is_other:
            raise error


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


def _slide_items(files: list[Path]) -> list[Item]:
    """Make an item of each slide; its levels may be in several files.

    Raises:
        DecodeError: If a header cannot be parsed.
    """
    if not files:
        return []
    reader: Any = import_module("medcnn.io.slide.reader")

    def item(path: Path, series_uid: str, words: str) -> Item:
        return Item(
            path,
            series_uid,
            words,
            lambda options: reader.read_slide(path, series_uid, options),
            lambda options: iter((reader.read_slide(path, series_uid, options),)),
            lambda _: (reader.describe_slide(path, series_uid),),
        )

    return [item(*found) for found in reader.slides_in(files)]


def _series_items(
    files: list[Path], folder: Path, options: ReadOptions
) -> tuple[list[Item], list[tuple[Path, ReadError]]]:
    """Group DICOM files and make an item of each group."""
    if not files:
        return [], []
    series: Any = import_module("medcnn.io.dicom.volumes.series")
    groups, problems = series.group_files(files, options)
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


def _is_dicomdir(path: Path) -> bool:
    """Say whether a file is a DICOMDIR; what cannot be read is none."""
    try:
        return identify(path) is Kind.DICOMDIR
    except ReadError:
        return False


def _files_listed(path: Path) -> tuple[Path, ...]:
    """Return the files that a DICOMDIR lists.

    Raises:
        DecodeError: If it is refused.
    """
    directory: Any = import_module("medcnn.io.dicom.directory")
    return tuple(directory.files_listed(path))


def header_of(path: Path) -> Path | None:
    """Return the header whose voxels a file holds, by their names.

    Returns:
        None if it is an image of its own, or none of the usual names says whose it is.
    """
    if not path.name.lower().endswith(VOXELS):
        return None
    with suppress(ReadError):
        if _is_second_half(path, identify(path)):
            return nifti_pair(path)[0]
    bare = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    for header in (bare.with_suffix(ending) for ending in (".mhd", ".nhdr")):
        with suppress(ReadError):
            if header.is_file() and path in _voxel_files(header, identify(header)):
                return header
    return None


def _voxel_files(path: Path, kind: Kind) -> set[Path]:
    """Return the files that hold the voxels of a header, and are no images alone."""
    if kind not in {Kind.METAIMAGE, Kind.NRRD}:
        return set()
    reader: Any = reader_of(kind)
    return set(reader.voxel_files(path))


def _is_second_half(path: Path, kind: Kind) -> bool:
    """Say whether a file is the voxel half of a NIfTI pair, which comes with it."""
    return kind is Kind.NIFTI and nifti_pair(path)[0] != path


def _refuse_several(items: list[Item], folder: Path) -> NoReturn:
    """Say what there is to choose from.

    Raises:
        SeveralSeriesError: Always.
    """
    lines = tuple(item.words for item in items)
    hint = "Use load_study for all, or name one with series=UID or its own path."
    if len({item.series_uid for item in items}) == 1 and items[0].series_uid:
        lines = tuple(f"{item.words}, {shown(Path(item.path.name))}" for item in items)
        hint = "They share one series UID: use load_study, name one file, or give each "
        hint += "its own folder."
    listed = "; ".join(lines[:8]) + ("; ..." if len(lines) > 8 else "")
    msg = f"{shown(folder)} holds {len(items)} images: {listed}."
    raise SeveralSeriesError(msg, series=lines, path=folder, hint=hint)


def _all_without_pixels(problems: list[tuple[Path, ReadError]]) -> bool:
    """Say whether there is something, and all of it carries no pixels."""
    return bool(problems) and all(
        isinstance(error, NoPixelsError) for _, error in problems
    )
