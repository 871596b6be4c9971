"""Files that are there twice: the same instance, to the bit or to the pixel."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from medcnn.errors import ReadError
from medcnn.io.dicom.volumes.records import FileRecord
from medcnn.io.source import shown

__all__ = ["without_copies"]

SamePixels = Callable[[FileRecord, FileRecord], bool]


def without_copies(
    records: Sequence[FileRecord], same_pixels: SamePixels
) -> tuple[list[FileRecord], int]:
    """Drop files that repeat another one's instance.

    Args:
        records: The files of a series.
        same_pixels: Says whether two files decode to the same pixels; it is asked
            only for files that share an instance UID but not their bytes.

    Returns:
        The files without copies, and how many copies there were.

    Raises:
        ReadError: If two files have one SOP Instance UID but differ in what they show.
    """
    firsts: dict[str, FileRecord] = {}
    kept = []
    for record in records:
        uid = record.planes[0].sop_uid
        first = firsts.setdefault(uid, record) if uid else record
        if first is record:
            kept.append(record)
        elif not _is_copy(first, record, same_pixels):
            names = " and ".join(
                shown(Path(Path(r.path).name)) for r in (first, record)
            )
            msg = f"{names} have one SOP Instance UID but differ in what they show."
            raise ReadError(
                msg, path=Path(record.path), hint="Keep the one that is meant."
            )
    return kept, len(records) - len(kept)


def _is_copy(first: FileRecord, second: FileRecord, same_pixels: SamePixels) -> bool:
    """Say whether two files show the same."""
    one, two = Path(first.path), Path(second.path)
    if (
        one.stat().st_size == two.stat().st_size
        and one.read_bytes() == two.read_bytes()
    ):
        return True
    # how the pixels are packed may differ, what is said of them may not
    return [replace(p, form=0) for p in first.planes] == [
        replace(p, form=0) for p in second.planes
    ] and same_pixels(first, second)
