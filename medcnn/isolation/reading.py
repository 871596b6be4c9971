"""The job of a `SafeReader`'s worker: what `medcnn.io` says of a path."""

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from medcnn.errors import MedcnnError
from medcnn.image import Image
from medcnn.io import Cells, ReadOptions, describe_study, load, study_pieces
from medcnn.isolation.values import (
    description_facts,
    error_facts,
    image_message,
    is_out_of_memory,
)
from medcnn.isolation.watch import Watch
from medcnn.isolation.wire import Message
from medcnn.isolation.worker import Answering, Tell

__all__ = ["job"]


def job(setup: None) -> Answering:  # noqa: ARG001 - it needs none
    """Return what answers requests of `SafeReader`."""
    watch = Watch()

    def answer(request: Mapping[str, Any], tell: Tell) -> Message:
        with contextlib.suppress(OSError):
            os.chdir(request["cwd"])
        path = Path(request["path"])
        options = _options(request["options"])
        with watch.over(path, request["fatal"], tell):
            try:
                return _VERBS[request["verb"]](path, options, tell)
            except MedcnnError as error:
                if is_out_of_memory(error):
                    raise MemoryError from error
                return Message({"error": error_facts(error)})

    return answer


def _options(facts: Mapping[str, Any]) -> ReadOptions:
    size, cells = facts["size"], facts["cells"]
    size = None if size is None else tuple(size)
    if cells is not None:
        cells = Cells(**cells | {"shape": tuple(cells["shape"])})
    return ReadOptions(**{**facts, "size": size, "cells": cells})


def _load(path: Path, options: ReadOptions, tell: Tell) -> Message:  # noqa: ARG001
    return image_message(load(path, **vars(options)))


def _load_study(path: Path, options: ReadOptions, tell: Tell) -> Message:
    """Tell image by image, so that one of them at a time is in memory."""
    problems = []
    for piece in study_pieces(path, options):
        if isinstance(piece, Image):
            tell(image_message(piece))
        else:
            problems.append((str(piece[0]), piece[1]))
    return Message({"problems": problems})


def _describe_study(path: Path, options: ReadOptions, tell: Tell) -> Message:  # noqa: ARG001
    found, problems = describe_study(path, options)
    return Message(
        {
            "found": [description_facts(one) for one in found],
            "problems": [(str(where), reason) for where, reason in problems],
        }
    )


_VERBS: Mapping[str, Callable[[Path, ReadOptions, Tell], Message]] = {
    "load": _load,
    "load_study": _load_study,
    "describe_study": _describe_study,
}
