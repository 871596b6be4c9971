"""Where objects wait: files named by hash, and one durable row for each series."""

import hashlib
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from medcnn.database import Database, Form
from medcnn.outputs import make_folder, sync_folder, whole_file

__all__ = ["Entry", "FullError", "Spool", "State", "name_by_hash"]

_FORM = Form(
    tables="create table series (key text primary key, state text not null,"
    " changed real not null, tries integer not null, next_try real not null,"
    " words text not null) without rowid",
    application=0x4D434E50,
    version=1,
)
_LEAST_FREE = 256 << 20
_FIRST_RETRY_S, _LAST_RETRY_S = 5.0, 600.0
_CLOCK_S = 60.0
"""By so much clocks are set back without anything having happened."""
_UNFINISHED = ("receiving", "made")


class FullError(Exception):
    """There is no room for another object now."""


class State(StrEnum):
    """What became of a series."""

    RECEIVING = "receiving"
    """Some of it is here."""
    MADE = "made"
    """Its results are on disk, and not all of them sent."""
    DONE = "done"
    """Its results are where they should go."""
    SKIPPED = "skipped"
    """The model is not for it; the words say why."""
    FAILED = "failed"
    """It cannot be read, or the peer refuses its results; the words say why."""


@dataclass(frozen=True)
class Entry:
    """One series.

    Attributes:
        key: Hash of whose it is and which.
        state: What became of it.
        changed: When the last new object of it came, seconds since 1970.
        tries: How often its screening was begun, or how often sending it failed.
        words: Why it was skipped or failed.
    """

    key: str
    state: State
    changed: float
    tries: int
    words: str


class Spool:
    """A folder of objects that were received, and of their results.

    Nothing in it is named by what a sender says: names are hashes.

    Args:
        folder: It is made if there is none.
        most_waiting: Most series that are not finished.

    Raises:
        OutputError: If it cannot be used.
    """

    def __init__(self, folder: Path, *, most_waiting: int = 1000) -> None:
        self.folder = folder
        self._most = most_waiting
        self._lock = threading.Lock()
        for name in ("received", "results"):
            make_folder(folder / name)
        with self._open():
            pass

    def received(self, key: str) -> Path:
        """Return the folder of a series' objects."""
        return self.folder / "received" / key

    def results(self, key: str) -> Path:
        """Return the folder of a series' results."""
        return self.folder / "results" / key

    def keep(self, whose: tuple[str, ...], sop_uid: str, file: Path) -> bool:
        """Put an object on disk for good; when it returns it survives a power cut.

        Args:
            whose: What tells its series from all others.
            sop_uid: Its SOP Instance UID.
            file: Where it is now.

        Returns:
            Whether it is new. The same object again asks for its results again: those
            that were made are sent once more, and what was not made is tried.

        Raises:
            FullError: If too many series wait or the disk is nearly full.
            OutputError: If it cannot be written.
        """
        key = name_by_hash(*whose)
        with self._lock, self._open() as database:
            is_known = self._state(database, key)
            if is_known not in _UNFINISHED:
                self._check_room(database)
            place = self.received(key) / f"{name_by_hash(sop_uid)}.dcm"
            if is_known and place.is_file() and _same(place, file):
                self._ask_again(database, key, State(is_known))
                return False
            make_folder(place.parent)
            with file.open("rb") as source, whole_file(place) as target:
                shutil.copyfileobj(source, target, 1 << 20)
            for folder in (place.parent, place.parent.parent):
                sync_folder(folder)
            self._set(database, key, State.RECEIVING, time.time())
        return True

    def has_room(self) -> bool:
        """Say whether the disk has room for more."""
        return shutil.disk_usage(self.folder).free >= _LEAST_FREE

    def again(self, key: str) -> None:
        """Ask for a series to be screened again."""
        with self._open() as database:
            self._set(database, key, State.RECEIVING, time.time())

    def hold(self, key: str, words: str) -> None:
        """Let no result of a series be made until an object of it comes again."""
        command = "update series set state = 'failed', words = ? where key = ?"
        with self._lock, self._open() as database, database.told():
            database.link.execute(command, (words, key))

    def forget(self, older_s: float) -> int:
        """Delete what is finished and so old; return how many series that were.

        So goes what was never acknowledged: files of a series that has no row, because
        the process was killed in between.

        Args:
            older_s: Seconds since the last object of a series came.
        """
        query = (
            "select key from series where state in ('done', 'skipped', 'failed')"
            " and changed < ?"
        )
        with self._lock, self._open() as database, database.told():
            rows = database.link.execute(query, (time.time() - older_s,)).fetchall()
            for (key,) in rows:
                self._delete_files(key)
                database.link.execute("delete from series where key = ?", (key,))
            known = {key for (key,) in database.link.execute("select key from series")}
            for key in self._on_disk(time.time() - older_s) - known:
                self._delete_files(key)
        return len(rows)

    def _delete_files(self, key: str) -> None:
        shutil.rmtree(self.results(key), ignore_errors=True)
        shutil.rmtree(self.received(key), ignore_errors=True)

    def _on_disk(self, before: float) -> set[str]:
        """Return the series that have files, and got the last before a time."""
        return {
            found.name
            for folder in (self.folder / "received", self.folder / "results")
            for found in folder.iterdir()
            if found.is_dir() and found.stat().st_mtime < before
        }

    def waiting(self, quiet_s: float) -> list[Entry]:
        """Return the series that have something to be done now, the oldest first.

        One whose screening was begun before, and never ended, comes after all others.
        A time in the future is from before the clock was set back, and does not wait.

        Args:
            quiet_s: For so long nothing new must have come of a series.
        """
        now = time.time()
        query = (
            "select key, state, changed, tries, words from series where"
            " (state = 'receiving' and changed not between ? and ?)"
            " or (state = 'made' and next_try not between ? and ?)"
            " order by state = 'receiving' and tries > 0, changed, key"
        )
        pauses = (now - quiet_s, now + _CLOCK_S, now, now + _LAST_RETRY_S + _CLOCK_S)
        with self._open() as database, database.told():
            rows = database.link.execute(query, pauses).fetchall()
        return [Entry(k, State(s), c, t, w) for k, s, c, t, w in rows]

    def entries(self) -> list[Entry]:
        """Return every series."""
        query = "select key, state, changed, tries, words from series order by key"
        with self._open() as database, database.told():
            rows = database.link.execute(query).fetchall()
        return [Entry(k, State(s), c, t, w) for k, s, c, t, w in rows]

    def settle(self, entry: Entry, state: State, words: str = "") -> bool:
        """Note what became of a series, unless more of it came meanwhile.

        Returns:
            Whether it was noted.
        """
        command = (
            "update series set state = ?, words = ?, tries = 0, next_try = 0"
            " where key = ? and changed = ?"
        )
        with self._lock, self._open() as database, database.told():
            found = database.link.execute(
                command, (state, words, entry.key, entry.changed)
            )
            return found.rowcount == 1

    def begin(self, entry: Entry) -> None:
        """Count that the screening of a series begins, for good before it does."""
        self._add_try(entry, 1)

    def take_back(self, entry: Entry) -> None:
        """Forget that the screening of a series began: it was not to blame."""
        self._add_try(entry, -1)

    def postpone(self, entry: Entry, words: str) -> float:
        """Note that sending failed; return in how many seconds it is tried again."""
        wait = min(_LAST_RETRY_S, _FIRST_RETRY_S * 2.0 ** min(entry.tries, 10))
        command = (
            "update series set tries = tries + 1, next_try = ?, words = ?"
            " where key = ? and changed = ?"
        )
        values = (time.time() + wait, words, entry.key, entry.changed)
        with self._lock, self._open() as database, database.told():
            database.link.execute(command, values)
        return wait

    @contextmanager
    def _open(self) -> Iterator[Database]:
        with Database(self.folder / "spool.sqlite", _FORM) as database:
            yield database

    def _add_try(self, entry: Entry, number: int) -> None:
        command = "update series set tries = tries + ? where key = ? and changed = ?"
        with self._lock, self._open() as database, database.told():
            database.link.execute(command, (number, entry.key, entry.changed))

    def _state(self, database: Database, key: str) -> str:
        query = "select state from series where key = ?"
        with database.told():
            row = database.link.execute(query, (key,)).fetchone()
        return "" if row is None else str(row[0])

    def _set(self, database: Database, key: str, state: State, changed: float) -> None:
        command = "replace into series values (?, ?, ?, 0, 0, '')"
        with database.told():
            database.link.execute(command, (key, state, changed))

    def _ask_again(self, database: Database, key: str, state: State) -> None:
        """Let a finished series be answered once more."""
        if state in _UNFINISHED:
            return
        is_made = state is State.DONE and any(self.results(key).glob("*.dcm"))
        again = State.MADE if is_made else State.RECEIVING
        self._set(database, key, again, time.time())

    def _check_room(self, database: Database) -> None:
        """Refuse what there is no room for.

        Raises:
            FullError: If there is none.
        """
        query = "select count(*) from series where state in ('receiving', 'made')"
        with database.told():
            (count,) = database.link.execute(query).fetchone()
        if count >= self._most:
            msg = f"{count} series wait already"
            raise FullError(msg)
        if not self.has_room():
            msg = "the disk is nearly full"
            raise FullError(msg)


def name_by_hash(*parts: str) -> str:
    """Return a file name that nobody outside can choose.

    Examples:
        >>> name_by_hash("../../etc/passwd").isalnum()
        True
    """
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:40]


def _same(first: Path, second: Path) -> bool:
    """Say whether two files hold the same bytes."""
    if first.stat().st_size != second.stat().st_size:
        return False
    digests = []
    for path in (first, second):
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").digest())
    return digests[0] == digests[1]
