"""What a screening run's worker process does: a file in, a tensor and pictures out.

It loads neither torch nor an engine.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from medcnn.bundle import BundleSpec
from medcnn.drift import acquisition_of
from medcnn.errors import GeometryError, MedcnnError, NoPixelsError, ReadError
from medcnn.io import Cells, header_of, load
from medcnn.isolation import (
    TOO_MUCH_MEMORY,
    Answering,
    Message,
    Tell,
    foreign_failure,
    is_out_of_memory,
)
from medcnn.model import prepare
from medcnn.preprocessing.detail import first_resize
from medcnn.screening.fetch import fetched, is_remote
from medcnn.screening.names import name_of
from medcnn.screening.thumbnails import LONGEST, stack_of
from medcnn.screening.wire import Failure, Grid, Reading, message_of

__all__ = ["job", "read_file", "read_place"]

_FEWEST = 2
"""Cells along a side of a network's pixel: coarser wavelets would show less."""


def job(setup: Mapping[str, Any]) -> Answering:
    """Return what reads a file for the model of this setup."""
    spec = BundleSpec.model_validate(setup["spec"])
    cv2.setNumThreads(1)

    def answer(request: str, tell: Tell) -> Message:  # noqa: ARG001 - one piece is all
        return message_of(read_place(spec, request))

    return answer


def read_place(spec: BundleSpec, place: str) -> Reading:
    """Read a file by its path, or by the URL that it is fetched from first."""
    if not is_remote(place):
        return read_file(spec, Path(place))
    try:
        with fetched(place) as copy:
            reading = read_file(spec, copy)
    except MedcnnError as error:
        failure = Failure("open", error.message, error.hint)
        return Reading(failure=failure)
    if reading.failure is None:
        return reading
    # where the copy lay tells nobody anything, and is another place every time
    words = reading.failure.error.replace(str(copy), place.rsplit("/", 1)[-1])
    return replace(reading, failure=replace(reading.failure, error=words))


def read_file(spec: BundleSpec, path: Path) -> Reading:
    """Load a file, look whether the model takes it, and prepare it.

    Whatever goes wrong becomes a `Failure`, so that one file costs one row. A sound
    object that is no image (a report, a presentation state) is out of scope.
    """
    try:
        return _read(spec, path)
    except ReadError as error:
        return _refused(error)
    except GeometryError as error:
        failure = Failure("geometry", error.message, error.hint)
    except MedcnnError as error:
        failure = Failure("prepare", error.message, error.hint)
    except MemoryError:
        failure = TOO_MUCH_MEMORY
    except Exception as error:  # noqa: BLE001 - a hostile file may raise anything
        failure = foreign_failure(error)
    return Reading(failure=failure)


def _refused(error: ReadError) -> Reading:
    """Say of a file that gave no image whether anything is wrong with it."""
    if isinstance(error, NoPixelsError) and not error.is_lost:
        return Reading(reason=error.message)
    if is_out_of_memory(error):
        return Reading(failure=TOO_MUCH_MEMORY)
    return Reading(failure=Failure(error.stage, error.message, error.hint))


def _read(spec: BundleSpec, path: Path) -> Reading:
    header = header_of(path)
    if header is not None:
        whose = name_of(Path(header.name), None)
        return Reading(reason=f"it holds the voxels of {whose}, which has its own row")
    image = load(path, cells=_enough(spec))
    identity = asdict(image.identity)
    acquisition = acquisition_of(image)
    prepared = prepare(spec, image)
    pictures, to_voxel, shape = stack_of(image)
    if isinstance(prepared, str):
        middle = pictures[len(pictures) // 2]
        return Reading(
            identity=identity,
            reason=prepared,
            pictures=(middle,),
            acquisition=acquisition,
        )
    from_tensor = np.linalg.inv(to_voxel) @ prepared.to_voxel
    return Reading(
        identity=identity,
        pictures=pictures,
        grid=Grid(shape, tuple(float(n) for n in from_tensor.ravel())),
        tensor=prepared.tensor,
        acquisition=acquisition,
    )


def _enough(spec: BundleSpec) -> Cells | None:
    """Return the cells that the network and a small picture need; None for all."""
    resize = first_resize(spec.preprocessing)
    if resize is None:
        return None
    rows, columns = resize.shape
    times = max(_FEWEST, -(-LONGEST // max(rows, columns)))
    return Cells((rows, columns), times, keeps_aspect=resize.fit == "letterbox")
