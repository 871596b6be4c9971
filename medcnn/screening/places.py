"""Where the files of a run lie: on paths of this machine, or below one URL."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from medcnn.errors import ReadError
from medcnn.screening.done import Done
from medcnn.screening.fetch import is_remote, local_path
from medcnn.screening.flow import Item
from medcnn.screening.names import outermost
from medcnn.screening.remote import RemoteSource
from medcnn.screening.source import Source
from medcnn.screening.store import Finished, Store

__all__ = ["Files", "files_of"]


class Files(Protocol):
    """What there is to do, wherever it lies."""

    @property
    def done(self) -> Done:
        """What looks up what earlier sessions finished."""

    @property
    def root(self) -> str:
        """What names are relative to; "" if to nothing."""

    @property
    def names(self) -> list[str]:
        """What was asked for, for run.json."""

    def count(self) -> int:
        """Return how many files there are."""

    def items(self, store: Store, *, only_new: bool = False) -> Iterator[Item | None]:
        """Yield what there is to do, with what earlier sessions did of it."""

    def sift(self, fresh: list[Finished]) -> tuple[list[Finished], ReadError | None]:
        """Tell files that are gone from a place that is gone."""

    def forget_mended_folders(self, store: Store) -> None:
        """Remove the rows of folders that could not be looked into, but now can."""


def files_of(wanted: Sequence[str | Path], output: Path, *, retries: bool) -> Files:
    """Return the files of a run, in folders or below one URL.

    Args:
        wanted: Files and folders, or one URL such as s3://bucket/films.
        output: The output folder; what lies in it is not screened.
        retries: Whether files that could not be read earlier are tried again.

    Raises:
        ReadError: If a path does not exist, none holds a file, or several places are
            named and one of them is a URL.
        MissingDependencyError: If what a URL needs is not installed.
    """
    texts = [local_path(os.fspath(one)) for one in wanted]
    if not any(is_remote(text) for text in texts):
        paths = outermost([Path(text) for text in texts])
        return Source(paths, output, retries=retries)
    if len(texts) > 1:
        msg = f"a URL is screened alone; got {len(texts)} places"
        raise ReadError(msg, hint="Name the folder above them, or use several runs.")
    return RemoteSource(texts[0], retries=retries)
