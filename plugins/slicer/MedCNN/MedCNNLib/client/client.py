"""All that a worker can be asked, a method each; docs/worker.md describes them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from MedCNNLib.client import downloads, uploads
from MedCNNLib.client.handshake import greet, greeting
from MedCNNLib.client.jobs import Job
from MedCNNLib.client.records import Image

if TYPE_CHECKING:
    from pathlib import Path

    from MedCNNLib.client.aliases import Cancel, Facts, Place, Progress
    from MedCNNLib.client.records import Result
    from MedCNNLib.client.steps import Steps
    from MedCNNLib.client.wire import Wire

__all__ = ["Client"]


class Client:
    """A worker that is asked; made by `Worker` or `Remote`.

    Attributes:
        wire: How it is reached.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the worker."""
        self.wire.token = ""

    # -------------------------------------------------------------- what there is

    def info(self) -> Facts:
        """Return what the worker is and can do; refuse one of another version."""
        return greet(self.wire)

    def greeting(self) -> Steps:
        """As `info`, in steps; see `uploading`."""
        return greeting(self.wire)

    def models(self) -> list[Facts]:
        """Return the models, each with its id, labels, dims, modalities, ..."""
        found: list[Facts] = self.ask("GET", "/v1/models")["models"]
        return found

    def card(self, model: str) -> str:
        """Return a model's card, Markdown."""
        card: str = self.ask("GET", f"/v1/card?{urlencode({'model': model})}")["card"]
        return card

    # -------------------------------------------------------------- images

    def upload(self, image: Image) -> str:
        """Send an image; return its id."""
        return uploads.upload(self.wire, image)

    def upload_file(self, path: Place, **choices: Any) -> str:
        """Send a file that medcnn reads (DICOM, NIfTI, zip of a series); return its id.

        Args:
            path: On this machine.
            choices: series, part, resample_tilt, allow_gaps.
        """
        return uploads.upload_file(self.wire, path, choices)

    def uploading(self, image: Image) -> Steps:
        """As `upload`, in steps of milliseconds, for viewers that must not stand still.

        Each step yields how much is done, 0 to 1, or None where it is the worker's turn
        and a timer had better come back. The last one returns the image's id.
        """
        return uploads.uploading(self.wire, image)

    def uploading_file(self, path: Place, **choices: Any) -> Steps:
        """As `upload_file`, in steps; see `uploading`."""
        return uploads.uploading_file(self.wire, path, choices)

    def image(self, image_id: str) -> Image:
        """Return an image that the worker keeps."""
        return downloads.image(self.wire, image_id)

    def forget(self, image_id: str) -> None:
        """Tell the worker that an image is not needed any more."""
        self.ask_bytes("DELETE", f"/v1/images/{quote(image_id)}")

    # -------------------------------------------------------------- jobs

    def submit(self, kind: str, **request: Any) -> Job:
        """Queue a job; its fields are in docs/worker.md."""
        return Job(self.wire, self.ask("POST", "/v1/jobs", {"kind": kind, **request}))

    def submitting(self, kind: str, **request: Any) -> Steps:
        """As `submit`, in steps; see `uploading`."""
        asked = yield from self.asking("POST", "/v1/jobs", {"kind": kind, **request})
        return Job(self.wire, asked)

    def submit_load(self, path: Place, **choices: Any) -> Job:
        """Read an image on the worker's machine; as `load`."""
        return self.submit("load", path=str(path), **choices)

    def submit_classify(
        self, image: Any, model: str = "chest-xray", **choices: Any
    ) -> Job:
        """Send the image if need be, and classify it; as `classify`."""
        given: Facts = {"image": image}
        if isinstance(image, Image):
            given = {"image": image.id or self.upload(image)}
            image.id = given["image"]
        elif isinstance(image, os.PathLike) or _is_path(image):
            given = {"path": str(image)}
        labels = choices.pop("labels", None)
        choices["labels"] = None if labels is None else list(labels)
        return self.submit("classify", model=model, **given, **choices)

    def submit_evaluate(
        self,
        data: Place,
        model: str = "chest-xray",
        **choices: Any,
    ) -> Job:
        """Measure a model on labelled images; as `evaluate`."""
        return self.submit("evaluate", data=str(data), model=model, **choices)

    def submit_plan(self, data: Place, **choices: Any) -> Job:
        """Say how a training would be done; as `plan`."""
        choices["settings"] = dict(choices.get("settings") or {})
        return self.submit("plan", data=str(data), **choices)

    def submit_train(self, data: Place, name: str, **choices: Any) -> Job:
        """Train a model; as `train`."""
        choices["settings"] = dict(choices.get("settings") or {})
        return self.submit("train", data=str(data), name=name, **choices)

    def load(
        self,
        path: Place,
        *,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        **choices: Any,
    ) -> Image:
        """Read an image on the worker's machine.

        Args:
            path: Below a folder that the worker may read.
            progress: Told (done, total, words).
            cancel: A function or threading.Event.
            choices: series, part, resample_tilt, allow_gaps.
        """
        job = self.submit_load(path, **choices)
        image: Image = job.wait(progress, cancel).result()
        return image

    def classify(
        self,
        image: Any,
        model: str = "chest-xray",
        *,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        **choices: Any,
    ) -> Result:
        """Classify an image.

        Args:
            image: An `Image`, an image's id, or a path on the worker's machine.
            model: A model's id.
            progress: Told (done, total, words).
            cancel: A function or threading.Event.
            choices: labels, heatmap, method, layer.
        """
        job = self.submit_classify(image, model, **choices)
        result: Result = job.wait(progress, cancel).result()
        return result

    def evaluate(
        self,
        data: Place,
        model: str = "chest-xray",
        *,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        **choices: Any,
    ) -> Facts:
        """Measure a model on labelled images of the worker's machine."""
        job = self.submit_evaluate(data, model, **choices)
        found: Facts = job.wait(progress, cancel).result()
        return found

    def plan(
        self,
        data: Place,
        *,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        **choices: Any,
    ) -> Facts:
        """Say how a training would be done, and how long it would take."""
        job = self.submit_plan(data, **choices)
        found: Facts = job.wait(progress, cancel).result()
        return found

    def train(
        self,
        data: Place,
        name: str,
        *,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        **choices: Any,
    ) -> Facts:
        """Train a model; return what `models` then says of it."""
        job = self.submit_train(data, name, **choices)
        found: Facts = job.wait(progress, cancel).result()
        return found

    def jobs(self) -> list[Facts]:
        """Return all jobs that the worker keeps, without their results."""
        found: list[Facts] = self.ask("GET", "/v1/jobs")["jobs"]
        return found

    def download(self, job_id: str, name: str, folder: Place) -> Path:
        """Save a file of an evaluation in a folder; return its path."""
        return downloads.download(self.wire, job_id, name, folder)

    def downloading(self, job_id: str, name: str, folder: Place) -> Steps:
        """As `download`, in steps; see `uploading`."""
        return downloads.downloading(self.wire, job_id, name, folder)

    # -------------------------------------------------------------- HTTP

    def ask(
        self,
        method: str,
        where: str,
        body: Facts | None = None,
        *,
        seconds: float | None = None,
    ) -> Facts:
        """Ask a route of JSON; return what it answers, within so many seconds."""
        return self.wire.ask(method, where, body, seconds=seconds)

    def asking(
        self,
        method: str,
        where: str,
        body: Facts | None = None,
        *,
        seconds: float | None = None,
    ) -> Steps:
        """As `ask`, in steps; see `uploading`."""
        return self.wire.asking(method, where, body, seconds=seconds)

    def ask_bytes(
        self,
        method: str,
        where: str,
        body: Any = None,
        kind: str = "application/json",
        *,
        seconds: float | None = None,
    ) -> bytes:
        """Ask any route; return the bytes that it answers."""
        return self.wire.ask_bytes(method, where, body, kind, seconds=seconds)


def _is_path(image: Any) -> bool:
    return isinstance(image, str) and ("/" in image or "\\" in image or "." in image)
