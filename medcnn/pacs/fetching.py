"""From a search in an archive to files on disk, whatever is in the way."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from medcnn.dicom_out import is_own_result
from medcnn.errors import ArchiveError, ReadError
from medcnn.io.dicom.parse import parse, quiet
from medcnn.io.dicom.tags import text
from medcnn.outputs import cannot_write
from medcnn.pacs.spool import FullError, Spool, name_by_hash
from medcnn.pacs.web import WebArchive

__all__ = ["Fetched", "fetch"]

_NO_IMAGES = frozenset({"SR", "PR", "KO", "SEG", "RTSTRUCT", "RTPLAN", "DOC", "AU"})


@dataclass(frozen=True)
class Fetched:
    """What a search brought.

    Attributes:
        series: How many series matched.
        objects: How many objects are on disk now.
        problems: What could not be had, in words.
    """

    series: int
    objects: int
    problems: tuple[str, ...]


def fetch(
    archive: WebArchive,
    query: Mapping[str, str],
    spool: Spool,
    *,
    most: int = 1000,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Fetched:
    """Fetch the objects of all series that match into a spool.

    What cannot be had is told and the rest fetched; medcnn's own results are left out.
    Half a series is on disk then, but held back: a volume that lacks its last slices
    looks whole, and no result of it may go to an archive.

    Args:
        archive: Where.
        query: Which, see `medcnn.pacs.web.parse_query`.
        spool: Where to; objects that are there already stay as they are.
        most: Most series.
        progress: Called with (series done, series found).

    Raises:
        ArchiveError: If the archive cannot be searched.
    """
    found = archive.find(query, most=most)
    problems: list[str] = []
    objects = 0
    for done, uids in enumerate(found):
        progress(done, len(found))
        count, told = _fetch_series(archive, uids, spool)
        objects += count
        problems += [f"series {done + 1}: {problem}" for problem in told]
    progress(len(found), len(found))
    return Fetched(len(found), objects, tuple(problems))


def _fetch_series(
    archive: WebArchive, series: tuple[str, str], spool: Spool
) -> tuple[int, list[str]]:
    """Fetch the objects of a series; return how many are there, and what is wrong."""
    try:
        uids = archive.objects(*series)
    except ArchiveError as error:
        return 0, [error.message]
    if not uids:
        return 0, ["the archive does not have it any more"]
    found = [_fetch_one(archive, (*series, uid), spool) for uid in uids]
    problems = [problem for problem, _ in found if problem and problem != _OWN]
    kept = {key for _, key in found if key}
    if problems and kept:
        words = f"{len(problems)} of its {len(uids)} objects could not be fetched"
        problems.append(f"{words}, no result is sent back")
        for key in kept:
            spool.hold(key, words)
    return sum(not problem for problem, _ in found), problems


_OWN = "no image that is to be screened"


def _fetch_one(
    archive: WebArchive, uids: tuple[str, str, str], spool: Spool
) -> tuple[str, str]:
    """Fetch one object.

    Returns:
        Why it is not there, "" if it is; and the key of its series, "" if it is not.
    """
    try:
        with archive.fetched(*uids) as file:
            return _keep(file, uids, spool)
    except (ArchiveError, ReadError) as error:
        return error.message, ""
    except OSError as error:  # of the temporary file: the disk is full, say
        return cannot_write(Path(tempfile.gettempdir()), error).message, ""


def _keep(file: Path, uids: tuple[str, str, str], spool: Spool) -> tuple[str, str]:
    """Put a file into the spool; return why not, and the key of its series."""
    with quiet():
        header = parse(file, header_only=True)[0]
    keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    if tuple(text(header, keyword) for keyword in keywords) != uids:
        return "the archive sent another object than it was asked for", ""
    if is_own_result(header) or text(header, "Modality") in _NO_IMAGES:
        return _OWN, ""
    whose = (text(header, "PatientID"), *uids[:2])
    try:
        spool.keep(whose, uids[2], file)
    except FullError as error:
        return str(error), ""
    return "", name_by_hash(*whose)
