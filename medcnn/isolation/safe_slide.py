"""A slide that nobody vouches for: opened and decoded in a worker process."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from medcnn.errors import MedcnnError
from medcnn.image import Identity
from medcnn.io.slide import Slide, SlideParts, check_matrix
from medcnn.isolation.arrays import unpack
from medcnn.isolation.crew import Crew
from medcnn.isolation.limits import Limits
from medcnn.isolation.values import error_of, failure_error, sound
from medcnn.isolation.wire import Failure, Message

__all__ = ["open_slide_safely"]

_JOB = "medcnn.isolation.slide_reading:job"

T = TypeVar("T")


def open_slide_safely(
    path: str | Path,
    *,
    limits: Limits | None = None,
    series: str | None = None,
    optical_path: str | None = None,
    focal_plane: int | None = None,
) -> Slide:
    """Open a slide as `medcnn.open_slide` does, but decode it in a worker process.

    Only numbers and decoded pixels come back. A tile that crashes the worker, or takes
    too long or too much memory, is an error; the next one is decoded by another
    process.

    Args:
        path: As for `open_slide`, and so are the other choices.
        limits: What opening it, and each stored tile, may cost.
        series: Series Instance UID.
        optical_path: Its identifier.
        focal_plane: Which, counted from 1.

    Raises:
        ReadError: As `open_slide`, or IsolationError.

    Examples:
        >>> with open_slide_safely("from-elsewhere.svs") as slide:  # doctest: +SKIP
        ...     slide.thumbnail()
    """
    where = Path(path)
    choices = {
        "series": series,
        "optical_path": optical_path,
        "focal_plane": focal_plane,
    }
    setup = {"path": str(where), "cwd": _current_folder(), "choices": choices}
    desk = _Desk(where, Crew(1, _JOB, setup, limits or Limits()))
    try:
        message = desk.ask(None)
        return Slide(desk.checked(lambda: _parts(message.facts, desk)))
    except BaseException:
        desk.crew.close()
        raise


@dataclass(frozen=True, eq=False)
class _Desk:
    """Where tiles of one slide are asked for."""

    path: Path
    crew: Crew

    def ask(self, request: tuple[int, int, int] | None) -> Message:
        """Ask for the slide's description (None), or a tile.

        Raises:
            MedcnnError: What the worker says is wrong, or IsolationError.
        """
        answer = self.crew.ask(request)
        if isinstance(answer, Failure):
            error: MedcnnError = failure_error(answer, self.path)
            raise error
        facts = answer[-1].facts.get("error")
        if facts is None:
            return answer[-1]
        told = self.checked(lambda: error_of(facts))
        raise told

    def checked(self, build: Callable[[], T]) -> T:
        """Build a value of what a worker sent; see `sound`."""
        hint = "It may be broken on purpose; do not use it."
        return sound(build, self.path, hint=hint)


@dataclass(frozen=True, eq=False)
class _RemoteLevel:
    """One level whose tiles are decoded elsewhere."""

    desk: _Desk
    number: int
    shape: tuple[int, int]
    tile: tuple[int, int]

    def stored_tile(self, across: int, down: int) -> npt.NDArray[np.uint8] | None:
        """Have one tile decoded.

        Raises:
            ReadError: If it is broken, or IsolationError.
        """
        message = self.desk.ask((self.number, across, down))
        return self.desk.checked(lambda: _pixels(message))


def _pixels(message: Message) -> npt.NDArray[np.uint8] | None:
    """Return the pixels of a message.

    Raises:
        ValueError: If they are none.
    """
    facts = message.facts["array"]
    if facts is None:
        return None
    pixels = unpack(facts, message.parts[0])
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        msg = f"a tile of shape {pixels.shape}"
        raise ValueError(msg)
    return pixels


def _parts(facts: Any, desk: _Desk) -> SlideParts:
    """Return the slide that a worker described."""
    levels = []
    for number, (shape, tile) in enumerate(facts["levels"]):
        sizes = [int(n) for n in (*shape, *tile)]
        check_matrix(desk.path, (sizes[0], sizes[1]), (sizes[2], sizes[3]))
        levels.append(
            _RemoteLevel(desk, number, (sizes[0], sizes[1]), (sizes[2], sizes[3]))
        )
    affine = facts["affine"]
    return SlideParts(
        path=desk.path,
        kind=str(facts["kind"]),
        levels=tuple(levels),
        downsamples=tuple(float(n) for n in facts["downsamples"]),
        affine=None if affine is None else np.array(affine, np.float64).reshape(4, 4),
        close=desk.crew.close,
        modality=facts["modality"] and str(facts["modality"]),
        facts={str(k): str(v) for k, v in facts["facts"].items()},
        identity=Identity(**facts["identity"]),
        provenance=tuple(map(str, facts["provenance"])),
        warnings=tuple(map(str, facts["warnings"])),
        associated=tuple(map(str, facts["associated"])),
        files=int(facts["files"]),
    )


def _current_folder() -> str:
    """Return the folder that relative paths are meant from."""
    try:
        return os.getcwd()  # noqa: PTH109 - as text
    except OSError:
        return "."
