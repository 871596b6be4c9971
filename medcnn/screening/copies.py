"""Files that hold the same DICOM instance: told when all files of a run are known.

Which of two files comes first must not depend on when each was added, so nothing is
decided while files are read. At the end the first by path is the image; another with
the same pixels is its copy, and one with other pixels is told of beside it.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

import numpy as np
import numpy.typing as npt

from medcnn.results import CaseResult, Status

__all__ = [
    "BY_RANK",
    "COPIES",
    "TALLY",
    "as_copy",
    "digest_of",
    "forget",
    "remember",
    "settle",
    "shared_numbers",
]

COPIES = """
create table if not exists instances (
    path text primary key, sop_uid text not null, digest text not null
) without rowid;
create index if not exists instances_by_number on instances (sop_uid);
create table if not exists copies (
    path text primary key, first text not null, is_same integer not null
) without rowid;
"""
"""Tables beside those of the store."""

BY_RANK = """
select record, copies.first from cases
left join copies on copies.path = cases.path and copies.is_same
order by iif(copies.path is null, rank_group, 3),
    iif(copies.path is null, rank_value, 0.0), cases.path
"""
"""All cases from the most urgent on; copies are out of scope, after everything else."""

TALLY = """
select case when copies.path is not null then 'out_of_scope'
    else coalesce(band, status) end as what, count(*)
from cases left join copies on copies.path = cases.path and copies.is_same
group by what
"""
"""How many cases came to what."""

_SHARED = """
select sop_uid, path, digest from instances where sop_uid in (
    select sop_uid from instances group by sop_uid having count(*) > 1
) order by sop_uid, path
"""
_MOST_TOLD = 100


def digest_of(tensor: npt.NDArray[np.float32] | None) -> str:
    """Return a checksum of what the network saw; "" if it saw nothing."""
    if tensor is None:
        return ""
    return hashlib.blake2b(
        np.ascontiguousarray(tensor).data, digest_size=16
    ).hexdigest()


def remember(link: sqlite3.Connection, found: Iterable[tuple[CaseResult, str]]) -> None:
    """Note which instance each case is of, and what it looks like."""
    for case, digest in found:
        number = case.identity.get("sop_uid") or ""
        if number and digest:
            row = (case.path, number, digest)
            link.execute("replace into instances values (?, ?, ?)", row)
        else:
            forget(link, case.path)


def forget(link: sqlite3.Connection, path: str) -> None:
    """Remove what was noted of a file."""
    link.execute("delete from instances where path = ?", (path,))


def settle(link: sqlite3.Connection) -> None:
    """Find all copies anew; inside a transaction."""
    link.execute("delete from copies")
    rows = link.execute(_SHARED).fetchall()
    for _, group in groupby(rows, key=lambda row: row[0]):
        (_, first, digest), *others = group
        for _, path, other in others:
            row = (path, first, int(other == digest))
            link.execute("insert into copies values (?, ?, ?)", row)


def as_copy(case: CaseResult, first: str) -> CaseResult:
    """Return the row of a file that repeats another."""
    reason = f"a copy of {first}: the same SOP Instance UID and the same pixels"
    return replace(
        case,
        status=Status.OUT_OF_SCOPE,
        band=None,
        prediction=None,
        reason=reason,
        heatmap="",
    )


def shared_numbers(link: sqlite3.Connection) -> Iterator[str]:
    """Yield a sentence for each file whose instance another file shows otherwise."""
    query = "select path, first from copies where not is_same order by path"
    rows = link.execute(query).fetchall()
    for path, first in rows[:_MOST_TOLD]:
        yield (
            f"{path} and {first} have one SOP Instance UID, but not the same pixels: "
            "another coding of one image, or two images. Both are listed."
        )
    if len(rows) > _MOST_TOLD:
        yield f"{len(rows) - _MOST_TOLD} more files share a SOP Instance UID so."
