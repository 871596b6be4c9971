"""Names of files in a run: stable, unique, plain text on one line, and reversible."""

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

__all__ = [
    "common_root",
    "name_of",
    "name_of_url",
    "outermost",
    "path_of",
    "picture_stem",
]

_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")
_UNDECODABLE = range(0xDC80, 0xDD00)


def outermost(paths: Sequence[Path]) -> list[Path]:
    """Return absolute paths in the order given, without those inside another one.

    So that no file is met twice.
    """
    absolute = list(dict.fromkeys(_absolute(path) for path in paths))
    return [p for p in absolute if not any(q in p.parents for q in absolute)]


def common_root(paths: Sequence[Path]) -> Path | None:
    """Return the folder that names are relative to; None where there is no common one.

    One folder is its own root; otherwise it is the folder that holds everything.
    """
    if len(paths) == 1 and paths[0].is_dir():
        return paths[0]
    try:
        return Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError:  # on different drives
        return None


def name_of(path: Path, root: Path | None) -> str:
    r"""Return a file's name in a run: relative to the root where it lies below it.

    What cannot be printed on one line is written as an escape, and so is the backslash;
    `path_of` undoes it.

    Examples:
        >>> name_of(Path("/films/a\nb.dcm"), Path("/films"))
        'a\\x0ab.dcm'
    """
    text = path.as_posix()
    if root is not None:
        text = text.removeprefix(root.as_posix().rstrip("/") + "/")
    return _on_one_line(text)


def name_of_url(url: str, root: str = "") -> str:
    """Return a file's name in a run whose files lie below a URL.

    Examples:
        >>> name_of_url("s3://films/a/b.dcm", "s3://films")
        'a/b.dcm'
    """
    return _on_one_line(url.removeprefix(f"{root}/") if root else url)


def _on_one_line(text: str) -> str:
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(_escaped(c) for c in text)


def path_of(name: str, root: Path | None) -> Path:
    r"""Return the file that `name_of` named.

    Examples:
        >>> path_of("a\\x0ab.dcm", Path("/films")) == Path("/films/a\nb.dcm")
        True
    """
    text = _ESCAPE.sub(_unescaped, name)
    return Path(text) if root is None else root / text


def picture_stem(name: str) -> str:
    """Return a file name for an image's pictures that tells nothing about it.

    Examples:
        >>> picture_stem("ward 3/Doe^John.dcm")
        'faada828d49989e7df1a2e35'
    """
    return hashlib.sha256(name.encode()).hexdigest()[:24]


def _absolute(path: Path) -> Path:
    """Resolve links to folders, but not a link that stands for a file."""
    return path.resolve() if path.is_dir() else path.parent.resolve() / path.name


def _escaped(character: str) -> str:
    code = ord(character)
    if code in _UNDECODABLE:  # a byte that is no UTF-8, as os.fsdecode keeps it
        return f"\\u{code:04x}"
    if character.isprintable() and character != "\\":
        return character
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _unescaped(match: re.Match[str]) -> str:
    digits = next(group for group in match.groups() if group)
    return chr(int(digits, 16))
