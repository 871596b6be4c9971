"""The job of a worker that has one slide open and decodes its tiles."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medcnn.errors import MedcnnError
from medcnn.io.slide import SlideParts, open_parts
from medcnn.isolation.arrays import pack
from medcnn.isolation.values import error_facts, is_out_of_memory
from medcnn.isolation.wire import Message
from medcnn.isolation.worker import Answering, Tell

__all__ = ["job"]


def job(setup: Mapping[str, Any]) -> Answering:
    """Return what describes one slide, and decodes its tiles.

    Args:
        setup: Path, folder that it is meant from, and the choices of `open_slide`.
    """
    opened: list[SlideParts] = []

    def parts() -> SlideParts:
        if not opened:
            with contextlib.suppress(OSError):
                os.chdir(setup["cwd"])
            opened.append(open_parts(Path(setup["path"]), **setup["choices"]))
        return opened[0]

    def answer(request: Any, tell: Tell) -> Message:  # noqa: ARG001 - one message
        try:
            if request is None:
                return _described(parts())
            level, across, down = request
            pixels = parts().levels[level].stored_tile(across, down)
        except MedcnnError as error:
            if is_out_of_memory(error):
                raise MemoryError from error
            return Message({"error": error_facts(error)})
        if pixels is None:
            return Message({"array": None})
        facts, part = pack(pixels)
        return Message({"array": facts}, [part])

    return answer


def _described(parts: SlideParts) -> Message:
    """Return everything but the pixels."""
    return Message(
        {
            "path": str(parts.path),
            "kind": parts.kind,
            "levels": [[one.shape, one.tile] for one in parts.levels],
            "downsamples": parts.downsamples,
            "affine": None if parts.affine is None else parts.affine.tolist(),
            "modality": parts.modality,
            "facts": dict(parts.facts),
            "identity": asdict(parts.identity),
            "provenance": parts.provenance,
            "warnings": parts.warnings,
            "associated": parts.associated,
            "files": parts.files,
        }
    )
