"""A small SQLite file that survives being killed and says in words what is wrong."""

import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from medcnn.errors import OutputError
from medcnn.outputs import cannot_write

__all__ = ["Database", "Form"]

_FACTS = "create table facts (key text primary key, value text not null) without rowid"
_PAGE_BYTES = 1 << 16
_FULL = {sqlite3.SQLITE_FULL: 28, sqlite3.SQLITE_READONLY: 13}  # ENOSPC, EACCES


@dataclass(frozen=True)
class Form:
    """What a file of one kind holds.

    Attributes:
        tables: The commands that make its tables, beside `facts`.
        application: Number by which `file` tells it from other SQLite files.
        version: Of the format; another one is refused.
    """

    tables: str
    application: int
    version: int


class Database:
    """An SQLite file in which what was committed stays, whatever happens.

    Args:
        path: The file; it is made if there is none.
        form: What it holds.

    Attributes:
        path: The file.
        link: The connection; use it within `told`.

    Raises:
        OutputError: If it cannot be opened, or was made by another version.
    """

    def __init__(self, path: Path, form: Form) -> None:
        self.path = path
        with self.told():
            self.link = sqlite3.connect(path, isolation_level=None)
        try:
            with self.told():
                self._set_up(form)
        except BaseException:
            self.link.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self.told():
            self.link.close()

    def fact(self, key: str) -> str | None:
        """Return what was noted under a key; None if nothing was."""
        query = "select value from facts where key = ?"
        with self.told():
            row = self.link.execute(query, (key,)).fetchone()
        return None if row is None else str(row[0])

    def note(self, facts: Mapping[str, str]) -> None:
        """Note facts, replacing those of the same keys."""
        with self.told(), self.transaction():
            self.link.executemany("replace into facts values (?, ?)", facts.items())

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Save all of a block for good, or none of it."""
        self.link.execute("begin immediate")
        try:
            yield
        except BaseException:
            if self.link.in_transaction:
                self.link.execute("rollback")
            raise
        self.link.execute("commit")

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn SQLite's errors into a sentence.

        Raises:
            OutputError: Instead of them.
        """
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_IOERR and _is_full(self.path.parent):
                code = sqlite3.SQLITE_FULL
            if code in _FULL:
                told = cannot_write(self.path, OSError(_FULL[code], ""))
                raise told from error
            msg = f"{self.path} cannot be used: {error}."
            raise OutputError(msg, hint="Choose another --output.") from error

    def _set_up(self, form: Form) -> None:
        """Make the tables of a new file; refuse one of another version.

        Raises:
            OutputError: If it is one.
        """
        self.link.execute("pragma busy_timeout = 10000")
        self.link.execute("pragma journal_mode = wal")
        self.link.execute("pragma synchronous = full")
        version = self.link.execute("pragma user_version").fetchone()[0]
        if version == 0:
            with self.transaction():
                for command in (_FACTS, *form.tables.split(";")):
                    self.link.execute(command)
                self.link.execute(f"pragma application_id = {form.application}")
                self.link.execute(f"pragma user_version = {form.version}")
        elif version != form.version:
            msg = f"{self.path} has format {version}; this medcnn reads {form.version}."
            raise OutputError(msg, hint="Choose another --output.")


def _is_full(folder: Path) -> bool:
    """Say whether a disk has no room for a page, which SQLite may call an I/O error."""
    try:
        return shutil.disk_usage(folder).free < _PAGE_BYTES
    except OSError:
        return False
