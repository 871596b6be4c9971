"""Zip archives as folders: `study.zip/series/slice.dcm` names a member.

Nothing of an archive is trusted: names stay below it, no member is a link, and sizes
are bounded as declared and again as they come out. An archive in an archive is refused.

References:
    [1] PKWARE APPNOTE 6.3.10, sections 4.3.7 and 4.3.12 to 4.3.16.
"""

import os
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import IO

from medcnn.errors import DecodeError, ReadError
from medcnn.io.kinds import Kind
from medcnn.io.regular import open_regular
from medcnn.io.source import is_zip, require, shown

__all__ = [
    "MAX_UNPACKED_BYTES",
    "Place",
    "contents",
    "extract",
    "is_archive",
    "is_noise",
    "members",
    "pieces",
    "place_of",
    "status_of",
]

MAX_UNPACKED_BYTES = 2**33
"""Most bytes that the members of one archive may declare together."""

MAX_MEMBERS = 100_000
"""Most members of one archive."""

_MAX_RATIO = 250
_SMALL_BYTES = 2**26
_MAX_DIRECTORY_BYTES = 2**26
_END, _END_64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q")
_LOCAL = struct.Struct("<4s5H3L2H")
_PIECE_BYTES = 2**20
_STORED, _DEFLATED = 0, 8
_NOISE = {
    *("__macosx", "desktop.ini", "dicomdir", "icon\r", "sources.md", "thumbs.db"),
}
_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "XZ"}
_BROKEN = (
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    UnicodeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
_HINT = "Unpack it with a tool you trust, and name the folder."


@dataclass(frozen=True)
class Place:
    """A path that leads into an archive.

    Attributes:
        archive: The archive's file.
        inside: Which member or folder of it, with forward slashes; "" for all of it.
    """

    archive: Path
    inside: str


def is_archive(path: Path) -> bool:
    """Say whether a path is a regular file that holds a zip archive of files."""
    try:
        return stat.S_ISREG(path.stat().st_mode) and is_zip(path) is Kind.ARCHIVE
    except (OSError, ValueError):
        return False


def place_of(path: Path) -> Place | None:
    """Return the archive that a path is or leads into; None for any other path."""
    if is_archive(path):
        return Place(path, "")
    if os.path.lexists(path) or "\0" in os.fspath(path):
        return None
    for parent in path.parents:
        if parent.is_dir():
            return None
        if is_archive(parent):
            return Place(parent, path.relative_to(parent).as_posix())
    return None


def status_of(path: Path) -> os.stat_result:
    """Return the status of a file or folder; for a member, that of its archive.

    Raises:
        ReadError: If there is none.
    """
    place = place_of(path)
    if place is None or not place.inside:
        return require(path)
    members(path)
    return require(place.archive)


def members(path: Path) -> tuple[str, ...]:
    """Return the files in an archive or a folder of it, sorted as folders are.

    Args:
        path: An archive, or a path into one.

    Returns:
        Names below the path; "" alone if the path is a file itself.

    Raises:
        ReadError: If there is no such member, or the archive is broken or refused.
    """
    place = place_of(path)
    if place is None:
        msg = f"{shown(path)} is no archive."
        raise ReadError(msg, path=path)
    names = contents(place.archive)
    if not place.inside:
        return tuple(names)
    if place.inside in names:
        return ("",)
    prefix = place.inside + "/"
    found = tuple(
        name.removeprefix(prefix) for name in names if name.startswith(prefix)
    )
    if not found:
        msg = f"{shown(place.archive)} holds no {shown(Path(place.inside))}."
        raise ReadError(msg, path=path, hint="Check the spelling.")
    return found


def extract(place: Place, file: IO[bytes]) -> None:
    """Write one member into an open file.

    Raises:
        DecodeError: If it is broken, or larger than declared.
        ReadError: If it is encrypted, a link, or packed in a way that is not read.
    """
    file.writelines(pieces(place))


def pieces(place: Place) -> Iterator[bytes]:
    """Yield the bytes of one member, a mebibyte or less at a time.

    Raises:
        DecodeError: If it is broken, or larger than declared.
        ReadError: If it is encrypted, a link, or packed in a way that is not read.
    """
    path = place.archive / place.inside
    info = contents(place.archive)[place.inside]
    _check_member(info, path)
    checksum = 0
    try:
        with open_regular(place.archive) as source:
            for piece in _unpack(source, info):
                checksum = zlib.crc32(piece, checksum)
                yield piece
    except _BROKEN as error:
        msg = f"{shown(path)} cannot be unpacked ({type(error).__name__}: {error})."
        raise DecodeError(msg, path=path, hint="Copy the archive again.") from error
    if checksum != info.CRC:
        msg = f"{shown(path)} is broken: its checksum is not that of the archive."
        raise DecodeError(msg, path=path, hint="Copy the archive again.")


def contents(archive: Path) -> Mapping[str, zipfile.ZipInfo]:
    """Return the members of an archive by name.

    Raises:
        ReadError: If it is broken, hostile or too large.
    """
    status = require(archive)
    return _parsed(archive, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4)
def _parsed(archive: Path, size: int, changed_ns: int) -> Mapping[str, zipfile.ZipInfo]:
    """Parse the directory of an archive; once, as long as it does not change.

    Raises:
        DecodeError: If it is broken, hostile or too large.
    """
    del changed_ns
    try:
        _check_directory(archive, size)
        with open_regular(archive) as opened, zipfile.ZipFile(opened) as file:
            infos = [info for info in file.infolist() if not info.is_dir()]
    except _BROKEN as error:
        msg = f"{shown(archive)} is a zip archive that is broken or cut off."
        raise DecodeError(msg, path=archive, hint="Copy it again.") from error
    names = [_plain(info.filename) for info in infos]
    refusal = _refusal(names, infos)
    if refusal:
        msg = f"{shown(archive)} is refused: {refusal}."
        raise DecodeError(msg, path=archive, hint=_HINT)
    order = sorted(zip(names, infos, strict=True), key=lambda one: _order(one[0]))
    return MappingProxyType(
        {name: info for name, info in order if not any(map(is_noise, name.split("/")))}
    )


def _check_directory(archive: Path, size: int) -> None:
    """Refuse a directory that is too large to be parsed, before it is.

    Raises:
        BadZipFile: If it is.
    """
    with open_regular(archive) as file:
        file.seek(max(size - _END.size - 2**16, 0))
        tail = file.read()
        at = tail.rfind(b"PK\5\6")
        *_, length, _, _ = _END.unpack(tail[at : at + _END.size])
        locator = tail[max(at - 20, 0) : at]
        if length == 2**32 - 1 and locator.startswith(b"PK\6\7"):
            file.seek(struct.unpack("<Q", locator[8:16])[0])
            *_, length, _ = _END_64.unpack(file.read(_END_64.size))
    if length > _MAX_DIRECTORY_BYTES:
        msg = f"its directory has {length} bytes"
        raise zipfile.BadZipFile(msg)


def _refusal(names: list[str], infos: list[zipfile.ZipInfo]) -> str:
    """Say why an archive is not looked into; empty if it is."""
    if len(names) > MAX_MEMBERS:
        return f"it has {len(names)} members; at most {MAX_MEMBERS}"
    total = sum(info.file_size for info in infos)
    if total > MAX_UNPACKED_BYTES:
        return f"it unpacks to {total} bytes; at most {MAX_UNPACKED_BYTES}"
    bad = next((name for name in names if not _is_below(name)), None)
    if bad is not None:
        return f"its member {shown(Path(bad))} lies outside it"
    return _clash(names)


def _clash(names: list[str]) -> str:
    """Say which two members cannot both be unpacked; empty if all can."""
    seen = set(names)
    if len(seen) < len(names):
        twice, _ = Counter(names).most_common(1)[0]
        return f"two of its members are named {shown(Path(twice))}"
    mixed = next((n for n in names if any(p in seen for p in _parents(n))), None)
    if mixed is not None:
        return f"its member {shown(Path(mixed))} lies in what is a file"
    return ""


def _plain(name: str) -> str:
    """Return a member's name with forward slashes, without parts that mean nothing."""
    first, *parts = name.replace("\\", "/").split("/")
    kept = [part for part in parts if part not in {"", "."}]
    return "/".join(kept if first == "." and kept else [first, *kept])


def _is_below(name: str) -> bool:
    """Say whether a name stays below the archive, and can be a file's name."""
    parts = name.split("/")
    is_plain = all(
        part not in {"", ".", ".."} and len(os.fsencode(part)) <= 255 for part in parts
    )
    is_drive = len(parts[0]) >= 2 and parts[0][1] == ":"
    return is_plain and "\0" not in name and not is_drive and len(name) <= 1000


def _parents(name: str) -> list[str]:
    """Return the folders above a member."""
    return [str(parent) for parent in PurePosixPath(name).parents][:-1]


def is_noise(name: str) -> bool:
    """Say whether a file or folder of this name is skipped wherever files are found.

    Hidden ones are, and what operating systems, media and `medcnn samples` write.
    """
    return name.startswith(".") or name.lower() in _NOISE


def _order(name: str) -> list[bytes]:
    """Sort members as `discover` sorts files: by bytes, folder by folder."""
    return [os.fsencode(part) for part in name.split("/")]


def _check_member(info: zipfile.ZipInfo, path: Path) -> None:
    """Refuse a member that is no plain file.

    Raises:
        DecodeError: If it is a bomb.
        ReadError: If it is encrypted, a link, or packed in another way.
    """
    if info.flag_bits & 0x41:
        msg = f"{shown(path)} is encrypted."
        raise ReadError(msg, path=path, hint="Unpack it with its password.")
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
        msg = f"{shown(path)} is a link or device, not a file; it was not unpacked."
        raise ReadError(msg, path=path)
    method = info.compress_type
    if method not in {_STORED, _DEFLATED}:
        name = _METHODS.get(method, f"method {method}")
        msg = f"{shown(path)} is packed with {name}; deflate is read."
        raise ReadError(msg, path=path, hint=_HINT)
    ratio = info.file_size / max(info.compress_size, 1)
    if info.file_size > _SMALL_BYTES and ratio > _MAX_RATIO:
        msg = f"{shown(path)} unpacks to {ratio:.0f} times its size; no image does."
        raise DecodeError(msg, path=path, hint="Unpack it by hand if you trust it.")


def _unpack(source: IO[bytes], info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield a member's bytes.

    Raises:
        BadZipFile: If there are more or fewer bytes than declared.
    """
    source.seek(info.header_offset)
    magic, *_, name_size, extra_size = _LOCAL.unpack(source.read(_LOCAL.size))
    if magic != b"PK\3\4":
        msg = "it has no local header"
        raise zipfile.BadZipFile(msg)
    source.seek(name_size + extra_size, os.SEEK_CUR)
    stream = zlib.decompressobj(-15) if info.compress_type == _DEFLATED else None
    packed_left, left = info.compress_size, info.file_size
    while packed_left and (piece := source.read(min(_PIECE_BYTES, packed_left))):
        packed_left -= len(piece)
        while piece:
            out = stream.decompress(piece, _PIECE_BYTES) if stream else piece
            piece = stream.unconsumed_tail if stream else b""
            left -= len(out)
            if left < 0:
                msg = "it is larger than declared"
                raise zipfile.BadZipFile(msg)
            yield out
    if left or packed_left:
        msg = "it is cut off"
        raise zipfile.BadZipFile(msg)
