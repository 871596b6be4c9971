"""What there is to do: the files in the order of the run, and what is done already."""

import hashlib
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from medcnn.errors import OutputError, ReadError
from medcnn.io import Found, discover, other_halves, status_of
from medcnn.screening.done import Done
from medcnn.screening.flow import Item
from medcnn.screening.lost import GONE, sifted
from medcnn.screening.names import common_root, name_of, path_of
from medcnn.screening.store import STORE, Fingerprint, Finished, Store
from medcnn.screening.whose import KEY
from medcnn.screening.wire import Failure, Reading
from medcnn.worklist import ERRORS, HEATMAPS, REPORT, RUN, THUMBNAILS, WORKLIST

__all__ = ["Source"]

_BATCH = 256
_DIGEST_BYTES = 7  # what fits into a number of the store
_OURS = (ERRORS, HEATMAPS, KEY, REPORT, RUN, STORE, THUMBNAILS, WORKLIST)
"""What a shell names, too, where all that is in an output folder is named by a star."""


class Source:
    """The files of a run.

    Args:
        paths: Absolute files and folders, none inside another.
        output: The output folder; what lies in it is not screened.
        retries: Whether files that could not be read earlier are tried again.

    Raises:
        ReadError: If a path does not exist or cannot be looked into, or none holds a
            file.
        OutputError: If nothing but the output folder itself is named.
    """

    def __init__(self, paths: list[Path], output: Path, *, retries: bool) -> None:
        ours = {output.resolve() / name for name in _OURS}
        paths = [path for path in paths if not ours & {path, *path.parents}]
        _check_paths(paths, output)
        self._paths = paths
        self._output = output
        self.done = Done(retries=retries)
        self._folders: set[str] = set()
        # what cannot be looked into from the start does not go away later
        places = {_place(path) for path in paths}
        self._places = {p: _device(p) for p in places if _holds_anything(p)}

    @property
    def root(self) -> str:
        """The folder that names are relative to; "" where there is no common one."""
        root = common_root(self._paths)
        return "" if root is None else name_of(root, None)

    @property
    def names(self) -> list[str]:
        """What was asked for, for run.json."""
        return [name_of(path, None) for path in self._paths]

    def count(self) -> int:
        """Return how many files there are.

        Raises:
            ReadError: If a folder went away.
        """
        return sum(1 for _ in self._found())

    def items(self, store: Store, *, only_new: bool = False) -> Iterator[Item | None]:
        """Yield what there is to do, with what earlier sessions did of it.

        Args:
            store: Knows what they did.
            only_new: Whether what they did is left out; see `Done.known`.
        """
        root = self._root(store)
        files = self._found()
        while batch := list(islice(files, _BATCH)):
            items = [self._item(found, root) for found in batch]
            yield from self.done.known(items, store, only_new=only_new)

    def _found(self) -> Iterator[Found]:
        """Yield all files, our own pictures not among them."""
        return discover(self._paths, apart_from=self._output)

    def _item(self, found: Found, root: Path | None) -> Item:
        name = name_of(found.path, root)
        if not found.problem:
            return Item(name, found.path, _fingerprint(found.path))
        self._folders.add(name)
        hint = "Ask for the right to read it, then run it again."
        reading = Reading(failure=Failure("folder", found.problem, hint))
        return Item(name, found.path, Fingerprint(), reading=reading)

    def sift(self, fresh: list[Finished]) -> tuple[list[Finished], ReadError | None]:
        """Tell files that are gone from a drive that is gone; see `sifted`."""
        return sifted(fresh, self._gone)

    def _gone(self) -> ReadError | None:
        """Say that a folder is not there any more, is on another drive, or is empty."""
        for place, before in self._places.items():
            if _device(place) == before and _holds_anything(place):
                continue
            msg = f"{name_of(place, None)} cannot be reached any more."
            return ReadError(msg, path=place, hint=GONE)
        return None

    def forget_mended_folders(self, store: Store) -> None:
        """Remove the rows of folders that could not be looked into, but now can."""
        root = self._root(store)
        gone = [name for name in store.folders() if name not in self._folders]
        mended = [name for name in gone if os.access(path_of(name, root), os.R_OK)]
        if mended:
            store.forget(mended)

    @staticmethod
    def _root(store: Store) -> Path | None:
        text = store.fact("root")
        return path_of(text, None) if text else None


def _check_paths(paths: list[Path], output: Path) -> None:
    """Refuse paths in which there is nothing to do.

    Raises:
        ReadError: If one does not exist or cannot be looked into, or none holds a file.
        OutputError: If nothing but the output folder is named.
    """
    if paths and all(path == output.resolve() for path in paths):
        msg = f"{name_of(paths[0], None)} is to be screened, and is the output as well:"
        msg += " what lies in an output folder is not screened."
        raise OutputError(msg, hint="Choose another --output, such as one below it.")
    refused = None
    for found in discover(paths, apart_from=output):
        if not found.problem or found.path not in paths:
            return
        refused = refused or found
    if refused is None:
        where = ", ".join(name_of(path, None) for path in paths) or "an empty list"
        msg = f"No files were found in {where}."
        raise ReadError(msg, hint="Name a folder that holds images, or the files.")
    msg = f"{name_of(refused.path, None)} gives nothing to screen: {refused.problem}."
    hint = "Ask for the right to read it."
    raise ReadError(msg, path=refused.path, hint=hint)


def _place(path: Path) -> Path:
    """Return a folder itself, of a file or archive the folder that holds it."""
    return next((p for p in (path, *path.parents) if p.is_dir()), path)


def _device(folder: Path) -> int | None:
    """Return which drive a folder is on; None if it is gone."""
    try:
        return folder.stat().st_dev
    except OSError:
        return None


def _holds_anything(folder: Path) -> bool:
    """Say whether a folder can be listed and is not empty."""
    try:
        with os.scandir(folder) as found:
            return next(found, None) is not None
    except OSError:
        return False


def _fingerprint(path: Path) -> Fingerprint:
    """Return by what a change is noticed of a file, or of the other half of its image.

    Only the state of what is there counts: a half that comes later is a change, too.
    """
    status = _status(path)
    if status is None:
        try:
            status = status_of(path)  # it may lie in an archive
        except ReadError:
            return Fingerprint()
    own = status.st_size, status.st_mtime_ns
    halves = [half for name in other_halves(path) if (half := _status(name))]
    if not halves:
        return Fingerprint(*own)
    states = [own, *((half.st_size, half.st_mtime_ns) for half in halves)]
    digest = hashlib.sha256(repr(states).encode()).digest()
    return Fingerprint(
        sum(size for size, _ in states), int.from_bytes(digest[:_DIGEST_BYTES])
    )


def _status(path: Path) -> os.stat_result | None:
    """Return the status of a file; None if it is not there."""
    try:
        return os.stat(path)  # noqa: PTH116 - for every file, each time
    except (OSError, ValueError):
        return None
