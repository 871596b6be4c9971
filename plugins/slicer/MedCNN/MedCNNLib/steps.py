"""What is done piece by piece, so that a viewer can do other things in between."""

from collections.abc import Generator
from typing import Any

__all__ = ["Steps", "finish"]

Steps = Generator[float | None, None, Any]
"""Yields how much is done, 0 to 1, or None where another's turn has come; see
`Client.uploading`. What it returns is what was made."""


def finish(steps: Steps) -> Any:
    """Take all steps at once; return what was made."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
