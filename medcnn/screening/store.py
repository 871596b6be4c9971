"""The durable store of a run: one row for each image, committed when it is finished."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from medcnn.database import Database, Form
from medcnn.errors import OutputError
from medcnn.results import Band, CaseResult, Prediction, Status
from medcnn.screening import copies
from medcnn.worklist import ErrorRow, Session, rank_key

__all__ = ["STORE", "Fingerprint", "Finished", "Store", "case_of", "record_of"]

STORE = "screening.sqlite"
_TABLES = """create table cases (
    path text primary key,
    size integer not null,
    mtime_ns integer not null,
    rank_group integer not null,
    rank_value real not null,
    status text not null,
    stage text not null,
    band text,
    probability real,
    record text not null
);
create table sessions (
    id integer primary key,
    started text not null,
    seconds real not null default 0,
    files integer not null default 0,
    ended text not null default 'broken off'
);
"""
_FORM = Form(_TABLES, application=0x6D636E6E, version=1)  # "mcnn"
_SAVE = """
insert into cases values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (path) do update set size = excluded.size, mtime_ns = excluded.mtime_ns,
    rank_group = excluded.rank_group, rank_value = excluded.rank_value,
    status = excluded.status, stage = excluded.stage, band = excluded.band,
    probability = excluded.probability, record = excluded.record
"""

_STATUSES = {status.value: status for status in Status}


@dataclass(frozen=True)
class Fingerprint:
    """By what a changed file is noticed; -1 where it could not be asked."""

    size: int = -1
    mtime_ns: int = -1


@dataclass(frozen=True)
class Finished:
    """A case, the state of the file it was made from, and what the network saw.

    Attributes:
        case: What became of it.
        fingerprint: Of the file.
        digest: Checksum of the tensor; "" without one.
    """

    case: CaseResult
    fingerprint: Fingerprint
    digest: str = ""


class Store:
    """screening.sqlite of one output folder.

    Args:
        folder: The output folder; it is there.
        may_create: Whether to make the store if there is none.

    Raises:
        OutputError: If it cannot be opened, or was made by another version.
    """

    def __init__(self, folder: Path, *, may_create: bool = True) -> None:
        self.path = folder / STORE
        if not may_create and not self.path.is_file():
            msg = f"{folder} holds no screening run: {STORE} is not there."
            raise OutputError(msg, hint="Make one: medcnn screen PATH --output DIR.")
        self._base = Database(self.path, _FORM)
        self._link = self._base.link
        with self._base.told():
            self._link.executescript(copies.COPIES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._base.__exit__(*error)

    # ----------------------------------------------------------------- identity

    def fact(self, key: str) -> str | None:
        """Return what the run noted under a key; None if it did not."""
        return self._base.fact(key)

    def note(self, facts: Mapping[str, str]) -> None:
        """Note facts of the run, replacing those of the same keys."""
        self._base.note(facts)

    def claim(self, facts: Mapping[str, str], *, hint: str) -> None:
        """Note what must stay the same for as long as the run lasts.

        Args:
            facts: Words for what must stay the same, and its value.
            hint: What to do if it does not.

        Raises:
            OutputError: If the run was begun with another value.
        """
        fresh = {}
        for key, value in facts.items():
            known = self.fact(key)
            if known is None:
                fresh[key] = value
            elif known != value:
                msg = (
                    f"{self.path.parent} holds a run with {key} {_short(known)}, this "
                    f"one has {_short(value)}."
                )
                raise OutputError(msg, hint=hint)
        if fresh:
            self.note(fresh)

    # -------------------------------------------------------------------- cases

    def has_cases(self) -> bool:
        """Say whether anything is finished."""
        with self._base.told():
            found = self._link.execute("select 1 from cases limit 1").fetchone()
        return found is not None

    def find(self, paths: Sequence[str]) -> dict[str, Finished]:
        """Return the finished cases of some files, by path."""
        places = ", ".join("?" * len(paths))
        query = "select path, record, size, mtime_ns from cases where path in "
        with self._base.told():
            rows = self._link.execute(f"{query} ({places})", paths).fetchall()
        return {
            path: Finished(_case(record), Fingerprint(size, mtime_ns))
            for path, record, size, mtime_ns in rows
        }

    def states(self, paths: Sequence[str]) -> dict[str, tuple[Fingerprint, Status]]:
        """Return the state of some finished files, and what came of them, by path."""
        places = ", ".join("?" * len(paths))
        query = "select path, size, mtime_ns, status from cases where path in "
        with self._base.told():
            rows = self._link.execute(f"{query} ({places})", paths).fetchall()
        return {
            path: (Fingerprint(size, mtime_ns), _STATUSES[status])
            for path, size, mtime_ns, status in rows
        }

    def commit(
        self, finished: Iterable[Finished], session: int, seconds: float
    ) -> None:
        """Save finished cases for good, all or none, and the time spent so far.

        Raises:
            OutputError: If the disk is full or fails.
        """
        every = list(finished)
        rows = [_row(one) for one in every]
        spent = "update sessions set seconds = ?, files = files + ? where id = ?"
        with self._base.told(), self._base.transaction():
            self._link.executemany(_SAVE, rows)
            copies.remember(self._link, [(one.case, one.digest) for one in every])
            self._link.execute(spent, (seconds, len(rows), session))
            if rows:
                self._link.execute("delete from facts where key = 'published'")

    def settle_copies(self) -> tuple[str, ...]:
        """Find out which files repeat others; say which only pretend to."""
        with self._base.told(), self._base.transaction():
            copies.settle(self._link)
            return tuple(copies.shared_numbers(self._link))

    def ranked(self) -> Iterator[CaseResult]:
        """Yield all cases from the most urgent on; copies say whose they are."""
        with self._base.told():
            for record, first in self._link.execute(copies.BY_RANK):
                case = _case(record)
                yield case if first is None else copies.as_copy(case, first)

    def by_path(self) -> Iterator[CaseResult]:
        """Yield all cases in the order of their paths, whatever their scores."""
        query = "select record from cases order by path"
        with self._base.told():
            for (record,) in self._link.execute(query):
                yield _case(record)

    def errors(self) -> Iterator[ErrorRow]:
        """Yield the files that could not be read, by path."""
        query = "select record from cases where status = 'error' order by path"
        with self._base.told():
            for (record,) in self._link.execute(query):
                case = _case(record)
                yield ErrorRow(case.path, case.stage, case.reason, case.hint)

    def folders(self) -> list[str]:
        """Return the folders that could not be looked into."""
        query = "select path from cases where status = 'error' and stage = 'folder'"
        with self._base.told():
            return [row[0] for row in self._link.execute(query)]

    def forget(self, paths: Iterable[str]) -> None:
        """Remove cases for good."""
        with self._base.told(), self._base.transaction():
            for path in paths:
                self._link.execute("delete from cases where path = ?", (path,))
                copies.forget(self._link, path)
                self._link.execute("delete from facts where key = 'published'")

    def tally(self) -> dict[str, int]:
        """Count the cases by band, or by status where they have none."""
        with self._base.told():
            return dict(self._link.execute(copies.TALLY).fetchall())

    def unpublish(self) -> None:
        """Note that the final files do not say all that there is to say."""
        with self._base.told(), self._base.transaction():
            self._link.execute("delete from facts where key = 'published'")

    # ----------------------------------------------------------------- sessions

    def begin_session(self, started: str) -> int:
        """Note that a stretch of work begins; return its number."""
        with self._base.told():
            command = "insert into sessions (started) values (?)"
            return int(self._link.execute(command, (started,)).lastrowid or 0)

    def end_session(self, session: int, ended: str, seconds: float) -> None:
        """Note how a stretch of work ended, and how long it took."""
        command = "update sessions set ended = ?, seconds = ? where id = ?"
        with self._base.told():
            self._link.execute(command, (ended, seconds, session))

    def sessions(self) -> tuple[Session, ...]:
        """Return all stretches of work in which anything was finished."""
        query = "select started, seconds, files, ended from sessions where files > 0"
        with self._base.told():
            rows = self._link.execute(f"{query} order by id").fetchall()
        names = ("started", "seconds", "files", "ended")
        return tuple(Session(**dict(zip(names, row, strict=True))) for row in rows)


def record_of(case: CaseResult) -> str:
    """Return a case as text, as the store keeps it."""
    return json.dumps(_parts(case), ensure_ascii=False)


def case_of(record: str) -> CaseResult:
    """Return the case that `record_of` was given."""
    return _case(record)


def _short(value: str) -> str:
    """Shorten a checksum for a sentence."""
    return f"{value[:12]}..." if len(value) == 64 else value


def _row(finished: Finished) -> tuple[Any, ...]:
    case, fingerprint = finished.case, finished.fingerprint
    group, value, _ = rank_key(case)
    return (
        case.path,
        fingerprint.size,
        fingerprint.mtime_ns,
        group,
        value,
        case.status.value,
        case.stage,
        None if case.band is None else case.band.value,
        None if case.prediction is None else case.prediction.probability,
        record_of(case),
    )


def _parts(case: CaseResult) -> dict[str, Any]:
    """Return a case as plain values; `dataclasses.asdict` takes five times as long."""
    prediction = None if case.prediction is None else vars(case.prediction)
    return vars(case) | {"prediction": prediction}


def _case(record: str) -> CaseResult:
    parts = json.loads(record)
    parts["status"] = Status(parts["status"])
    parts["band"] = None if parts["band"] is None else Band(parts["band"])
    if parts["prediction"] is not None:
        parts["prediction"] = Prediction(**parts["prediction"])
    return CaseResult(**parts)
