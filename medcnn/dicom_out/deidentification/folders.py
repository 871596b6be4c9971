"""Where de-identified images may go: never among those that they come from."""

from collections.abc import Iterable
from pathlib import Path

from medcnn.errors import OutputError

__all__ = ["check_apart"]


def check_apart(output: Path, inputs: Iterable[Path]) -> None:
    """Refuse an output folder that is, contains or lies in one of the inputs.

    Raises:
        OutputError: If it does.
    """
    target = output.resolve()
    for path in inputs:
        source = path.resolve()
        if target.is_relative_to(source) or source.is_relative_to(target):
            msg = f"{output} and {path} lie in each other."
            hint = "De-identified images go to a folder of their own; choose another."
            raise OutputError(msg, hint=hint)
