"""Folders to the files in them, streamed in a stable order.

Every file is one item here. Slices of one CT series are only known to belong together
once every header was read, so whoever wants volumes calls `medcnn.io.load_study`.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from medcnn.errors import ReadError
from medcnn.io.archive import is_archive, is_noise, members, place_of, status_of
from medcnn.io.data_set import item_of, items_in
from medcnn.io.kinds import Kind
from medcnn.io.source import identify, shown

__all__ = ["Found", "discover"]

_NEVER_ARCHIVES = {
    *(".bmp", ".dcm", ".gz", ".hdr", ".ima", ".img", ".jpeg", ".jpg", ".json", ".mha"),
    *(".mhd", ".nii", ".npy", ".npz", ".nrrd", ".png", ".raw", ".svs", ".tif", ".tiff"),
    *(".txt", ".csv"),
}
"""A file in a folder is not opened to look for an archive if it ends like this."""


@dataclass(frozen=True)
class Found:
    """One file that was found, or one folder that could not be looked into.

    Attributes:
        path: Where it is.
        name: Its path below the folder that was named; the file's name if it was
            named itself. Always with forward slashes.
        problem: Why a folder could not be looked into; empty for a file.
    """

    path: Path
    name: str
    problem: str = ""


def discover(
    paths: Iterable[str | Path], *, apart_from: Path | None = None
) -> Iterator[Found]:
    """Yield every file that is named, or that lies in or below a named folder.

    Names are sorted within each folder. Hidden files, DICOMDIR and SOURCES.md (what
    `medcnn samples` writes beside images) are skipped, and a folder that links lead to
    twice is entered once. What is no regular file is yielded too: reading refuses it
    with a reason, so that nothing vanishes silently.

    A zip archive counts as a folder: `a.zip/b/c.dcm` is a path that everything in
    `medcnn.io` understands. One that cannot be looked into is yielded itself. A
    DICOMDIR that is named gives the files that it lists. So does a data set in a .npz:
    `a.npz`, `a.npz/test` and `a.npz/test/7` can be named.

    Args:
        paths: Files, folders, archives, data sets and paths into these.
        apart_from: A folder that is never entered, by whatever link or name; one that
            is not there is no matter.

    Raises:
        ReadError: At once, if one of them does not exist.
    """
    roots = [Path(path) for path in paths]
    for root in roots:
        if not items_in(root) and item_of(root) is None:
            status_of(root)
    return _walk_all(roots, apart_from)


def _walk_all(roots: Iterable[Path], apart_from: Path | None) -> Iterator[Found]:
    """Yield the files of each root."""
    entered: set[tuple[int, int]] = set()
    if apart_from is not None:
        with suppress(OSError):
            _enter(apart_from, entered)
    for root in roots:
        items = items_in(root)
        if root.is_dir():
            yield from _walk(root, "", entered)
        elif items:
            for item in items:
                yield Found(item.path, item.path.relative_to(root).as_posix())
        elif place_of(root) is not None:
            yield from _members(root, root.name, "")
        elif _is_directory_file(root):
            yield from _listed(root)
        else:
            yield Found(root, root.name)


def _members(path: Path, name: str, prefix: str) -> Iterator[Found]:
    """Yield the files of an archive or of a folder in it; itself if it is refused."""
    try:
        inside = members(path)
    except ReadError:
        inside = ("",)
    for member in inside:
        if member:
            yield Found(path / member, prefix + member)
        else:
            yield Found(path, name)


def _is_directory_file(path: Path) -> bool:
    """Say whether a file is a DICOMDIR."""
    try:
        return identify(path) is Kind.DICOMDIR
    except ReadError:
        return False


def _listed(path: Path) -> Iterator[Found]:
    """Yield the files that a DICOMDIR lists; itself if it is refused."""
    directory: Any = import_module("medcnn.io.dicom.directory")
    try:
        files = directory.files_listed(path)
    except ReadError:
        yield Found(path, path.name)
        return
    for file in files:
        yield Found(file, file.relative_to(path.parent).as_posix())


def _walk(folder: Path, prefix: str, entered: set[tuple[int, int]]) -> Iterator[Found]:
    """Yield the files of a folder, entering sub-folders in turn.

    Args:
        folder: Where to look.
        prefix: What to put before names, "" or ending in a slash.
        entered: Device and inode of folders that were entered, extended here.
    """
    waiting = [iter([(folder, prefix, True)])]
    while waiting:
        path, name, is_folder = next(waiting[-1], (None, "", False))
        if path is None:
            waiting.pop()
        elif not is_folder:
            if path.suffix.lower() not in _NEVER_ARCHIVES and is_archive(path):
                yield from _members(path, name, f"{name}/")
            else:
                yield Found(path, name)
        else:
            try:
                if _enter(path, entered):
                    waiting.append(_entries(path, name))
            except OSError as error:
                reason = f"the folder cannot be read: {error.strerror or error}"
                yield Found(path, name.rstrip("/") or shown(path), reason)


def _enter(folder: Path, entered: set[tuple[int, int]]) -> bool:
    """Note that a folder is entered; False if it was before."""
    status = folder.stat()
    place = status.st_dev, status.st_ino
    is_new = place not in entered
    entered.add(place)
    return is_new


def _entries(folder: Path, prefix: str) -> Iterator[tuple[Path, str, bool]]:
    """List a folder: (path, name below the root, is it a folder), sorted by name.

    Only names are held, so that a folder of 100,000 files needs a few megabytes.
    """
    with os.scandir(folder) as found:
        names = sorted(
            (os.fsencode(entry.name), _is_folder(entry))
            for entry in found
            if not is_noise(entry.name)
        )
    return (
        (
            folder / os.fsdecode(raw),
            f"{prefix}{os.fsdecode(raw)}{'/' if is_folder else ''}",
            is_folder,
        )
        for raw, is_folder in names
    )


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Say whether an entry is a folder or a link to one; a dead link is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False
