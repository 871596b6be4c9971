"""What a model has said of images so far, kept for good while an evaluation runs."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from medcnn.database import Database, Form
from medcnn.errors import ReadError
from medcnn.io import status_of
from medcnn.worklist import ErrorRow

__all__ = ["LEDGER", "Ledger", "Told"]

LEDGER = "answers.sqlite"
"""The ledger's file below the output folder."""

_FORM = Form(
    """create table answers (
    path text primary key,
    size integer not null,
    mtime_ns integer not null,
    record text not null
) without rowid""",
    application=0x6D636E65,  # "mcne"
    version=1,
)
_SAVE = "replace into answers values (?, ?, ?, ?)"
_EVERY_S = 1.0


@dataclass(frozen=True)
class Told:
    """What a model said of one image.

    Attributes:
        status: "ok", "out_of_scope" or "error".
        reason: Why it is not ok.
        score: Of each label, (L,); empty where the network was not run.
        logits: Before any calibration, likewise.
        error: Why it could not be read; None if it could.
        acquisition: How the image was made; empty where it could not be read.
        distance: From the training images; None where not measured.
    """

    status: str
    reason: str
    score: tuple[float, ...] = ()
    logits: tuple[float, ...] = ()
    error: ErrorRow | None = None
    acquisition: Mapping[str, str | float] = field(default_factory=dict)
    distance: float | None = None


class Ledger:
    """answers.sqlite of one output folder.

    Answers are saved once a second and when it is closed, each together with size and
    time of its file: one that has changed since is not known any more.

    Args:
        folder: The output folder; it is there.
        facts: What must be the same for old answers to hold, in words.

    Attributes:
        forgotten: Which of the facts have changed, so that all was forgotten.

    Raises:
        OutputError: If the file cannot be used.
    """

    def __init__(self, folder: Path, facts: Mapping[str, str]) -> None:
        self._base = Database(folder / LEDGER, _FORM)
        self._waiting: list[tuple[str, int, int, str]] = []
        self._saved = time.monotonic()
        known = {key: self._base.fact(key) for key in facts}
        self.forgotten = tuple(k for k, v in known.items() if v not in {None, facts[k]})
        if self.forgotten:
            with self._base.told(), self._base.transaction():
                self._base.link.execute("delete from answers")
        if known != dict(facts):
            self._base.note(facts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._save()
        finally:
            self._base.__exit__(*error)

    def known(self, paths: Sequence[Path]) -> dict[int, Told]:
        """Return what was said of these images, by their index."""
        query = "select path, size, mtime_ns, record from answers"
        with self._base.told():
            rows = {path: rest for path, *rest in self._base.link.execute(query)}
        found = {}
        for n, path in enumerate(paths):
            row = rows.get(str(path))
            if row is not None and tuple(row[:2]) == _state(path):
                found[n] = _told(row[2])
        return found

    def add(self, path: Path, told: Told) -> None:
        """Keep what was said of an image."""
        size, mtime_ns = _state(path)
        self._waiting.append((str(path), size, mtime_ns, _record(told)))
        if time.monotonic() - self._saved >= _EVERY_S:
            self._save()

    def _save(self) -> None:
        with self._base.told(), self._base.transaction():
            self._base.link.executemany(_SAVE, self._waiting)
        self._waiting.clear()
        self._saved = time.monotonic()


def _state(path: Path) -> tuple[int, int]:
    """Return size and time of a file, of a folder those of its files; -1 if unknown."""
    try:
        status = status_of(path)
        if not path.is_dir():
            return status.st_size, status.st_mtime_ns
        within = [one.stat() for one in path.rglob("*")]
    except (ReadError, OSError):
        return -1, -1
    newest = max((one.st_mtime_ns for one in within), default=status.st_mtime_ns)
    return sum(one.st_size for one in within), newest


def _record(told: Told) -> str:
    parts = vars(told) | {"error": None if told.error is None else vars(told.error)}
    return json.dumps(parts, ensure_ascii=False)


def _told(record: str) -> Told:
    parts = json.loads(record)
    error = parts["error"]
    return Told(
        parts["status"],
        parts["reason"],
        tuple(parts["score"]),
        tuple(parts["logits"]),
        None if error is None else ErrorRow(**error),
        parts["acquisition"],
        parts["distance"],
    )
