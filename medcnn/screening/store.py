"""The durable store of a run: one row for each image, committed when it is finished."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from medcnn.errors import OutputError
from medcnn.outputs import cannot_write
from medcnn.results import Band, CaseResult, Prediction, Status
from medcnn.worklist import ErrorRow, Session, rank_key

__all__ = ["STORE", "Fingerprint", "Finished", "Store"]

STORE = "screening.sqlite"
_VERSION = 1
_APPLICATION = 0x6D636E6E  # "mcnn"
_SCHEMA = """
create table facts (key text primary key, value text not null) without rowid;
create table cases (
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
_SAVE = """
insert into cases values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (path) do update set size = excluded.size, mtime_ns = excluded.mtime_ns,
    rank_group = excluded.rank_group, rank_value = excluded.rank_value,
    status = excluded.status, stage = excluded.stage, band = excluded.band,
    probability = excluded.probability, record = excluded.record
"""
_FULL = {sqlite3.SQLITE_FULL: 28, sqlite3.SQLITE_READONLY: 13}  # ENOSPC, EACCES


@dataclass(frozen=True)
class Fingerprint:
    """By what a changed file is noticed; -1 where it could not be asked."""

    size: int = -1
    mtime_ns: int = -1


@dataclass(frozen=True)
class Finished:
    """A case and the state of the file it was made from."""

    case: CaseResult
    fingerprint: Fingerprint


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
        with self._told():
            self._link = sqlite3.connect(self.path, isolation_level=None)
        try:
            with self._told():
                self._set_up()
        except BaseException:
            self._link.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._told():
            self._link.close()

    # ----------------------------------------------------------------- identity

    def fact(self, key: str) -> str | None:
        """Return what the run noted under a key; None if it did not."""
        query = "select value from facts where key = ?"
        with self._told():
            row = self._link.execute(query, (key,)).fetchone()
        return None if row is None else str(row[0])

    def note(self, facts: Mapping[str, str]) -> None:
        """Note facts of the run, replacing those of the same keys."""
        with self._told(), self._transaction():
            self._link.executemany("replace into facts values (?, ?)", facts.items())

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

    def find(self, path: str) -> Finished | None:
        """Return the finished case of a file, if there is one."""
        query = "select record, size, mtime_ns from cases where path = ?"
        with self._told():
            row = self._link.execute(query, (path,)).fetchone()
        if row is None:
            return None
        return Finished(_case(row[0]), Fingerprint(row[1], row[2]))

    def commit(
        self, finished: Iterable[Finished], session: int, seconds: float
    ) -> None:
        """Save finished cases for good, all or none, and the time spent so far.

        Raises:
            OutputError: If the disk is full or fails.
        """
        rows = [_row(one) for one in finished]
        spent = "update sessions set seconds = ?, files = files + ? where id = ?"
        with self._told(), self._transaction():
            self._link.executemany(_SAVE, rows)
            self._link.execute(spent, (seconds, len(rows), session))
            if rows:
                self._link.execute("delete from facts where key = 'published'")

    def ranked(self) -> Iterator[CaseResult]:
        """Yield all cases from the most urgent on."""
        query = "select record from cases order by rank_group, rank_value, path"
        with self._told():
            for (record,) in self._link.execute(query):
                yield _case(record)

    def errors(self) -> Iterator[ErrorRow]:
        """Yield the files that could not be read, by path."""
        query = "select record from cases where status = 'error' order by path"
        with self._told():
            for (record,) in self._link.execute(query):
                case = _case(record)
                yield ErrorRow(case.path, case.stage, case.reason, case.hint)

    def folders(self) -> list[str]:
        """Return the folders that could not be looked into."""
        query = "select path from cases where status = 'error' and stage = 'folder'"
        with self._told():
            return [row[0] for row in self._link.execute(query)]

    def forget(self, paths: Iterable[str]) -> None:
        """Remove cases for good."""
        with self._told(), self._transaction():
            for path in paths:
                self._link.execute("delete from cases where path = ?", (path,))
                self._link.execute("delete from facts where key = 'published'")

    def tally(self) -> dict[str, int]:
        """Count the cases by band, or by status where they have none."""
        query = (
            "select coalesce(band, status) as what, count(*) from cases group by what"
        )
        with self._told():
            return dict(self._link.execute(query).fetchall())

    # ----------------------------------------------------------------- sessions

    def begin_session(self, started: str) -> int:
        """Note that a stretch of work begins; return its number."""
        with self._told():
            command = "insert into sessions (started) values (?)"
            return int(self._link.execute(command, (started,)).lastrowid or 0)

    def end_session(self, session: int, ended: str, seconds: float) -> None:
        """Note how a stretch of work ended, and how long it took."""
        command = "update sessions set ended = ?, seconds = ? where id = ?"
        with self._told():
            self._link.execute(command, (ended, seconds, session))

    def sessions(self) -> tuple[Session, ...]:
        """Return all stretches of work in which anything was finished."""
        query = "select started, seconds, files, ended from sessions where files > 0"
        with self._told():
            rows = self._link.execute(f"{query} order by id").fetchall()
        names = ("started", "seconds", "files", "ended")
        return tuple(Session(**dict(zip(names, row, strict=True))) for row in rows)

    # ------------------------------------------------------------------ helpers

    def _set_up(self) -> None:
        self._link.execute("pragma busy_timeout = 10000")
        self._link.execute("pragma journal_mode = wal")
        self._link.execute("pragma synchronous = full")
        version = self._link.execute("pragma user_version").fetchone()[0]
        if version == 0:
            with self._transaction():
                for command in _SCHEMA.split(";"):
                    self._link.execute(command)
                self._link.execute(f"pragma application_id = {_APPLICATION}")
                self._link.execute(f"pragma user_version = {_VERSION}")
        elif version != _VERSION:
            msg = f"{self.path} has format {version}; this medcnn reads {_VERSION}."
            raise OutputError(msg, hint="Choose another --output.")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._link.execute("begin immediate")
        try:
            yield
        except BaseException:
            if self._link.in_transaction:
                self._link.execute("rollback")
            raise
        self._link.execute("commit")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn SQLite's errors into a sentence.

        Raises:
            OutputError: Instead of them.
        """
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in _FULL:
                told = cannot_write(self.path, OSError(_FULL[code], ""))
                raise told from error
            hint = "Choose another --output."
            msg = f"{self.path} cannot be used: {error}."
            raise OutputError(msg, hint=hint) from error


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
        json.dumps(_parts(case), ensure_ascii=False),
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
