"""What reader processes find in a file, and how it travels to the screening process."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.image import Identity
from medcnn.isolation import Answer, Failure, Message, pack, unpack

__all__ = ["Failure", "Grid", "Place", "Reading", "message_of", "reading_of"]

_NONSENSE = Failure(
    "crash",
    "the process that read it sent nonsense.",
    "It may be broken on purpose; look at it alone: medcnn inspect PATH.",
)


@dataclass(frozen=True)
class Place:
    """A file as a worker knows it: by a path as text, or a URL that it fetches."""

    text: str

    def __fspath__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Grid:
    """Where a stack of small pictures lies.

    Attributes:
        shape: (columns, rows, pictures).
        from_tensor: (4, 4) by rows, from tensor (column, row, slice, 1) to stack
            (column, row, picture, 1).
    """

    shape: tuple[int, int, int]
    from_tensor: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Reading:
    """What a reader process found in one file.

    Attributes:
        identity: patient_id, study_uid, series_uid, sop_uid as the file says.
        failure: Why it gave no image; None if it did.
        reason: Why it is out of the model's scope; empty if it is not.
        pictures: Small JPEG pictures, one for a 2-D image, several slices of a volume.
        grid: Where they lie; None without a tensor.
        tensor: What the network sees; None after a failure or out of scope.
        acquisition: How the image was made, see `medcnn.drift.acquisition_of`.
    """

    identity: Mapping[str, str | None] = field(default_factory=dict)
    failure: Failure | None = None
    reason: str = ""
    pictures: tuple[bytes, ...] = ()
    grid: Grid | None = None
    tensor: npt.NDArray[np.float32] | None = None
    acquisition: Mapping[str, str | float] = field(default_factory=dict)


def message_of(reading: Reading) -> Message:
    """Return a reading as facts, pictures and pixels."""
    facts: dict[str, Any] = {
        "identity": dict(reading.identity),
        "failure": None if reading.failure is None else asdict(reading.failure),
        "reason": reading.reason,
        "grid": None if reading.grid is None else asdict(reading.grid),
        "tensor": None,
        "acquisition": dict(reading.acquisition),
    }
    if reading.tensor is None:
        return Message(facts, reading.pictures)
    facts["tensor"], pixels = pack(reading.tensor)
    return Message(facts, (*reading.pictures, pixels))


def reading_of(answer: Answer) -> Reading:
    """Return the reading of an answer, or the failure that came instead."""
    if isinstance(answer, Failure):
        return Reading(failure=answer)
    try:
        return _reading(answer[-1])
    except (AttributeError, LookupError, TypeError, ValueError):
        return Reading(failure=_NONSENSE)


def _reading(message: Message) -> Reading:
    """Put the parts of a message together."""
    facts, pictures, tensor = message.facts, [*message.parts], None
    if facts["tensor"] is not None:
        tensor = unpack(facts["tensor"], pictures.pop())
    failure, grid = facts["failure"], facts["grid"]
    return Reading(
        identity=asdict(Identity(**facts["identity"])),
        failure=None if failure is None else Failure(**failure),
        reason=facts["reason"],
        pictures=tuple(bytes(picture) for picture in pictures),
        grid=None if grid is None else _grid(grid),
        tensor=tensor,
        acquisition=_acquisition(facts["acquisition"]),
    )


def _acquisition(parts: Mapping[str, Any]) -> dict[str, str | float]:
    """Take over words and numbers; nothing else is expected."""
    return {
        str(name): value if isinstance(value, str) else float(value)
        for name, value in parts.items()
    }


def _grid(parts: Mapping[str, Any]) -> Grid:
    columns, rows, pictures = parts["shape"]
    return Grid((columns, rows, pictures), tuple(parts["from_tensor"]))
