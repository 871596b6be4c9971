"""Words and progress bars of a training, on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["Reporter", "Tick"]

Tick = Callable[[int, str], None]
"""Told how many more are done, and what to say beside the bar."""


class Reporter:
    """What a person at a terminal sees.

    Args:
        visible: False says and shows nothing.
    """

    def __init__(self, *, visible: bool) -> None:
        self._console = Console(stderr=True, quiet=not visible, highlight=False)

    def say(self, text: str) -> None:
        """Write one line."""
        self._console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def bar(self, what: str, total: int, *, done: int = 0) -> Iterator[Tick]:
        """Show a bar while the block runs; it vanishes when the block is left."""
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            transient=True,
            refresh_per_second=2,
            disable=not self._console.is_terminal,
        )
        with bar:
            task = bar.add_task(what, total=total, completed=done, note="")
            yield lambda more, note: bar.update(task, advance=more, note=note)
