"""What the command line says: answers to stdout, words and progress to stderr."""

import json
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from medcnn.errors import MedcnnError, ReadError

__all__ = [
    "ExitCode",
    "Terminated",
    "answer",
    "complain",
    "end",
    "error_facts",
    "printable",
    "progress_bar",
    "say",
    "show",
    "table_of",
    "terminable",
    "waiting",
]

if TYPE_CHECKING:
    from rich.table import Table

_PIPE_WIDTH = 120

Advance = Callable[[int, int | None], None]


class ExitCode(IntEnum):
    """How a verb ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    SOME_UNREADABLE = 8
    INTERRUPTED = 130
    TERMINATED = 143


class Terminated(BaseException):
    """The process was asked to end (SIGTERM)."""


@contextmanager
def terminable() -> Iterator[None]:
    """Turn SIGTERM into `Terminated`, so that everything open is closed in order."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def answer(value: Any) -> None:
    """Write JSON to stdout; bytes of a name that are no UTF-8 are escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    typer.echo(text.encode(errors="backslashreplace").decode())


def show(renderable: Any) -> None:
    """Write a table or words to stdout."""
    from rich.console import Console
    from rich.text import Text

    if isinstance(renderable, str):  # brackets in it are no orders to Rich
        renderable = Text(printable(renderable))
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    Console(width=width, highlight=False, emoji=False).print(renderable)


def table_of(*titles: str) -> "Table":
    """Return a table for numbers that has no rows yet."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in titles:
        table.add_column(title)
    return table


def say(words: str, *, quiet: bool = False) -> None:
    """Write words to stderr."""
    if not quiet:
        typer.echo(printable(words), err=True)


def complain(error: MedcnnError, where: Path | None = None) -> None:
    """Write one clear sentence to stderr: what is wrong, and what to do.

    Args:
        error: What is wrong.
        where: The file that it is about, if the error does not know.
    """
    message = _located(error, where).rstrip()
    stop = "" if message.endswith((".", "!", "?")) else "."
    words = f"{message}{stop} {error.hint}".strip()
    typer.echo(f"medcnn: {printable(words)}", err=True)


def _located(error: MedcnnError, where: Path | None) -> str:
    """Return what is wrong, and in which file if the message does not say so."""
    path = error.path if isinstance(error, ReadError) else where
    if path is None:
        return error.message
    alone = rf"(?<![\w./-]){re.escape(str(path))}(?![\w/-])"
    if re.search(alone, error.message):
        return error.message
    return f"{path}: {error.message}"


def error_facts(path: str, error: MedcnnError) -> dict[str, str]:
    """Return what errors.csv also says of a file that gave no answer."""
    stage = error.stage if isinstance(error, ReadError) else "predict"
    return {
        "path": path,
        "stage": stage,
        "error": error.message,
        "hint": error.hint,
    }


def end(*, answers: int, problems: int) -> None:
    """End a verb that takes many files with the exit code that tells how it went.

    Raises:
        Exit: If a file gave no answer.
    """
    if problems:
        raise typer.Exit(ExitCode.SOME_UNREADABLE if answers else ExitCode.FAILED)


def printable(text: str) -> str:
    """Return text without control characters, which could steer a terminal."""
    return "".join(
        c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


@contextmanager
def waiting(words: str, *, quiet: bool) -> Iterator[None]:
    """Show on stderr that something of unknown length goes on, if somebody is looking.

    It must not be told more words meanwhile.
    """
    if quiet or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        bar.add_task(words, total=None)
        yield


@contextmanager
def progress_bar(words: str, *, unit: str, quiet: bool) -> Iterator[Advance]:
    """Show a bar with rate and time left on stderr, if somebody is looking.

    Yields:
        A function to call with (done, total); a total of None is not known yet.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{{task.fields[rate]}} {unit}/s"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=False) as bar:
        task = bar.add_task(words, total=None, rate="-")

        def advance(done: int, total: int | None) -> None:
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
            rate = "-" if not speed else f"{speed:.1f}"
            bar.update(task, completed=done, total=total, rate=rate)

        yield advance
