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

__all__ = ["Listener", "Reporter", "Tick"]

Tick = Callable[[int, str], None]
"""Told how many more are done, and what to say beside the bar."""

Listener = Callable[[int, int | None, str], None]
"""Told (done, total, words) of the stage that runs; a sentence alone has no total."""


class Reporter:
    """What a person at a terminal sees.

    Args:
        visible: False says and shows nothing.
        listener: Told the same, in place of a person.
    """

    def __init__(self, *, visible: bool, listener: Listener | None = None) -> None:
        self._listener = listener
        self._console = Console(stderr=True, quiet=not visible, highlight=False)

    def say(self, text: str) -> None:
        """Write one line."""
        self._console.print(text, markup=False, soft_wrap=True)
        if self._listener is not None:
            self._listener(0, None, text)

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
            reached = done

            def tick(more: int, note: str) -> None:
                nonlocal reached
                reached += more
                bar.update(task, advance=more, note=note)
                if self._listener is not None:
                    words = f"{what}: {note}" if note else what
                    self._listener(reached, total, words)

            yield tick
