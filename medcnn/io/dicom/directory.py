"""A DICOMDIR as a list of its files; it is only ever read.

References:
    [1] DICOM PS3.3 F.3.2.2 and PS3.10 section 8.5: a (0004,1500) Referenced File ID has
        up to 8 components of up to 8 characters, below the folder of the DICOMDIR; a
        (0004,1220) Directory Record Sequence is always there.
"""

from collections.abc import Iterator
from pathlib import Path

from medcnn.errors import DecodeError
from medcnn.io.dicom.parse import parse, quiet
from medcnn.io.dicom.structure import is_cut_off, start_of_data_set
from medcnn.io.dicom.tags import broken_as_decode_error
from medcnn.io.regular import open_regular
from medcnn.io.source import shown

__all__ = ["files_listed"]

_HINT = "Name the folder itself; its files are found without the DICOMDIR."


def files_listed(path: Path) -> tuple[Path, ...]:
    """Return the files that a DICOMDIR lists, in its order, each once.

    A file that is not there is listed too: reading it says so.

    Raises:
        DecodeError: If it cannot be parsed, is cut off, or names a file outside its
            folder.
    """
    what = "its list of files cannot be parsed"
    with quiet(), broken_as_decode_error(path, what):
        dataset, _ = parse(path)
        found = list(_names(dataset))
    if "DirectoryRecordSequence" not in dataset or _is_cut_off(path):
        msg = f"{shown(path)} is cut off: its list of files is not all there."
        raise DecodeError(msg, path=path, hint=_HINT)
    root = path.parent
    return tuple(dict.fromkeys(_below(root, name, path) for name in found))


def _is_cut_off(path: Path) -> bool:
    """Say whether a parsed file ends in the middle of its list."""
    with open_regular(path) as file:
        return is_cut_off(file, start_of_data_set(file))


def _names(dataset: "object") -> Iterator[tuple[str, ...]]:
    """Yield the components of each file that is in use."""
    for record in getattr(dataset, "DirectoryRecordSequence", None) or ():
        parts = record.get("ReferencedFileID")
        if parts and record.get("RecordInUseFlag", 0xFFFF) != 0:
            yield (parts,) if isinstance(parts, str) else tuple(map(str, parts))


def _below(root: Path, parts: tuple[str, ...], path: Path) -> Path:
    """Return the file below the root that components name, in either case.

    Raises:
        DecodeError: If it lies elsewhere, also by way of a link.
    """
    name = "/".join(parts)
    bad = any(
        part in {"", ".", ".."} or any(c in part for c in "/\\:\0") for part in parts
    )
    file = root
    for part in parts if not bad else ():
        # file ids are in capitals, also where a copy has other names
        lowered = file / part.lower()
        file = (
            lowered if lowered.exists() and not (file / part).exists() else file / part
        )
    if bad or not file.resolve().is_relative_to(root.resolve()):
        msg = f"{shown(path)} names {shown(Path(name))}, which is outside its folder."
        raise DecodeError(msg, path=path, hint=_HINT)
    return file
