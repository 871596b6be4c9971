"""Which file of a folder is open, so that the one that did harm can be named.

Python tells every opening of a file to an audit hook, whichever library opens it. The
hook sends a beat for each, which also starts the file's clock; and where an earlier
process died of a file, it raises the error at the same opening instead of dying again.
"""

import os
import stat
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medcnn.errors import ReadError
from medcnn.io.source import shown
from medcnn.isolation.values import failure_error
from medcnn.isolation.wire import Failure, Kind, Message
from medcnn.isolation.worker import Tell

__all__ = ["Watch"]


class Watch:
    """The one audit hook of a worker process; hooks cannot be taken away again."""

    def __init__(self) -> None:
        self._root = self._inside = ""
        self._tell: Tell | None = None
        self._fatal: Mapping[tuple[str, int], Failure] = {}
        self._openings: Counter[str] = Counter()
        sys.addaudithook(self._hear)

    @contextmanager
    def over(
        self, root: Path, fatal: list[dict[str, Any]], tell: Tell
    ) -> Iterator[None]:
        """Watch what is opened below a path while a request is answered.

        Args:
            root: A file or folder.
            fatal: The failures of earlier processes, whose openings are to raise.
            tell: Sends the beats.
        """
        failures = [Failure(**facts) for facts in fatal]
        self._fatal = {(f.at, f.opening): f for f in failures}
        self._openings.clear()
        self._root = str(root)
        self._inside = os.path.join(root, "")  # noqa: PTH118 - as a prefix
        self._tell = tell
        try:
            yield
        finally:
            self._tell = None

    def _hear(self, event: str, details: tuple[Any, ...]) -> None:
        if event != "open" or self._tell is None:
            return
        if isinstance(details[0], str | bytes):
            self._look_at(os.fsdecode(details[0]), self._tell)

    def _look_at(self, name: str, tell: Tell) -> None:
        """Refuse what is no file or killed a process before; tell of the others.

        Raises:
            ReadError: If it is to be refused.
        """
        if name == self._root:
            _refuse_special(name)
        if not name.startswith(self._inside):  # one file alone has one clock
            return
        _refuse_special(name)
        self._openings[name] += 1
        opening = self._openings[name]
        failure = self._fatal.get((name, opening))
        if failure is not None:
            error = failure_error(failure, Path(name))
            raise error
        tell(Message({"at": name, "opening": opening}), Kind.BEAT)


def _refuse_special(name: str) -> None:
    """Refuse what would block or never end.

    Raises:
        ReadError: If it is neither a file nor a folder.
    """
    try:
        mode = os.stat(name).st_mode  # noqa: PTH116 - for every file that is opened
    except (OSError, ValueError):
        return  # opening it will tell
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        msg = f"{shown(Path(name))} is not a regular file; it was not opened."
        raise ReadError(msg, path=Path(name), hint="Put images into files.")
