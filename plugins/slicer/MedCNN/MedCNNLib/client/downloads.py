"""What a worker keeps and what its jobs found, fetched at once or in steps."""

from __future__ import annotations

import contextlib
import json
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from MedCNNLib.client.arrays import read, reading
from MedCNNLib.client.errors import WorkerError
from MedCNNLib.client.records import Heatmap, Image, Result
from MedCNNLib.client.steps import PIECE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from MedCNNLib.client.aliases import Facts, Place
    from MedCNNLib.client.steps import Steps
    from MedCNNLib.client.wire import Wire

__all__ = ["download", "downloading", "finding", "found", "image"]


def image(wire: Wire, image_id: str) -> Image:
    """Return an image that the worker keeps."""
    return _image(_fetch(wire, _array_of(image_id)), image_id)


def download(wire: Wire, job_id: str, name: str, folder: Place) -> Path:
    """Save a file of a job in a folder; return its path."""
    path = _inside(folder, name)
    path.write_bytes(wire.ask_bytes("GET", _file_of(job_id, name)))
    return path


def downloading(wire: Wire, job_id: str, name: str, folder: Place) -> Steps:
    """As `download`, in steps."""
    path = _inside(folder, name)
    with tempfile.TemporaryFile(dir=path.parent) as file:
        yield from wire.exchanging("GET", _file_of(job_id, name), into=file)
        with path.open("wb") as saved:
            while piece := file.read(PIECE):
                saved.write(piece)
                yield 1.0
    return path


def found(wire: Wire, job: Facts) -> Any:
    """Return what a finished job found: an `Image`, a `Result` or a dict."""
    facts = job["result"]
    if job["kind"] == "load":
        return image(wire, facts["image"]["id"])
    if job["kind"] == "classify":
        return _result(facts, _fetch(wire, _maps_of(job)) if facts["heatmaps"] else {})
    return facts["model"] if job["kind"] == "train" else facts


def finding(wire: Wire, job: Facts) -> Steps:
    """As `found`, images and heatmaps in steps."""
    facts = job["result"]
    if job["kind"] == "load":
        image_id = facts["image"]["id"]
        return _image((yield from _fetching(wire, _array_of(image_id))), image_id)
    if job["kind"] == "classify" and facts["heatmaps"]:
        return _result(facts, (yield from _fetching(wire, _maps_of(job))))
    return found(wire, job)


def _fetch(wire: Wire, where: str) -> dict[str, Any]:
    """Return the arrays that a route answers, by name."""
    raw = wire.ask_bytes("GET", where)
    with _whole():
        return read(raw)


def _fetching(wire: Wire, where: str) -> Steps:
    """As `_fetch`, in steps."""
    with tempfile.TemporaryFile() as file:
        yield from wire.exchanging("GET", where, into=file)
        with _whole():
            return (yield from reading(file))


@contextlib.contextmanager
def _whole() -> Iterator[None]:
    """Say in words that arrays are not whole.

    Raises:
        WorkerError: If what the worker sent is broken.
    """
    try:
        yield
    except (zipfile.BadZipFile, ValueError) as error:
        message = "What the worker sent is broken."
        raise WorkerError(message, "Ask again.", "connection") from error


def _image(found: Mapping[str, Any], image_id: str) -> Image:
    """Return an image that the worker keeps."""
    info = json.loads(found["info"].tobytes())
    return Image(found["array"], found.get("affine"), id=image_id, **info)


def _result(facts: Facts, found: Mapping[str, Any]) -> Result:
    """Return a classification with the heatmaps that came with it."""
    maps: dict[str, Heatmap] = {}
    for number, one in enumerate(facts["heatmaps"]):
        values = found[f"heatmap_{number}"]
        maps[one["label"]] = Heatmap(values, found.get("affine"), one)
    return Result(facts, maps)


def _array_of(image_id: str) -> str:
    return f"/v1/images/{quote(image_id)}/array"


def _maps_of(job: Facts) -> str:
    return f"/v1/jobs/{quote(job['id'])}/heatmaps"


def _file_of(job_id: str, name: str) -> str:
    return f"/v1/jobs/{quote(job_id)}/files/{quote(name)}"


def _inside(folder: Place, name: str) -> Path:
    """Return where a file of the worker's goes; its folder is made.

    Raises:
        WorkerError: If that is outside the folder.
    """
    root = Path(folder).resolve()
    path = (root / name).resolve()
    if root not in path.parents:
        message = f"The worker names a file outside the folder: {name}."
        raise WorkerError(message, "Do not trust this worker.", "internal")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
