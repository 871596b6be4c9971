"""Splits that share no patient and no image."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from medcnn.dataset.cases import CaseTable
from medcnn.errors import DataError

__all__ = [
    "assign_splits",
    "content_hashes",
    "data_sha256",
    "groups_of_cases",
    "stratum_by",
]


def content_hashes(table: CaseTable) -> tuple[str, ...]:
    """Return the SHA-256 of each case's file, or of all files of its folder.

    An image in an archive or a data set has the file's SHA-256 and its name in it.
    """
    return tuple(_content_hash(case.path) for case in table.cases)


def data_sha256(table: CaseTable, hashes: Sequence[str]) -> str:
    """Return one checksum of all contents, truths, places, patients and splits."""
    digest = hashlib.sha256(repr((table.labels, table.activation)).encode())
    for case, content in zip(table.cases, hashes, strict=True):
        facts = (content, sorted(case.truth.items()), case.patient_id, case.split)
        digest.update(repr((*facts, sorted(case.attributes.items()))).encode())
        for label, place in sorted(case.places.items()):
            mask = _content_hash(place.mask) if place.mask else ""
            digest.update(repr((label, place.boxes, mask)).encode())
    return digest.hexdigest()


def assign_splits(
    table: CaseTable,
    hashes: Sequence[str],
    *,
    rng: np.random.Generator,
    val_share: float = 0.15,
) -> CaseTable:
    """Give every case a split; what the table says already is kept.

    Where there is no val, it is drawn from train by patients, so that each value of
    the main label (each class) gives about `val_share` of its cases. Images with the
    same content stay together whatever patient they are said to be of.

    Args:
        table: Cases.
        hashes: What tells images apart: their `content_hashes`, or what `joined` says.
        rng: Decides who goes where.
        val_share: Share of the cases that go to val, above 0 and below 1.

    Raises:
        DataError: If only some cases have a split, or too few are there to draw from.
    """
    stated = [case.split for case in table.cases]
    if any(stated) and not all(stated):
        path = table.cases[stated.index(None)].path
        msg = f"{table.source}: {stated.count(None)} cases have no split, as {path}"
        raise DataError(msg, hint="Fill the column for all cases, or leave it out.")
    if "val" in stated:
        if "train" not in stated:
            msg = f"{table.source} has no case with split train"
            raise DataError(msg)
        return table
    free = [n for n, split in enumerate(stated) if split in {None, "train"}]
    chosen = _draw(table, free, groups_of_cases(table, hashes), rng, val_share)
    if not chosen or len(chosen) == len(free):
        msg = f"{table.source}: {len(free)} cases are too few to set a val split apart"
        raise DataError(msg, hint="Add patients, or a split column.")
    cases = [
        replace(case, split="val" if n in chosen else case.split or "train")
        for n, case in enumerate(table.cases)
    ]
    return replace(table, cases=tuple(cases))


def _content_hash(path: Path) -> str:
    """Return the SHA-256 of a file, or of all files of a folder in order."""
    if path.is_file():
        status = path.stat()
        return _file_hash(path, status.st_size, status.st_mtime_ns)
    outer = next((p for p in path.parents if p.exists()), path)
    if outer.is_file():
        inside = path.relative_to(outer).as_posix()
        named = f"{_content_hash(outer)} {inside}"
        return hashlib.sha256(named.encode()).hexdigest()
    parts = sorted(p for p in path.rglob("*") if p.is_file())
    return hashlib.sha256("".join(map(_content_hash, parts)).encode()).hexdigest()


@lru_cache(maxsize=64)
def _file_hash(path: Path, size: int, changed_ns: int) -> str:
    """Return the SHA-256 of a file; once, as long as it does not change."""
    del size, changed_ns
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def groups_of_cases(table: CaseTable, hashes: Sequence[str]) -> list[int]:
    """Number the groups that must stay together: same patient or same content."""
    parent = list(range(len(table.cases)))

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    first: dict[tuple[str, str], int] = {}
    for n, (case, content) in enumerate(zip(table.cases, hashes, strict=True)):
        keys = [("content", content)]
        if case.patient_id is not None:
            keys.append(("patient", case.patient_id))
        for key in keys:
            parent[root(n)] = root(first.setdefault(key, n))
    return [root(n) for n in range(len(table.cases))]


def _draw(
    table: CaseTable,
    free: Sequence[int],
    groups: Sequence[int],
    rng: np.random.Generator,
    share: float,
) -> set[int]:
    """Choose whole groups until each stratum has given about its share."""
    members = defaultdict(list)
    for n in free:
        members[groups[n]].append(n)
    strata = defaultdict(list)
    of_case: Callable[[int], str] = stratum_by(table)
    for group in members.values():
        strata[max(of_case(n) for n in group)].append(group)
    chosen: set[int] = set()
    for name in sorted(strata):
        candidates = strata[name]
        wanted = share * sum(map(len, candidates))
        got = 0
        for at in rng.permutation(len(candidates)):
            size = len(candidates[at])
            first = got == 0 and len(candidates) > 1
            if first or abs(got + size - wanted) < abs(got - wanted):
                chosen.update(candidates[at])
                got += size
    return chosen


def stratum_by(table: CaseTable) -> Callable[[int], str]:
    """Return what names a case's stratum: its class, or the main label's value."""
    if table.activation == "softmax":
        names = [
            next((k for k, v in case.truth.items() if v), "") for case in table.cases
        ]
    else:
        names = [str(case.truth[table.labels[0]]) for case in table.cases]
    return names.__getitem__
