"""What there is to do: the files in the order of the run, and what is done already."""

import os
from collections.abc import Iterator
from pathlib import Path

from medcnn.errors import ReadError
from medcnn.io import discover, status_of
from medcnn.results import Status
from medcnn.screening.flow import Item
from medcnn.screening.names import name_of, path_of
from medcnn.screening.store import Fingerprint, Store
from medcnn.screening.wire import Failure, Reading

__all__ = ["Source"]


class Source:
    """The files of a run.

    Args:
        paths: Absolute files and folders, none inside another.
        output: The output folder; what lies in it is not screened.
        retries: Whether files that could not be read earlier are tried again.

    Raises:
        ReadError: If a path does not exist or cannot be looked into, or none holds a
            file.
    """

    def __init__(self, paths: list[Path], output: Path, *, retries: bool) -> None:
        _check_paths(paths)
        self._paths = paths
        self._output = output
        self._retries = retries
        self._folders: set[str] = set()

    def items(self, store: Store) -> Iterator[Item]:
        """Yield what there is to do, with what earlier sessions did of it."""
        root = self._root(store)
        inside = os.path.join(self._output.resolve(), "")  # noqa: PTH118 - as a prefix
        for found in discover(self._paths):
            if os.fspath(found.path).startswith(inside):
                continue  # our own pictures
            name = name_of(found.path, root)
            print_of_file = _fingerprint(found.path)
            item = Item(name, found.path, print_of_file)
            if found.problem:
                self._folders.add(name)
                item.fingerprint = Fingerprint()
                hint = "Ask for the right to read it, then run it again."
                item.reading = Reading(failure=Failure("folder", found.problem, hint))
            known = store.find(name)
            if known is not None and known.fingerprint == item.fingerprint:
                is_error = known.case.status is Status.ERROR
                if not (is_error and self._retries):
                    item.case = known.case
            yield item

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


def _check_paths(paths: list[Path]) -> None:
    """Refuse paths in which there is nothing to do.

    Raises:
        ReadError: If one does not exist or cannot be looked into, or none holds a file.
    """
    refused = None
    for found in discover(paths):
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


def _fingerprint(path: Path) -> Fingerprint:
    try:
        status = status_of(path)
    except ReadError:
        return Fingerprint()
    return Fingerprint(status.st_size, status.st_mtime_ns)
