"""Every error that medcnn raises on purpose.

MedcnnError
├── ReadError                 a file cannot be read as an image
│   ├── UnknownFormatError    its content is of no format that is read
│   ├── NoPixelsError         it carries no pixels (a report, a presentation state)
│   ├── DecodeError           its pixels are broken or in an unsupported coding
│   ├── SeveralSeriesError    a folder holds more than one series
│   └── IsolationError        reading it took too much, or ended the process
├── GeometryError             a grid or a millimetre operation makes no sense
├── BundleError               a model directory is not what it should be
├── EngineError               an engine or device is absent or fails
├── DataError                 a table, its labels or its folders are wrong
│   └── LeakageError          one patient or image is in more than one split
├── RecipeError               a training recipe is wrong
├── UndefinedMetricError      a number that does not exist for these cases
├── ArchiveError              an archive cannot be asked, or refuses
├── OutputError               results cannot be written where they should go
├── ServiceError              the viewers' service refuses a request
│   └── StoppedError          it was cancelled
└── MissingDependencyError    an optional part is not installed
"""

from pathlib import Path

__all__ = [
    "ArchiveError",
    "BundleError",
    "DataError",
    "DecodeError",
    "EngineError",
    "GeometryError",
    "IsolationError",
    "LeakageError",
    "MedcnnError",
    "MissingDependencyError",
    "NoPixelsError",
    "OutputError",
    "ReadError",
    "RecipeError",
    "ServiceError",
    "SeveralSeriesError",
    "StoppedError",
    "UndefinedMetricError",
    "UnknownFormatError",
]


class MedcnnError(Exception):
    """Base of all errors raised on purpose.

    Attributes:
        message: What was got, what was expected, where.
        hint: What to do about it; empty if the message says so already.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        message = self.message.strip()
        if not self.hint:
            return message
        stop = "" if message.endswith((".", "!", "?")) else "."
        return f"{message}{stop} {self.hint}"


class ReadError(MedcnnError):
    """A file cannot be read as an image.

    Attributes:
        path: The file, or None for pixels that never were a file.
        stage: Where it failed: "open", "format", "header", "decode" or "geometry";
            for an IsolationError "timeout", "memory" or "crash".
    """

    stage = "open"

    def __init__(
        self, message: str, *, path: Path | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.path, self.hint))


class UnknownFormatError(ReadError):
    """The content is of no format that is read."""

    stage = "format"


class NoPixelsError(ReadError):
    """The file carries no pixels.

    Attributes:
        is_lost: Whether it should carry some; otherwise it is sound and no image, such
            as a report or a presentation state.
    """

    stage = "header"

    def __init__(
        self,
        message: str,
        *,
        is_lost: bool = False,
        path: Path | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, path=path, hint=hint)
        self.is_lost = is_lost

    def __reduce__(self) -> tuple[object, ...]:
        kept = super().__reduce__()
        return (*kept, {"is_lost": self.is_lost})


class DecodeError(ReadError):
    """The pixels are broken, truncated or in an unsupported coding."""

    stage = "decode"


class SeveralSeriesError(ReadError):
    """A folder holds more than one series, and none is guessed at.

    Attributes:
        series: One line for each series found.
    """

    stage = "geometry"

    def __init__(
        self,
        message: str,
        *,
        series: tuple[str, ...] = (),
        path: Path | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, path=path, hint=hint)
        self.series = series

    def __reduce__(self) -> tuple[object, ...]:
        kept = super().__reduce__()
        return (*kept, {"series": self.series})


class IsolationError(ReadError):
    """Reading took too long or too much memory, or ended the process that did it.

    Attributes:
        stage: "timeout", "memory" or "crash".
    """

    def __init__(
        self,
        message: str,
        *,
        stage: str = "crash",
        path: Path | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, path=path, hint=hint)
        self.stage = stage

    def __reduce__(self) -> tuple[object, ...]:
        kept = super().__reduce__()
        return (*kept, {"stage": self.stage})


class GeometryError(MedcnnError):
    """A grid or a millimetre operation makes no sense."""


class BundleError(MedcnnError):
    """A model directory is not what it should be."""


class EngineError(MedcnnError):
    """An engine or a device is absent, or fails."""


class DataError(MedcnnError):
    """A table, its labels or its folders are wrong."""


class LeakageError(DataError):
    """One patient or one image is in more than one split."""


class RecipeError(MedcnnError):
    """A training recipe is wrong."""


class UndefinedMetricError(MedcnnError):
    """A number that does not exist for these cases."""


class OutputError(MedcnnError):
    """Results cannot be written where they should go."""


class ServiceError(MedcnnError):
    """The viewers' service refuses a request.

    Attributes:
        kind: Why, in a word: "busy", "folder", "large", "missing", "request", "state",
            "stopped", "child", ... See docs/worker.md.
    """

    def __init__(self, message: str, *, kind: str = "request", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.kind = kind


class StoppedError(ServiceError):
    """What was asked for was cancelled."""

    def __init__(self, message: str = "It was cancelled.", *, hint: str = "") -> None:
        super().__init__(message, kind="stopped", hint=hint)


class ArchiveError(MedcnnError):
    """An archive cannot be asked, or refuses what it is asked for.

    Attributes:
        is_final: Whether asking again does not help.
    """

    def __init__(self, message: str, *, hint: str = "", is_final: bool = True) -> None:
        super().__init__(message, hint=hint)
        self.is_final = is_final


class MissingDependencyError(MedcnnError):
    """An optional part is not installed."""


def _rebuild(
    kind: type[ReadError], message: str, path: Path | None, hint: str
) -> ReadError:
    """Make a read error again on the other side of a process boundary."""
    return kind(message, path=path, hint=hint)
