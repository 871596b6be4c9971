"""Who watches a job: told how far it is, and asked whether it should stop."""

from collections.abc import Callable
from dataclasses import dataclass

from medcnn.errors import StoppedError

__all__ = ["Cancel", "Progress", "Watch"]

Progress = Callable[[int, int | None, str], None]
"""Told (done, total, words); a total of None is not known."""

Cancel = Callable[[], bool]
"""Says whether the job should stop, such as the `is_set` of a threading.Event."""


@dataclass(frozen=True)
class Watch:
    """Progress and cancel of one job.

    Attributes:
        progress: Told how far it is.
        cancel: Asked whether it should stop.
    """

    progress: Progress | None = None
    cancel: Cancel | None = None

    def check(self) -> None:
        """Stop here if that is wanted.

        Raises:
            StoppedError: If it is.
        """
        if self.cancel is not None and self.cancel():
            raise StoppedError

    def tell(self, done: int, total: int | None, words: str) -> None:
        """Tell how far the job is, and stop here if that is wanted.

        Raises:
            StoppedError: If it is.
        """
        self.check()
        if self.progress is not None:
            self.progress(done, total, words)
