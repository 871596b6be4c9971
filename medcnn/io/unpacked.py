"""Real files for paths that lead into archives, and the way back in what is said.

Readers open files. While an `Unpacked` is open, `real` gives them one for any path; on
the way out, images and errors name what the caller named.
"""

import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from gzip import BadGzipFile, GzipFile
from pathlib import Path
from typing import TypeVar

from medcnn.errors import DecodeError, ReadError, SeveralSeriesError, UnknownFormatError
from medcnn.image import Image
from medcnn.io.archive import Place, extract, is_archive, members, place_of
from medcnn.io.description import Description
from medcnn.io.regular import open_regular
from medcnn.io.source import MAX_FILE_BYTES, packed_kind, shown

__all__ = ["Unpacked", "unpacked"]

_PREFIX = "medcnn-unpacked-"
_STALE_S = 86_400
_PIECE_BYTES = 2**20
_SMALL_BYTES = 2**26
_MAX_RATIO = 250
_PAIRED = {".hdr": (".img",), ".img": (".hdr",), ".mhd": (), ".nhdr": ()}

Named = TypeVar("Named", Image, Description)


class Unpacked:
    """Files that were unpacked; they are gone when it is closed."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._archives: dict[Path, Path] = {}
        self._names: dict[Path, Path] = {}

    def real(self, path: Path) -> Path:
        """Return a file that can be opened: the path itself, or what it stands for.

        Raises:
            ReadError: If there is no such member, or it is broken or refused.
            UnknownFormatError: If it is an archive itself.
        """
        place = place_of(path)
        if place is not None and not place.inside:
            members(path)  # says what is wrong with it
            msg = f"{shown(path)} is an archive of files, not an image."
            hint = "Name it, or a member of it: archive.zip/folder/file."
            raise UnknownFormatError(msg, path=path, hint=hint)
        if place is not None:
            return self._member(place, path)
        kind = packed_kind(path)
        return path if kind is None else self._gunzipped(path)

    def named(self, path: Path) -> Path:
        """Return the path that the caller knows."""
        for folder, name in self._names.items():
            if path == folder:
                return name
            if path.is_relative_to(folder):
                return name / path.relative_to(folder)
        return path

    def said(self, text: str) -> str:
        """Return a sentence with the paths that the caller knows."""
        for folder, name in self._names.items():
            text = text.replace(shown(folder), shown(name))
        return text

    def problem(self, path: Path, error: ReadError) -> tuple[Path, str]:
        """Return (path, reason) with the paths that the caller knows."""
        return self.named(path), self.said(str(error))

    def renamed(self, thing: Named) -> Named:
        """Return an image or description with the source that the caller knows."""
        source: Path | None = thing.source
        if source is None or self._folder is None:
            return thing
        return replace(thing, source=self.named(source))

    def close(self) -> None:
        """Remove what was unpacked."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def _member(self, place: Place, path: Path) -> Path:
        """Unpack a member, and what belongs to it by its name.

        Raises:
            ReadError: If it is a folder, or refused.
            UnknownFormatError: If it is an archive itself.
        """
        target = self._below(place.archive) / place.inside
        if not target.exists():
            names = members(path)
            if names != ("",):
                msg = f"{shown(path)} is a folder of an archive, not a file."
                raise ReadError(msg, path=path)
            for inside in (place.inside, *_partners(place)):
                self._write(Place(place.archive, inside))
        if is_archive(target):
            msg = f"{shown(path)} is an archive in an archive; it was not opened."
            raise UnknownFormatError(msg, path=path, hint="Unpack the outer one.")
        return target if packed_kind(target) is None else self._gunzipped(target)

    def _write(self, place: Place) -> None:
        """Unpack one member into the temporary folder.

        Raises:
            ReadError: If it is refused, or there is no space.
        """
        target = self._below(place.archive) / place.inside
        path = place.archive / place.inside
        if target.exists():
            return
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                extract(place, file)
        except ReadError:
            target.unlink(missing_ok=True)
            raise
        except OSError as error:
            msg = f"{shown(path)} cannot be unpacked: {error.strerror or error}."
            hint = "Free some space for temporary files, or set TMPDIR."
            raise ReadError(msg, path=path, hint=hint) from error

    def _gunzipped(self, path: Path) -> Path:
        """Unpack a gzip file that holds one image.

        Raises:
            DecodeError: If it is broken, or unpacks to more than any image.
        """
        if path in self._archives:
            return self._archives[path]
        name = self.named(path)
        target = self._new_folder() / (path.stem or "image")
        most = max(_SMALL_BYTES, path.stat().st_size * _MAX_RATIO)
        try:
            with (
                open_regular(path) as opened,
                GzipFile(fileobj=opened) as source,
                target.open("wb") as file,
            ):
                have = 0
                while piece := source.read(_PIECE_BYTES):
                    have += len(piece)
                    if have > min(most, MAX_FILE_BYTES):
                        msg = (
                            f"{shown(name)} unpacks to more than any image of its size."
                        )
                        raise DecodeError(msg, path=name)
                    file.write(piece)
        except (BadGzipFile, EOFError, OSError, zlib.error) as error:
            msg = f"{shown(name)} is a gzip file that is broken or cut off."
            raise DecodeError(msg, path=name, hint="Copy it again.") from error
        self._names[target] = name
        self._archives[path] = target
        return target

    def _below(self, archive: Path) -> Path:
        """Return the folder that the members of an archive are unpacked into."""
        if archive not in self._archives:
            folder = self._new_folder()
            self._archives[archive] = folder
            self._names[folder] = archive
        return self._archives[archive]

    def _new_folder(self) -> Path:
        """Make a folder below the temporary one; names are equally long."""
        if self._folder is None:
            _sweep(tempfile.gettempdir())
            self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        folder = self._folder / f"{len(self._archives):08d}"
        folder.mkdir()
        return folder


@contextmanager
def unpacked() -> Iterator[Unpacked]:
    """Give real files for paths into archives; errors name what the caller named.

    Raises:
        ReadError: As it came, with the caller's names in it.
    """
    files = Unpacked()
    try:
        yield files
    except ReadError as error:
        error.message, error.hint = files.said(error.message), files.said(error.hint)
        error.args = (error.message, error.hint)
        error.path = files.named(error.path) if error.path else None
        if isinstance(error, SeveralSeriesError):
            error.series = tuple(files.said(line) for line in error.series)
        raise
    finally:
        files.close()


def _partners(place: Place) -> list[str]:
    """Return the members that belong to one by their name, such as the voxels."""
    bare = place.inside.removesuffix(".gz")
    stem, suffix = os.path.splitext(bare)  # noqa: PTH122 - a member, not a path
    if suffix.lower() not in _PAIRED:
        return []
    everything = members(place.archive)
    return [n for n in everything if n.startswith(stem + ".") and n != place.inside]


@cache
def _sweep(temporary: str) -> None:
    """Remove what a process left behind that was killed more than a day ago; once."""
    for folder in Path(temporary).glob(_PREFIX + "*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _STALE_S:
                shutil.rmtree(folder, ignore_errors=True)
