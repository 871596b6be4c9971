"""What medcnn answers to a case."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import medcnn
from medcnn.errors import ReadError
from reader_cases.case import Answer, Colour, Facts, Grey, Truth, Volume

UID = re.compile(r"\b\d+(\.\d+){5,}\b")


def answer(path: Path, truth: Truth, ask: Mapping[str, Any]) -> Answer:
    """Read a case by `medcnn.load`, or as it is told by `ask`.

    Raises:
        ReadError: If it is refused.
    """
    if isinstance(truth, Grey):
        return _grey(path, truth)
    if isinstance(truth, Facts):
        return {"facts": _facts(medcnn.load(path))}
    if isinstance(truth, Colour):
        return {"colour": medcnn.load(path).array[..., 0]}
    if ask.get("study"):
        study = medcnn.load_study(path)
        images = study.images
        if not images:
            raise ReadError("; ".join(reason for _, reason in study.problems))
    else:
        images = (medcnn.load(path, **ask),)
    return {"volumes": [_volume(image) for image in images]}


def sentence(error: ReadError, path: Path) -> str:
    """Return the sentence of a refusal, the same wherever the case was built."""
    return UID.sub("UID", error.message.replace(f"{path.parent}/", ""))


def _grey(path: Path, truth: Grey) -> Answer:
    values = medcnn.load(path, values=True)
    found: dict[str, Any] = {"values": values.array[0, ..., 0]}
    if truth.display is not None:
        found["display"] = medcnn.load(path, values=False).array[0, ..., 0]
    if values.padding is not None:
        found["padding"] = values.padding[..., 0]
    return found


def _volume(image: medcnn.Image) -> Volume:
    array = image.array[0]
    if image.padding is not None:
        array = np.where(image.padding, np.nan, array)
    return Volume(array, image.geometry.affine)


def _facts(image: medcnn.Image) -> dict[str, str]:
    spacing = image.geometry.spacing_mm if image.geometry else ()
    return dict(image.facts) | {
        "warnings": "; ".join(image.warnings),
        "frame": image.geometry.frame.value if image.geometry else "",
        "spacing_mm": ", ".join(f"{mm:g}" for mm in spacing[:2]),
    }
