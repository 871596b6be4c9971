"""Read files that nobody vouches for: in worker processes, within limits."""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self, TypeVar

from medcnn.image import Image, Study
from medcnn.io import Description, ReadOptions
from medcnn.isolation.crew import Crew
from medcnn.isolation.limits import Limits
from medcnn.isolation.values import (
    description_of,
    error_of,
    failure_error,
    image_of,
    sound,
)
from medcnn.isolation.wire import Failure, Message

__all__ = ["SafeReader"]

_JOB = "medcnn.isolation.reading:job"
_MOST_DEATHS = 100

T = TypeVar("T")


class SafeReader:
    """Read images in worker processes that may crash, hang or burst.

    Results and errors are those of `medcnn.load`, `load_study` and `describe_study`.
    In addition `IsolationError` says that a file took too long or too much memory, or
    ended the process that read it; another process takes its place for the next call.
    One reader serves several threads.

    Args:
        limits: What one file may cost; each file of a folder has its own time.
        workers: Number of processes; more than one serves several threads at a time.

    Raises:
        ValueError: If there are no workers.

    Examples:
        >>> with SafeReader(Limits(timeout_s=20)) as reader:  # doctest: +SKIP
        ...     image = reader.load("from-elsewhere.dcm")
    """

    def __init__(self, limits: Limits | None = None, workers: int = 1) -> None:
        if workers < 1:
            msg = f"workers must be at least 1, got {workers}"
            raise ValueError(msg)
        self._crew = Crew(workers, _JOB, None, limits or Limits())

    def __enter__(self) -> Self:
        self._crew.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the worker processes; another call would start new ones."""
        self._crew.close()

    def load(self, path: str | Path, **choices: Any) -> Image:
        """Read one image or volume.

        Args:
            path: A file, or a folder with one image or one DICOM series.
            choices: Those of `medcnn.load`.

        Raises:
            ReadError: As `medcnn.load`, or IsolationError.
            TypeError: If `path` is none.
        """
        answer = self._ask("load", path, choices)
        return _whole(lambda: image_of(answer[-1]), path)

    def load_study(self, path: str | Path, **choices: Any) -> Study:
        """Read every image of a file or folder; what cannot be read is listed.

        A file that ends the process that reads it is listed like any other that cannot
        be read.

        Args:
            path: A file, or a folder that is searched with its sub-folders.
            choices: Those of `medcnn.load`.

        Raises:
            ReadError: As `medcnn.load_study`, or IsolationError for a single file.
        """
        *pieces, last = self._ask("load_study", path, choices)
        return _whole(
            lambda: Study(tuple(image_of(one) for one in pieces), _problems(last)),
            path,
        )

    def describe_study(
        self, path: str | Path, **choices: Any
    ) -> tuple[tuple[Description, ...], tuple[tuple[Path, str], ...]]:
        """Describe every image of a file or folder from headers.

        Args:
            path: A file, or a folder that is searched with its sub-folders.
            choices: Those of `medcnn.load`.

        Returns:
            The descriptions, and (path, reason) for each file that is no image.

        Raises:
            ReadError: As `medcnn.io.describe_study`, or IsolationError.
        """
        *_, last = self._ask("describe_study", path, choices)
        return _whole(
            lambda: (
                tuple(description_of(facts) for facts in last.facts["found"]),
                _problems(last),
            ),
            path,
        )

    def _ask(
        self, verb: str, path: str | Path, choices: Mapping[str, Any]
    ) -> tuple[Message, ...]:
        """Have a path read, going round the files of a folder that kill a worker.

        Raises:
            MedcnnError: What the worker says is wrong, or IsolationError.
            TypeError: If `path` is none.
        """
        fatal: list[Failure] = []
        request = {
            "verb": verb,
            "path": str(Path(path)),
            "cwd": _current_folder(),
            "options": asdict(ReadOptions(**choices)),
        }
        while True:
            answer = self._crew.ask(request | {"fatal": [vars(f) for f in fatal]})
            if not isinstance(answer, Failure):
                return _checked(answer, Path(path))
            if verb == "load" or not _is_new(answer, fatal):
                error = failure_error(answer, Path(path))
                raise error
            fatal.append(answer)


def _is_new(failure: Failure, known: list[Failure]) -> bool:
    """Say whether a failure is of one file of a folder, which can be gone round."""
    places = {(one.at, one.opening) for one in known}
    is_known = (failure.at, failure.opening) in places
    return bool(failure.at) and not is_known and len(known) < _MOST_DEATHS


def _checked(answer: tuple[Message, ...], path: Path) -> tuple[Message, ...]:
    """Return the answer, or raise the error that it tells.

    Raises:
        MedcnnError: That error.
    """
    facts = answer[-1].facts.get("error")
    if facts is None:
        return answer
    error = _whole(lambda: error_of(facts), path)
    raise error


def _whole(build: Callable[[], T], path: str | Path) -> T:
    """Build a value of what a worker sent; see `sound`."""
    hint = "It may be broken on purpose; look at it alone: medcnn inspect PATH."
    return sound(build, Path(path), hint=hint)


def _problems(message: Message) -> tuple[tuple[Path, str], ...]:
    return tuple(
        (Path(where), str(reason)) for where, reason in message.facts["problems"]
    )


def _current_folder() -> str:
    """Return the folder that relative paths are meant from."""
    try:
        return os.getcwd()  # noqa: PTH109 - as text
    except OSError:
        return "."
