"""Files of object stores and servers, as fsspec names them: s3://, gs://, https://.

A file is fetched whole into a temporary folder by the process that reads it.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from medcnn.errors import MissingDependencyError, ReadError
from medcnn.io import MAX_FILE_BYTES

__all__ = ["fetched", "file_system", "is_remote", "local_path"]

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.ASCII)


def is_remote(text: str) -> bool:
    """Say whether this is a URL and no path of this machine.

    Examples:
        >>> is_remote("s3://films/2026"), is_remote("C:/films")
        (True, False)
    """
    return _URL.match(text) is not None


def local_path(text: str) -> str:
    """Return the path that a file:// URL names; any other text as it is.

    Examples:
        >>> local_path("file:///data/ward%203")
        '/data/ward 3'
    """
    if not text.startswith("file://"):
        return text
    return unquote(urlsplit(text).path)


@contextmanager
def fetched(url: str) -> Iterator[Path]:
    """Fetch a file for as long as it is read.

    Raises:
        ReadError: If it cannot be had, or is too large.
    """
    with tempfile.TemporaryDirectory(prefix="medcnn-fetched-") as folder:
        # readers judge by content; only the ending of a name may mean something
        name = re.sub(r"[^\w.-]", "_", url.rsplit("/", 1)[-1], flags=re.ASCII)
        target = Path(folder) / (name[-80:] or "file")
        _download(url, target)
        yield target


def _download(url: str, target: Path) -> None:
    """Write what a URL names into a file.

    Raises:
        ReadError: If it cannot be had, or is too large.
    """
    system, path = file_system(url)
    try:
        size = system.info(path).get("size") or 0
        if size <= MAX_FILE_BYTES:
            system.get_file(path, str(target))
    except Exception as error:
        # each file system raises what its library raises
        msg = f"it cannot be fetched: {type(error).__name__}."
        hint = "Check the address and the right to read it; then --retry-errors."
        raise ReadError(msg, hint=hint) from error
    if size > MAX_FILE_BYTES:
        msg = f"it has {size} bytes; at most {MAX_FILE_BYTES}."
        raise ReadError(msg)


def file_system(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it.

    Raises:
        MissingDependencyError: If it is not installed.
        ReadError: If there is no such file system.
    """
    scheme = url.partition("://")[0]
    try:
        core: Any = import_module("fsspec.core")
        system, path = core.url_to_fs(url)
    except ImportError as error:
        words = {"s3": "s3fs", "gs": "gcsfs", "http": "aiohttp", "https": "aiohttp"}
        msg = f"{scheme}:// needs a package that is not installed: {error}"
        needed = f"fsspec {words.get(scheme, '')}".strip()
        raise MissingDependencyError(
            msg, hint=f"Add it: pip install {needed}"
        ) from error
    except ValueError as error:
        msg = f"{scheme}:// is no file system that is known: {error}"
        raise ReadError(msg, hint="s3://, gs:// and file:// are.") from error
    return system, str(path)
