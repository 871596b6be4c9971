"""What there is to do where the files lie in an object store or on a server."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from medcnn.errors import ReadError
from medcnn.screening.done import Done
from medcnn.screening.fetch import file_system
from medcnn.screening.flow import Item
from medcnn.screening.lost import GONE, sifted
from medcnn.screening.names import name_of_url
from medcnn.screening.store import Fingerprint, Finished, Store
from medcnn.screening.wire import Place

__all__ = ["RemoteSource"]

_BATCH = 256
_STAMPS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated")
"""What file systems call that which changes when a file does, the surest first."""


@dataclass(frozen=True)
class _Listed:
    """One file of a store."""

    url: str
    fingerprint: Fingerprint


class RemoteSource:
    """The files below one URL.

    Args:
        url: Of a folder or file.
        retries: Whether files that could not be read earlier are tried again.

    Raises:
        ReadError: If there is nothing.
        MissingDependencyError: If fsspec, or what it needs for this, is not installed.
    """

    def __init__(self, url: str, *, retries: bool) -> None:
        self.done = Done(retries=retries)
        self._url, self._files = _listing(url)
        if not self._files:
            msg = f"No files were found in {name_of_url(self._url)}."
            hint = "Check the address, and that its server can be reached; then name a "
            hint += "folder that holds images."
            raise ReadError(msg, hint=hint)

    @property
    def root(self) -> str:
        """What names are relative to."""
        return self._url if self._files[0].url != self._url else ""

    @property
    def names(self) -> list[str]:
        """What was asked for, for run.json."""
        return [name_of_url(self._url)]

    def count(self) -> int:
        """Return how many files there are."""
        return len(self._files)

    def items(self, store: Store, *, only_new: bool = False) -> Iterator[Item | None]:
        """Yield what there is to do, with what earlier sessions did of it.

        Args:
            store: Knows what they did.
            only_new: Whether what they did is left out; see `Done.known`.
        """
        noted = store.fact("root")  # of an earlier session, elsewhere perhaps
        root = self.root if noted is None else noted
        files = iter(self._files)
        while batch := list(islice(files, _BATCH)):
            items = [
                Item(name_of_url(f.url, root), Place(f.url), f.fingerprint)
                for f in batch
            ]
            yield from self.done.known(items, store, only_new=only_new)

    def sift(self, fresh: list[Finished]) -> tuple[list[Finished], ReadError | None]:
        """Tell files that are gone from a store that is gone; see `sifted`."""
        return sifted(fresh, self._gone)

    def _gone(self) -> ReadError | None:
        """Say that nothing is found below the URL any more."""
        try:
            is_there = bool(_listing(self._url)[1])
        except ReadError:
            is_there = False
        if is_there:
            return None
        msg = f"{name_of_url(self._url)} cannot be reached any more."
        return ReadError(msg, hint=GONE)

    def forget_mended_folders(self, store: Store) -> None:
        """Do nothing: a store has no folders that cannot be looked into."""


def _listing(url: str) -> tuple[str, list[_Listed]]:
    """Return a URL as its file system writes it, and all files below it, sorted.

    Raises:
        ReadError: If it cannot be looked into.
    """
    system, path = file_system(url)
    try:
        system.invalidate_cache()  # what it knows may be old
        found = system.find(path, detail=True)
    except Exception as error:
        # each file system raises what its library raises
        shown = name_of_url(url)
        msg = f"{shown} cannot be looked into: {type(error).__name__}: {error}"
        raise ReadError(msg, hint="Check the address and the right to go there.") from (
            error
        )
    files = [(system.unstrip_protocol(name), info) for name, info in found.items()]
    return str(system.unstrip_protocol(path)).rstrip("/"), [
        _Listed(name, _fingerprint(info))
        for name, info in sorted(files, key=lambda pair: pair[0])
        if not name.rsplit("/", 1)[-1].startswith(".")
    ]


def _fingerprint(info: dict[str, Any]) -> Fingerprint:
    """Return by what a change of a file is noticed."""
    size = info.get("size")
    stamp = next((info[key] for key in _STAMPS if info.get(key) is not None), "")
    digest = hashlib.sha256(str(stamp).encode()).digest()
    return Fingerprint(-1 if size is None else int(size), int.from_bytes(digest[:7]))
