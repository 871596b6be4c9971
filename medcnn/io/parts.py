"""Several images in one file or series: which is wanted, or why none is guessed at."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from medcnn.errors import ReadError, SeveralSeriesError
from medcnn.io.source import shown

__all__ = ["Titled", "chosen"]


class Titled(Protocol):
    """What can be chosen from."""

    @property
    def title(self) -> str:
        """What tells it from the others, such as "echo time 4.9 ms"."""


T = TypeVar("T", bound=Titled)


def chosen(found: Sequence[T], part: int | None, path: Path | None) -> T:
    """Return the only part there is, or the one that is asked for.

    Args:
        found: At least one.
        part: Counted from 1; None takes the only one.
        path: The file or folder, for errors.

    Raises:
        SeveralSeriesError: If there are several and none is asked for.
        ReadError: If there is no such part.
    """
    if part is None and len(found) == 1:
        return found[0]
    lines = tuple(f"part {n}: {one.title}" for n, one in enumerate(found, start=1))
    if part is None:
        listed = "; ".join(lines[:8]) + ("; ..." if len(lines) > 8 else "")
        name = shown(path) if path is not None else "it"
        msg = f"{name} holds {len(found)} images: {listed}."
        hint = "Use load_study for all, or name one with part=N."
        raise SeveralSeriesError(msg, series=lines, path=path, hint=hint)
    if part > len(found):
        msg = f"there is no part {part}: it holds {len(found)}."
        hint = "`medcnn inspect` lists the parts."
        raise ReadError(msg, path=path, hint=hint)
    return found[part - 1]
