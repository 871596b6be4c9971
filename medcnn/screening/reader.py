"""The reader process: a file in, a tensor and small pictures out.

It may crash, hang or run out of memory without harm to the run. It loads neither torch
nor an engine, writes nothing, and works for the process that started it only.
"""

import contextlib
import json
import os
import signal
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import IO

import cv2
import numpy as np

from medcnn.bundle import BundleSpec
from medcnn.errors import GeometryError, MedcnnError, ReadError
from medcnn.io import load
from medcnn.model import prepare
from medcnn.screening.thumbnails import stack_of
from medcnn.screening.wire import (
    Failure,
    Grid,
    Reading,
    receive_bytes,
    send,
    send_bytes,
)

__all__ = ["READY", "main", "read_file", "serve"]

READY = b"ready"
_PAGE_BYTES = 4096
_GRACE_S = 5


def main() -> None:
    """Serve on standard input and output until the other side closes them."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get between the replies
    warnings.simplefilter("ignore")
    cv2.setNumThreads(1)
    with contextlib.suppress(EOFError, BrokenPipeError):
        serve(requests, replies)
    sys.stderr.flush()
    os._exit(0)


def serve(requests: IO[bytes], replies: IO[bytes]) -> None:
    """Answer one request after the other.

    Raises:
        EOFError: When the other side is gone.
    """
    setup = json.loads(receive_bytes(requests))
    spec = BundleSpec.model_validate(setup["spec"])
    _limit_memory(setup["memory_bytes"])
    send_bytes(replies, READY)
    while True:
        path = Path(os.fsdecode(receive_bytes(requests)))
        _limit_time(setup["timeout_s"] + _GRACE_S)
        reading = read_file(spec, path)
        _limit_time(0)
        send(replies, reading)


def read_file(spec: BundleSpec, path: Path) -> Reading:
    """Load a file, look whether the model takes it, and prepare it.

    Whatever goes wrong becomes a `Failure`, so that one file costs one row.
    """
    try:
        return _read(spec, path)
    except ReadError as error:
        failure = Failure(error.stage, error.message, error.hint)
    except GeometryError as error:
        failure = Failure("geometry", error.message, error.hint)
    except MedcnnError as error:
        failure = Failure("prepare", error.message, error.hint)
    except MemoryError:
        failure = Failure(
            "memory",
            "reading it takes more memory than one file may have.",
            "It may declare a size it does not have; look at it: medcnn inspect PATH.",
        )
    except Exception as error:  # noqa: BLE001 - a hostile file may raise anything
        # the text of a foreign error may quote patient data, so only its kind is kept
        failure = Failure(
            "decode",
            f"its reader failed with {type(error).__name__}.",
            "Look at it alone: medcnn inspect PATH.",
        )
    return Reading(failure=failure)


def _read(spec: BundleSpec, path: Path) -> Reading:
    image = load(path)
    identity = asdict(image.identity)
    prepared = prepare(spec, image)
    pictures, to_voxel, shape = stack_of(image)
    if isinstance(prepared, str):
        middle = pictures[len(pictures) // 2]
        return Reading(identity=identity, reason=prepared, pictures=(middle,))
    from_tensor = np.linalg.inv(to_voxel) @ prepared.to_voxel
    return Reading(
        identity=identity,
        pictures=pictures,
        grid=Grid(shape, tuple(float(n) for n in from_tensor.ravel())),
        tensor=prepared.tensor,
    )


def _limit_time(seconds: float) -> None:
    """Die after so long even if nobody is left to end this process; 0 cancels."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _limit_memory(allowance: int) -> None:
    """Allow this process so many more bytes of address space, where that exists.

    It also offers itself first when the machine runs out of memory.
    """
    try:
        import resource  # POSIX only
    except ImportError:
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
    have = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
        have = int(pages) * _PAGE_BYTES
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (have + allowance, have + allowance))
