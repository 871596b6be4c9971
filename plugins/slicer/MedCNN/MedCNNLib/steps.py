"""What is done piece by piece, so that a viewer can do other things in between."""

from typing import Any

from MedCNNLib.client.steps import Steps

__all__ = ["Steps", "finish"]


def finish(steps: Steps) -> Any:
    """Take all steps at once; return what was made."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
