"""Images, descriptions and errors as plain data, and back."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from medcnn import errors
from medcnn.errors import IsolationError, MedcnnError, ReadError, SeveralSeriesError
from medcnn.geometry import Frame, Geometry
from medcnn.image import Identity, Image
from medcnn.io import Description
from medcnn.isolation.arrays import pack, unpack
from medcnn.isolation.wire import Failure, Message

__all__ = [
    "description_facts",
    "description_of",
    "error_facts",
    "error_of",
    "failure_error",
    "image_message",
    "image_of",
    "is_out_of_memory",
    "sound",
]

_BAD = (AttributeError, LookupError, MedcnnError, TypeError, ValueError)
"""What comes of facts that are not as they should be."""

_SPECIAL = {"array", "facts", "geometry", "identity", "padding", "source"}
_PLAIN = tuple(part.name for part in fields(Image) if part.name not in _SPECIAL)

T = TypeVar("T")


def image_message(image: Image) -> Message:
    """Return an image as facts and its pixels, which are not copied."""
    facts: dict[str, Any] = {name: getattr(image, name) for name in _PLAIN}
    facts["facts"] = dict(image.facts)
    facts["identity"] = asdict(image.identity)
    facts["source"] = None if image.source is None else str(image.source)
    grid = image.geometry
    facts["geometry"] = grid and {
        "shape": grid.shape,
        "affine": grid.affine.tolist(),
        "frame": grid.frame,
    }
    facts["array"], pixels = pack(image.array)
    parts = [pixels]
    if image.padding is not None:
        facts["padding"], mask = pack(image.padding)
        parts.append(mask)
    return Message(facts, parts)


def image_of(message: Message) -> Image:
    """Return the image of a message.

    Raises:
        GeometryError: If its parts do not fit together.
        LookupError: If something is missing.
        TypeError: If something is of another type.
        ValueError: If its pixels are none.
    """
    facts = dict(message.facts)
    grid, source, padding = facts["geometry"], facts["source"], facts.get("padding")
    plain: dict[str, Any] = {name: _tuples(facts[name]) for name in _PLAIN}
    return Image(
        unpack(facts["array"], message.parts[0]),
        geometry=None if grid is None else _geometry(grid),
        facts=facts["facts"],
        identity=Identity(**facts["identity"]),
        padding=None if padding is None else unpack(padding, message.parts[1]),
        source=None if source is None else Path(source),
        **plain,
    )


def description_facts(description: Description) -> dict[str, Any]:
    """Return a description as JSON values."""
    return description.to_json()


def description_of(facts: Mapping[str, Any]) -> Description:
    """Return the description of JSON values.

    Raises:
        TypeError: If they are of another form.
    """
    kept: dict[str, Any] = {name: _tuples(value) for name, value in facts.items()}
    return Description(**kept | {"source": Path(kept["source"])})


def error_facts(error: MedcnnError) -> dict[str, Any]:
    """Return an error that was raised on purpose as JSON values."""
    facts = {"kind": type(error).__name__, **vars(error)}
    path = facts.get("path")
    return facts | ({} if path is None else {"path": str(path)})


def error_of(facts: Mapping[str, Any]) -> MedcnnError:
    """Return the error of JSON values; only errors of medcnn are made.

    Raises:
        KeyError: If something is missing, or the class is none of medcnn's.
        TypeError: If something is of another type.
    """
    name = facts["kind"]
    if name not in errors.__all__:
        raise KeyError(name)
    kind: type[MedcnnError] = getattr(errors, name)
    more: dict[str, Any] = {"hint": str(facts["hint"])}
    if issubclass(kind, ReadError):
        more["path"] = None if facts["path"] is None else Path(facts["path"])
    if issubclass(kind, SeveralSeriesError):
        more["series"] = tuple(str(line) for line in facts["series"])
    if issubclass(kind, IsolationError):
        more["stage"] = str(facts["stage"])
    return kind(str(facts["message"]), **more)


def failure_error(failure: Failure, path: Path) -> ReadError:
    """Return what to raise where a worker gave no answer."""
    where = Path(failure.at) if failure.at else path
    if failure.stage == "decode":
        return errors.DecodeError(failure.error, path=where, hint=failure.hint)
    return IsolationError(
        failure.error, path=where, hint=failure.hint, stage=failure.stage
    )


def sound(build: Callable[[], T], path: Path, *, hint: str) -> T:
    """Build a value of what a worker sent; it may be in a hostile file's hands.

    Raises:
        IsolationError: If the worker sent nonsense.
    """
    try:
        return build()
    except _BAD as error:
        msg = "the process that read it sent nonsense."
        raise IsolationError(msg, path=path, hint=hint, stage="crash") from error


def is_out_of_memory(error: BaseException | None) -> bool:
    """Say whether an error came of memory that was refused."""
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__
    return False


def _geometry(facts: Mapping[str, Any]) -> Geometry:
    i, j, k = facts["shape"]
    affine = np.array(facts["affine"], np.float64)
    return Geometry((i, j, k), affine, Frame(facts["frame"]))


def _tuples(value: T) -> T | tuple[Any, ...]:
    """Turn the lists of JSON into the tuples that they were."""
    if isinstance(value, list):
        return tuple(_tuples(part) for part in value)
    return value
