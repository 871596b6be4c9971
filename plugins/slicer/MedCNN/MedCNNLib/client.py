"""Talk to a medcnn worker: the one client of every viewer.

Standard library and NumPy alone, nothing of medcnn: 3D Slicer and other viewers have a
Python of their own. docs/worker.md of medcnn describes every call.

    with Worker(python="/opt/medcnn/bin/python") as worker:
        result = worker.classify(Image(array, affine), "chest-xray")
        print(result.top, result.heatmaps)
"""

from __future__ import annotations

import contextlib
import http.client
import io
import ipaddress
import json
import os
import secrets
import selectors
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional, Union
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import numpy as np

if TYPE_CHECKING:
    import socket
    from collections.abc import Generator, Mapping, Sequence

    Steps = Generator[Optional[float], None, Any]

__all__ = [
    "API",
    "Client",
    "Heatmap",
    "Image",
    "Job",
    "Remote",
    "Result",
    "Worker",
    "WorkerError",
]

API = 1
"""The version of the worker's interface that this file speaks."""

Progress = Callable[[int, Optional[int], str], None]
Cancel = Union[Callable[[], bool], Any]
Facts = dict[str, Any]
Place = Union[str, "os.PathLike[str]"]

_NPZ = "application/x-npz"
_ANY_FILE = "application/octet-stream"
_JSON = "application/json"
_ANSWER_SECONDS = 120.0
_JOB_SECONDS = 30.0
_LONG_POLL_SECONDS = 1.0
_ENDING_SECONDS = 8.0
_LAST_WORDS = 2000
_PIECE = 1 << 20
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_AXES = ("ijk", "cijk", "kji", "kjic")
_INSTALL = "In a Python 3.11 or newer: pip install 'medcnn-imaging[serve]'."


class WorkerError(Exception):
    """The only error of this file.

    Attributes:
        message: What is wrong.
        hint: What to do about it; may be empty.
        kind: In a word, see docs/worker.md: "stopped", "busy", "image", "start", ...
        status: The HTTP status; None if there was no answer.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        kind: str = "internal",
        status: int | None = None,
    ) -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message, self.hint, self.kind, self.status = message, hint, kind, status


class Image:
    """An image or volume as viewers hold it.

    Args:
        array: (I, J, K), or another order that `axes` names.
        affine: (4, 4), voxel centres (i, j, k) to RAS+ mm, whatever the axes; None
            where nothing says.
        axes: "ijk", "cijk", "kji" (VTK, ITK, napari) or "kjic".
        name: What to call it; never a patient's name.
        unit: Such as "HU".
        modality: DICOM code such as "CT".
        facts: What a model's gate asks for: body_part, view, laterality, ...
        warnings: What a careful reader would want to be told.
        id: Of the image that a worker keeps.
    """

    def __init__(  # noqa: PLR0913 - a record
        self,
        array: Any,
        affine: Any = None,
        *,
        axes: str = "ijk",
        name: str = "",
        unit: str | None = None,
        modality: str | None = None,
        facts: Mapping[str, str] | None = None,
        warnings: Sequence[str] = (),
        id: str | None = None,  # noqa: A002 - what the worker calls it
    ) -> None:
        self.array = np.asarray(array)
        if axes not in _AXES or self.array.ndim != len(axes):
            message = f"An image of axes {axes!r} cannot have {self.array.ndim} axes."
            raise WorkerError(message, "Name one of ijk, cijk, kji, kjic.", "request")
        self.axes = axes
        self.affine = None if affine is None else np.asarray(affine, np.float64)
        self.name, self.unit, self.modality, self.id = name, unit, modality, id
        self.facts = dict(facts or {})
        self.warnings = tuple(warnings)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along i, j, k."""
        sizes = dict(zip(self.axes, self.array.shape))
        return sizes["i"], sizes["j"], sizes["k"]

    def ijk(self) -> Any:
        """Return the array as (I, J, K), or (C, I, J, K) of several channels."""
        return self._turned("ijk", "cijk")

    def kji(self) -> Any:
        """Return the array as (K, J, I), or (K, J, I, C) of several channels."""
        return self._turned("kji", "kjic")

    def _turned(self, plain: str, coloured: str) -> Any:
        array, axes = self.array, self.axes
        if "c" in axes and array.shape[axes.index("c")] == 1:
            array = np.moveaxis(array, axes.index("c"), 0)[0]
            axes = axes.replace("c", "")
        wanted = coloured if "c" in axes else plain
        return array.transpose([axes.index(axis) for axis in wanted])


class Heatmap(Image):
    """Relevance of each voxel of an image for one label; hot is high.

    Attributes:
        label: What is explained.
        method: How.
        layer: Of the network; may be empty.
        unit: Of the values.
        meaning: What a value says, in a sentence.
        limits: What must be read beside it.
        peak: (i, j, k) of the highest relevance.
        peak_ras: The same in RAS+ mm; None where nothing says.
        window: (low, high): colour begins above low, and is hottest at high.
        window_words: What these two mean.
    """

    def __init__(self, array: Any, affine: Any, facts: Mapping[str, Any]) -> None:
        super().__init__(array, affine, name=f"{facts['label']} by {facts['method']}")
        self.label: str = facts["label"]
        self.method: str = facts["method"]
        self.layer: str = facts["layer"]
        self.unit: str = facts["unit"]
        self.meaning: str = facts["meaning"]
        self.limits: str = facts["limits"]
        i, j, k = facts["peak"]
        self.peak: tuple[int, int, int] = (i, j, k)
        ras = facts["peak_ras"]
        self.peak_ras: tuple[float, ...] | None = None if ras is None else tuple(ras)
        self.window: tuple[float, ...] = tuple(facts["window"])
        self.window_words: str = facts["window_words"]


class Result:
    """What a model said of an image.

    Attributes:
        facts: As the worker sent it; see docs/worker.md.
        heatmaps: By label.
    """

    def __init__(self, facts: Facts, heatmaps: Mapping[str, Heatmap]) -> None:
        self.facts = facts
        self.heatmaps = dict(heatmaps)
        self.model: str = facts["model"]
        self.version: str = facts["version"]
        self.sha256: str = facts["sha256"]
        self.labels: tuple[str, ...] = tuple(facts["labels"])
        self.label: str = facts["label"]
        self.number_kind: str = facts["number_kind"]
        self.probabilities: dict[str, float] = facts["probabilities"]
        self.thresholds: dict[str, dict[str, float]] = facts["thresholds"]
        self.bands: dict[str, str] = facts["bands"]
        self.out_of_scope: str = facts["out_of_scope"]
        self.seconds: dict[str, float] = facts["seconds"]
        self.device: str = facts["device"]
        self.engine: str = facts["engine"]
        self.warnings: tuple[str, ...] = tuple(facts["warnings"])
        self.image_id: str = facts["image"]["id"]

    @property
    def top(self) -> tuple[str, float]:
        """The label with the highest probability, and that."""
        return max(self.probabilities.items(), key=lambda pair: pair[1])


class Job:
    """Something that the worker does; ask it with `poll`, or `wait` for it.

    Attributes:
        id: Its id.
        kind: "load", "classify", "evaluate", "plan" or "train".
        facts: As last asked; see docs/worker.md.
    """

    def __init__(self, client: Client, facts: Facts) -> None:
        self._client, self.facts = client, facts
        self._result: Any = None
        self.id: str = facts["id"]
        self.kind: str = facts["kind"]

    @property
    def state(self) -> str:
        """queued, running, done, failed or cancelled, as last asked."""
        state: str = self.facts["state"]
        return state

    @property
    def finished(self) -> bool:
        """Whether it has ended, as last asked."""
        return self.state not in {"queued", "running"}

    @property
    def progress(self) -> tuple[int, int | None, str]:
        """(done, total, words), as last asked; a total of None is not known."""
        told = self.facts["progress"]
        return told["done"], told["total"], told["words"]

    def poll(self, wait: float = 0.0) -> Facts:
        """Ask how it stands; wait for its end at most so many seconds."""
        if not self.finished:
            where = f"/v1/jobs/{quote(self.id)}"
            where += f"?wait={wait:.3f}" if wait else ""
            seconds = _JOB_SECONDS + wait
            self.facts = self._client.ask("GET", where, seconds=seconds)
        return self.facts

    def polling(self) -> Steps:
        """As `poll`, in steps that never wait; see `Client.uploading`."""
        if not self.finished:
            where = f"/v1/jobs/{quote(self.id)}"
            asked = self._client.asking("GET", where, seconds=_JOB_SECONDS)
            self.facts = yield from asked

    def fetching(self) -> Steps:
        """Fetch what it found in steps; `result` then has it at once."""
        if self._result is None and self.facts["error"] is None:
            self._result = yield from self._client.finding(self)

    def cancel(self) -> Facts:
        """Cancel it; it ends as soon as it can."""
        if not self.finished:
            where = f"/v1/jobs/{quote(self.id)}"
            told = self._client.ask("DELETE", where, seconds=_JOB_SECONDS)
            self._cancelled(told)
        return self.facts

    def cancelling(self) -> Steps:
        """As `cancel`, in steps that never wait; see `Client.uploading`."""
        if not self.finished:
            where = f"/v1/jobs/{quote(self.id)}"
            asked = self._client.asking("DELETE", where, seconds=_JOB_SECONDS)
            self._cancelled((yield from asked))

    def _cancelled(self, facts: Facts) -> None:
        self.facts = facts
        if self.state in {"done", "failed"}:  # it ended first, and is forgotten
            error = {"kind": "stopped", "message": "It was cancelled.", "hint": ""}
            self.facts = {**self.facts, "state": "cancelled", "error": error}

    def wait(
        self,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        timeout: float | None = None,
    ) -> Job:
        """Wait for its end.

        Args:
            progress: Told (done, total, words).
            cancel: A function or threading.Event; once it says true it is cancelled.
            timeout: Seconds after which it is cancelled.

        Raises:
            WorkerError: If the worker does not answer, or out of time.
        """
        until = None if timeout is None else time.monotonic() + timeout
        told = None
        while not self.finished:
            if _is_set(cancel):
                self.cancel()
                cancel = None
            if until is not None and time.monotonic() > until:
                self.cancel()
                message = f"It was not finished after {timeout:g} s, and is cancelled."
                raise WorkerError(message, "Give it more time.", "timeout")
            self.poll(0.1 if cancel is not None else _LONG_POLL_SECONDS)
            if progress is not None and self.progress != told and not self.finished:
                told = self.progress
                progress(*told)
        return self

    def result(self) -> Any:
        """Return what it found.

        Returns:
            An `Image` of "load", a `Result` of "classify", a dict of the others.

        Raises:
            WorkerError: If it failed, was cancelled, or is not finished.
        """
        if not self.finished:
            message = "The job is not finished."
            raise WorkerError(message, "Poll it, or wait for it.", "state")
        error = self.facts["error"]
        if error is not None:
            raise WorkerError(error["message"], error["hint"], error["kind"])
        if self._result is None:
            self._result = self._client.found(self)
        return self._result


class Client:
    """A worker that is asked; made by `Worker` or `Remote`."""

    def __init__(self) -> None:
        self._url = urlsplit("")
        self._token = ""
        self._tls: ssl.SSLContext | None = None
        self._limit: int | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the worker."""
        self._token = ""

    # -------------------------------------------------------------- what there is

    def info(self) -> Facts:
        """Return what the worker is and can do; refuse one of another version."""
        return self._known(self.ask("GET", "/v1/info"))

    def greeting(self) -> Steps:
        """As `info`, in steps; see `uploading`."""
        return self._known((yield from self.asking("GET", "/v1/info")))

    def _known(self, facts: Facts) -> Facts:
        """Keep what a worker says of itself.

        Raises:
            WorkerError: If it speaks another version.
        """
        if facts.get("api") != API:
            message = f"The worker speaks version {facts.get('api')} of its interface"
            message += f" (medcnn {facts.get('version')}), this viewer {API}."
            hint = "Bring both to one version: pip install -U medcnn-imaging."
            raise WorkerError(message, hint, "version")
        self._limit = facts["limits"]["upload_bytes"]
        return facts

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
        self._check_size(image.array.nbytes)
        with tempfile.TemporaryFile() as file:
            _write_npz(image, file)
            facts = self._send_file(file, "/v1/images", _NPZ)
        return str(facts["id"])

    def upload_file(self, path: Place, **choices: Any) -> str:
        """Send a file that medcnn reads (DICOM, NIfTI, zip of a series); return its id.

        Args:
            path: On this machine.
            choices: series, part, resample_tilt, allow_gaps.
        """
        where = f"/v1/images?{_query(path, choices)}"
        with _opened(path) as file:
            return str(self._send_file(file, where, _ANY_FILE)["id"])

    def uploading(self, image: Image) -> Steps:
        """As `upload`, in steps of milliseconds, for viewers that must not stand still.

        Each step yields how much is done, 0 to 1, or None where it is the worker's turn
        and a timer had better come back. The last one returns the image's id.
        """
        if self._limit is None:
            yield from self.greeting()
        self._check_size(image.array.nbytes)  # before it is written anywhere
        with tempfile.TemporaryFile() as file:
            yield from _writing(image, file)
            return (yield from self._posting(file, "/v1/images", _NPZ))

    def uploading_file(self, path: Place, **choices: Any) -> Steps:
        """As `upload_file`, in steps; see `uploading`."""
        where = f"/v1/images?{_query(path, choices)}"
        with _opened(path) as file:
            return (yield from self._posting(file, where, _ANY_FILE))

    def image(self, image_id: str) -> Image:
        """Return an image that the worker keeps."""
        return _image(_arrays(self.ask_bytes("GET", _array_of(image_id))), image_id)

    def forget(self, image_id: str) -> None:
        """Tell the worker that an image is not needed any more."""
        self.ask_bytes("DELETE", f"/v1/images/{quote(image_id)}")

    # -------------------------------------------------------------- jobs

    def submit(self, kind: str, **request: Any) -> Job:
        """Queue a job; its fields are in docs/worker.md."""
        return Job(self, self.ask("POST", "/v1/jobs", {"kind": kind, **request}))

    def submitting(self, kind: str, **request: Any) -> Steps:
        """As `submit`, in steps; see `uploading`."""
        asked = yield from self.asking("POST", "/v1/jobs", {"kind": kind, **request})
        return Job(self, asked)

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
        path = _inside(folder, name)
        path.write_bytes(self.ask_bytes("GET", _file_of(job_id, name)))
        return path

    def downloading(self, job_id: str, name: str, folder: Place) -> Steps:
        """As `download`, in steps; see `uploading`."""
        path = _inside(folder, name)
        with tempfile.TemporaryFile(dir=path.parent) as file:
            yield from self._exchanging("GET", _file_of(job_id, name), into=file)
            with path.open("wb") as saved:
                while piece := file.read(_PIECE):
                    saved.write(piece)
                    yield 1.0
        return path

    def found(self, job: Job) -> Any:
        """Return what a finished job found."""
        facts = job.facts["result"]
        if job.kind == "load":
            return self.image(facts["image"]["id"])
        if job.kind == "train":
            return facts["model"]
        if job.kind != "classify":
            return facts
        if not facts["heatmaps"]:
            return Result(facts, {})
        raw = self.ask_bytes("GET", f"/v1/jobs/{quote(job.id)}/heatmaps")
        return _result(facts, _arrays(raw))

    def finding(self, job: Job) -> Steps:
        """As `found`, images and heatmaps in steps; see `uploading`."""
        facts = job.facts["result"]
        if job.kind == "load":
            where = _array_of(facts["image"]["id"])
            return _image((yield from self._arrays(where)), facts["image"]["id"])
        if job.kind != "classify" or not facts["heatmaps"]:
            return self.found(job)
        where = f"/v1/jobs/{quote(job.id)}/heatmaps"
        return _result(facts, (yield from self._arrays(where)))

    def _arrays(self, where: str) -> Steps:
        """Fetch an .npz in steps; return its arrays.

        Raises:
            WorkerError: If what the worker sent is broken.
        """
        with tempfile.TemporaryFile() as file:
            yield from self._exchanging("GET", where, into=file)
            try:
                return (yield from _reading(file))
            except (zipfile.BadZipFile, ValueError) as error:
                message = "What the worker sent is broken."
                raise WorkerError(message, "Ask again.", "connection") from error

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
        sent = None if body is None else json.dumps(body).encode()
        return _from_json(self.ask_bytes(method, where, sent, seconds=seconds))

    def asking(
        self,
        method: str,
        where: str,
        body: Facts | None = None,
        *,
        seconds: float | None = None,
    ) -> Steps:
        """As `ask`, in steps; see `uploading`."""
        sent = None if body is None else io.BytesIO(json.dumps(body).encode())
        answer = io.BytesIO()
        yield from self._exchanging(method, where, sent, into=answer, seconds=seconds)
        return _from_json(answer.getvalue())

    def ask_bytes(
        self,
        method: str,
        where: str,
        body: Any = None,
        kind: str = _JSON,
        *,
        seconds: float | None = None,
    ) -> bytes:
        """Ask any route; return the bytes that it answers.

        Raises:
            WorkerError: If it refuses, or there is no answer.
        """
        heads = {"Authorization": f"Bearer {self._token}"}
        if body is not None:
            heads["Content-Type"] = kind
            heads["Content-Length"] = str(_length(body))
        connection = self._connection(seconds)
        try:
            status, content = _exchange(connection, method, where, body, heads)
        except (OSError, http.client.HTTPException) as error:
            told = self._no_answer(error)
            raise told from error
        finally:
            connection.close()
        if status >= 400:
            refusal = _refusal(status, content)
            raise refusal
        return content

    def _send_file(self, file: Any, where: str, kind: str) -> Facts:
        self._check_size(_length(file))
        facts: Facts = json.loads(self.ask_bytes("POST", where, file, kind))
        return facts

    def _posting(self, file: Any, where: str, kind: str) -> Steps:
        """Send a file in steps; return the image's id."""
        if self._limit is None:
            yield from self.greeting()
        self._check_size(_length(file))
        answer = io.BytesIO()
        yield from self._exchanging("POST", where, file, kind, into=answer)
        return str(_from_json(answer.getvalue())["id"])

    def _exchanging(
        self,
        method: str,
        where: str,
        body: Any = None,
        kind: str = _JSON,
        *,
        into: Any,
        seconds: float | None = None,
    ) -> Steps:
        """As `ask_bytes`, in steps that never wait; the answer goes into a file.

        Raises:
            WorkerError: If it refuses, or there is no answer.
        """
        size = 0 if body is None else _length(body)
        connection = self._connection(seconds)
        try:
            connection.putrequest(method, where)
            connection.putheader("Authorization", f"Bearer {self._token}")
            if body is not None:
                connection.putheader("Content-Type", kind)
                connection.putheader("Content-Length", str(size))
            connection.endheaders()
            socket_ = connection.sock
            yield from _sending(socket_, body, size)
            yield from _until(socket_, _READ, seconds)
            with connection.getresponse() as response:
                yield from _receiving(socket_, response, into)
        except (OSError, http.client.HTTPException) as error:
            told = self._no_answer(error)
            raise told from error
        finally:
            connection.close()
        into.seek(0)
        if response.status >= 400:
            refusal = _refusal(response.status, into.read())
            raise refusal

    def _check_size(self, size: int) -> None:
        """Refuse what the worker would refuse.

        Raises:
            WorkerError: If it is too large.
        """
        if self._limit is None:
            self.info()
        if self._limit is not None and size > self._limit:
            message = (
                f"The image is of {size:,} bytes; the worker takes {self._limit:,}."
            )
            hint = "Crop or resample it, or start the worker with --max-upload-gb."
            raise WorkerError(message, hint, "large")

    def _connection(self, seconds: float | None) -> http.client.HTTPConnection:
        """Return a connection; http.client asks no proxy."""
        host, port = self._url.hostname or "", self._url.port
        timeout = seconds or _ANSWER_SECONDS
        if self._url.scheme == "https":
            return http.client.HTTPSConnection(
                host, port, timeout=timeout, context=self._tls
            )
        return http.client.HTTPConnection(host, port, timeout=timeout)

    def _no_answer(self, error: BaseException) -> WorkerError:
        """Return the error of a worker that does not answer."""
        where = self._url.netloc
        if isinstance(error, ssl.SSLError):
            message = f"The certificate of {where} is not trusted."
            return WorkerError(message, "Name its authority: ca_file.", "connection")
        message = f"The worker at {where} does not answer ({type(error).__name__})."
        return WorkerError(message, "Start it again, then repeat this.", "connection")


class Remote(Client):
    """A worker that runs already, here or on another machine.

    Args:
        url: Such as http://127.0.0.1:8891 or https://gpu-box:8891.
        token: What it wants to hear.
        ca_file: Authority of its certificate; None is the system's.

    Raises:
        WorkerError: If images would travel unencrypted, or it does not answer.
    """

    def __init__(self, url: str, token: str, *, ca_file: str | None = None) -> None:
        super().__init__()
        self._url, self._token = _address(url), token.strip()
        if not (self._token.isascii() and self._token.isprintable()):
            message = "The token has characters that no token has."
            hint = "It is one line of letters, digits, - and _: see --token-file."
            raise WorkerError(message, hint, "token")
        host = self._url.hostname or ""
        if self._url.scheme == "http" and not _is_loopback(host):
            message = f"Images would travel unencrypted to {self._url.hostname}."
            hint = "Use https, or a tunnel: ssh -L 8891:127.0.0.1:8891 "
            hint += f"{self._url.hostname}, then http://127.0.0.1:8891."
            raise WorkerError(message, hint, "connection")
        if self._url.scheme == "https":
            self._tls = _trusting(ca_file)
        self.info()


class Worker(Client):
    """Start a worker in another Python; it ends with `close`, or with this process.

    Args:
        python: The Python that has medcnn; None is the one that runs.
        folders: Below which the worker may read paths.
        models: The folder of one's own models; None is the user's.
        device: auto, cpu, cuda, cuda:N or mps.
        engine: auto, openvino, onnxruntime or torch.
        wait: Whether to return only when it can be asked; else see `ready`.
        timeout: Seconds for its start.

    Raises:
        WorkerError: If it does not start.
    """

    def __init__(  # noqa: PLR0913 - each is one choice of the caller
        self,
        python: Place | None = None,
        *,
        folders: Sequence[Place] = (),
        models: Place | None = None,
        device: str = "auto",
        engine: str = "auto",
        wait: bool = True,
        timeout: float = 60.0,
    ) -> None:
        super().__init__()
        self._token = secrets.token_urlsafe(32)
        self._until = time.monotonic() + timeout
        self._timeout = timeout
        self._greeting: Steps | None = None
        prefix = f"medcnn-client-{os.getpid()}-"
        self._folder: str | None = tempfile.mkdtemp(prefix=prefix)
        # -P: what lies in the current folder is not taken for medcnn
        command = [str(python or sys.executable), "-P", "-m", "medcnn", "worker"]
        command += ["--stdin"]
        if sys.platform != "win32":
            command += ["--parent-pid", str(os.getpid())]
        for folder in folders:
            command += ["--folder", str(folder)]
        if models is not None:
            command += ["--models", str(models)]
        command += ["--device", device, "--engine", engine, "--quiet"]
        try:
            self._process: subprocess.Popen[bytes] | None = self._start(command)
        except OSError as error:
            self.close()
            message = f"{command[0]} cannot be started: {error.strerror}."
            hint = f"Name another Python. {_INSTALL}"
            raise WorkerError(message, hint, "start") from error
        if wait:
            self._wait()

    @property
    def pid(self) -> int | None:
        """Its process id; None once it is closed."""
        return None if self._process is None else self._process.pid

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def ready(self) -> bool:
        """Say at once whether it can be asked.

        Raises:
            WorkerError: If it ended, did not start in time, or speaks another version.
        """
        if self._process is None:
            message = "The worker is closed."
            raise WorkerError(message, "Start another.", "start")
        if self._process.poll() is not None:
            ended = self._ended()
            raise ended
        if self._url.netloc:
            return self._is_greeted()
        line = self._read("stdout").partition("\n")
        if not line[1]:
            if time.monotonic() > self._until:
                self.close()
                message = f"The worker did not start within {self._timeout:g} s."
                raise WorkerError(message, "Try again, with more time.", "start")
            return False
        try:
            self._url = urlsplit(json.loads(line[0])["url"])
        except (ValueError, KeyError, TypeError) as error:
            self.close()
            message = f"No worker started, but something that says {line[0][:200]!r}."
            raise WorkerError(message, _INSTALL, "start") from error
        return self._is_greeted()

    def _is_greeted(self) -> bool:
        """Say whether its version is known to be this file's, and go on asking."""
        if self._limit is None:
            greeting, self._greeting = self._greeting or self.greeting(), None
            for _ in greeting:
                self._greeting = greeting
                break
        return self._limit is not None

    def close(self) -> None:
        """End the worker, and wait until it is gone."""
        for _ in self.ending():
            time.sleep(0.01)

    def ending(self) -> Steps:
        """As `close`, in steps; the first one tells it to end. See `uploading`."""
        super().close()
        process, self._process = getattr(self, "_process", None), None
        folder, self._folder = self._folder, None
        if process is not None:
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
            if sys.platform != "win32":  # where it would end at once, and tidy nothing
                process.terminate()
            until = time.monotonic() + _ENDING_SECONDS
            while process.poll() is None:
                yield None
                if time.monotonic() > until:
                    process.kill()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()

    def _start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start it; what it says goes to files, so that nobody need listen."""
        folder = Path(str(self._folder))
        surroundings = _clean_environment()
        surroundings["MEDCNN_WORKER_TOKEN"] = self._token
        flags = 0x08000000 if sys.platform == "win32" else 0  # CREATE_NO_WINDOW
        with (
            (folder / "stdout").open("wb") as out,
            (folder / "stderr").open("wb") as err,
        ):
            return subprocess.Popen(  # noqa: S603 - the Python that was chosen
                command,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                env=surroundings,
                creationflags=flags,
            )

    def _wait(self) -> None:
        try:
            while not self.ready():
                time.sleep(0.02)
        except BaseException:
            self.close()
            raise

    def _read(self, name: str) -> str:
        try:
            path = Path(str(self._folder)) / name
            return path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def _ended(self) -> WorkerError:
        """Return the error of a worker that ended by itself."""
        code = None if self._process is None else self._process.returncode
        said = self._read("stderr").strip()[-_LAST_WORDS:]
        last = said.splitlines()[-1] if said else "it said nothing"
        is_medcnn = last.startswith("medcnn: ")  # it says itself what to do
        if "No module named medcnn" in said:
            message, hint = "That Python has no medcnn.", _INSTALL
        elif "nknown option: -P" in said:
            message, hint = "That Python is older than 3.11.", _INSTALL
        elif self._url.netloc:
            message = f"The worker ended (exit status {code}): {last}"
            hint = "Start it again. If it was killed, memory may have run out."
        else:
            message, hint = f"The worker did not start: {last}", ""
            if not is_medcnn:
                hint = f"Is that a Python with medcnn? {_INSTALL}"
        return WorkerError(message, hint, "start")

    def _no_answer(self, error: BaseException) -> WorkerError:
        process = self._process
        if process is None:
            return WorkerError("The worker is closed.", "Start another.", "connection")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
        if process.poll() is not None:
            ended = self._ended()
            return WorkerError(ended.message, ended.hint, "connection")
        return super()._no_answer(error)


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    where: str,
    body: Any,
    heads: Mapping[str, str],
) -> tuple[int, bytes]:
    """Send a request; return status and bytes of the answer."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request(method, where, body, dict(heads))
        # refused before all was sent: the answer is there nevertheless
    response = connection.getresponse()
    return response.status, response.read()


def _clean_environment() -> dict[str, str]:
    """Return the environment without what would bend another Python to this one's."""
    bent = {"PYTHONHOME", "PYTHONSTARTUP", "PYTHONNOUSERSITE"}
    if os.environ.get("SLICER_HOME"):  # its libraries are not that Python's
        bent |= {"PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SSL_CERT_FILE"}
    return {key: value for key, value in os.environ.items() if key not in bent}


def _is_set(cancel: Cancel | None) -> bool:
    if cancel is None:
        return False
    asked = cancel.is_set if hasattr(cancel, "is_set") else cancel
    return bool(asked())


def _address(url: str) -> SplitResult:
    """Return the parts of a worker's address.

    Raises:
        WorkerError: If it is none.
    """
    try:
        parts = urlsplit(url.strip().rstrip("/"))
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname)
        is_address = is_address and parts.port != 0  # raises if it is no number
    except ValueError:
        is_address = False
    if not is_address:
        message = f"{url!r} is no address of a worker."
        raise WorkerError(message, "Such as http://127.0.0.1:8891.", "connection")
    return parts


def _trusting(ca_file: str | None) -> ssl.SSLContext:
    """Return what checks certificates.

    Raises:
        WorkerError: If the file of the authority cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl's own errors are some
        message = f"{ca_file} holds no certificate that can be read."
        raise WorkerError(message, "Name a PEM file: ca_file.", "connection") from error


def _is_path(image: Any) -> bool:
    return isinstance(image, str) and ("/" in image or "\\" in image or "." in image)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _sending(connection: socket.socket, body: Any, size: int) -> Steps:
    """Send a file as the other side takes it; ends early if it has answered already."""
    sent = 0
    while sent < size:
        piece = memoryview(body.read(_PIECE))
        if not piece:
            return
        while piece:
            yield from _until(connection, _READ | _WRITE)
            if _is_ready(connection, _READ):
                return
            try:
                count = connection.send(piece)
            except (BrokenPipeError, ConnectionResetError):
                return  # refused before all was sent: the answer may be there
            piece, sent = piece[count:], sent + count
            yield sent / size


def _receiving(
    connection: socket.socket, response: http.client.HTTPResponse, into: Any
) -> Steps:
    """Write an answer's body to a file as it comes.

    Raises:
        IncompleteRead: If it is cut off.
    """
    whole, got = response.length, 0
    if whole is None:  # of no told length: such answers are short
        into.write(response.read())
        return
    while got < whole:
        # the first read empties the buffer of the head, the others ask the socket
        piece = response.read1(min(_PIECE, whole - got))
        if not piece:
            cut_off = http.client.IncompleteRead(b"", whole - got)
            raise cut_off
        into.write(piece)
        got += len(piece)
        yield got / whole
        if got < whole:
            yield from _until(connection, _READ)


def _until(
    connection: socket.socket, events: int, seconds: float | None = None
) -> Steps:
    """Wait for a socket, in steps that do not.

    Raises:
        TimeoutError: If it takes too long.
    """
    until = time.monotonic() + (seconds or _ANSWER_SECONDS)
    while not _is_ready(connection, events):
        if time.monotonic() > until:
            message = "no answer"
            raise TimeoutError(message)
        yield None


def _is_ready(connection: socket.socket, events: int) -> bool:
    """Say whether a socket can be read or written at once."""
    is_read = bool(events & _READ)
    if is_read and isinstance(connection, ssl.SSLSocket) and connection.pending():
        return True
    with selectors.DefaultSelector() as selector:
        selector.register(connection, events)
        return bool(selector.select(0))


def _query(path: Place, choices: Mapping[str, Any]) -> str:
    given = {key: value for key, value in choices.items() if value is not None}
    return urlencode({"name": Path(path).name, **given}, errors="replace")


def _opened(path: Place) -> Any:
    """Open a file that is to be sent.

    Raises:
        WorkerError: If it cannot be read.
    """
    try:
        return open(path, "rb")  # noqa: PTH123 - closed by the caller
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}."
        raise WorkerError(message, "", "image") from error


def _file_of(job_id: str, name: str) -> str:
    return f"/v1/jobs/{quote(job_id)}/files/{quote(name)}"


def _array_of(image_id: str) -> str:
    return f"/v1/images/{quote(image_id)}/array"


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


def _from_json(raw: bytes) -> Facts:
    """Read an answer of JSON.

    Raises:
        WorkerError: If it is none.
    """
    try:
        answer: Facts = json.loads(raw)
    except ValueError as error:
        message = "What answers there is no medcnn worker."
        raise WorkerError(message, "Check the address.", "connection") from error
    return answer


def _image(arrays: Mapping[str, Any], image_id: str) -> Image:
    """Return an image that the worker keeps."""
    info = json.loads(arrays["info"].tobytes())
    return Image(arrays["array"], arrays.get("affine"), id=image_id, **info)


def _result(facts: Facts, arrays: Mapping[str, Any]) -> Result:
    """Return a classification with the heatmaps that came with it."""
    maps: dict[str, Heatmap] = {}
    for number, one in enumerate(facts["heatmaps"]):
        array = arrays[f"heatmap_{number}"]
        maps[one["label"]] = Heatmap(array, arrays.get("affine"), one)
    return Result(facts, maps)


def _write_npz(image: Image, file: Any) -> None:
    """Write an image as the worker takes it."""
    saved: Any = _members(image)
    np.savez(file, **saved)
    file.seek(0)


def _writing(image: Image, file: Any) -> Steps:
    """As `_write_npz`, in steps; in the order in which memory holds the voxels."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in _members(image).items():
            steps = array.strides
            is_fortran = array.ndim > 1 and abs(steps[0]) < abs(steps[-1])
            head = {
                "descr": np.lib.format.dtype_to_descr(array.dtype),
                "fortran_order": is_fortran,
                "shape": array.shape,
            }
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, head)
                for piece, share in _pieces(array.T if is_fortran else array):
                    member.write(memoryview(piece.reshape(-1).view(np.uint8)))
                    yield share
    file.seek(0)


def _pieces(array: Any) -> Any:
    """Yield an array part by part along its first axis, and how much is done."""
    count = len(array)
    rows = max(1, _PIECE * count // max(1, array.nbytes))
    for start in range(0, count, rows):
        yield np.ascontiguousarray(array[start : start + rows]), start / count


def _members(image: Image) -> dict[str, Any]:
    """Return the arrays of an image's .npz by name."""
    info = {
        "axes": image.axes,
        "name": image.name,
        "unit": image.unit,
        "modality": image.modality,
        "facts": image.facts,
        "warnings": list(image.warnings),
    }
    arrays = {
        "array": image.array,
        "info": np.frombuffer(json.dumps(info).encode(), "u1"),
    }
    if image.affine is not None:
        arrays["affine"] = image.affine
    return arrays


def _reading(file: Any) -> Steps:
    """Return the arrays of an .npz by name, in steps; i runs fastest, as in viewers.

    Raises:
        ValueError: If one is cut off.
    """
    found: dict[str, Any] = {}
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                np.lib.format.read_magic(member)
                shape, is_fortran, kind = np.lib.format.read_array_header_1_0(member)
                array = np.empty(shape, kind, order="F")
                yield from _touching(array)
                yield from _filling(array.T if is_fortran else array, member)
            found[name[:-4]] = array
    return found


def _touching(array: Any) -> Steps:
    """Have the system find an array's memory, in steps: a first write waits for it."""
    flat = array.T.reshape(-1)
    for start in range(0, len(flat), _PIECE):
        flat[start : start + _PIECE] = 0
        yield 0.0


def _filling(array: Any, member: Any) -> Steps:
    """Fill an array from a file that holds it in C order.

    Raises:
        ValueError: If the file ends too early.
    """
    count = len(array)
    rows = max(1, _PIECE // max(1, array.nbytes // max(1, count)))
    for start in range(0, count, rows):
        part = array[start : start + rows]
        raw = member.read(part.nbytes)
        if len(raw) != part.nbytes:
            message = "An array is cut off."
            raise ValueError(message)
        part[...] = np.frombuffer(raw, array.dtype).reshape(part.shape)
        yield start / count


def _arrays(raw: bytes) -> dict[str, Any]:
    """Return the arrays of an .npz by name, quicker than numpy.load does.

    Raises:
        WorkerError: If it is broken.
    """
    found: dict[str, Any] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for name in archive.namelist():
                content = archive.read(name)
                file = io.BytesIO(content)
                np.lib.format.read_magic(file)
                shape, is_fortran, kind = np.lib.format.read_array_header_1_0(file)
                flat = np.frombuffer(bytearray(content), kind, offset=file.tell())
                order: Any = "F" if is_fortran else "C"
                found[name[:-4]] = flat.reshape(shape, order=order)
    except (zipfile.BadZipFile, ValueError) as error:
        message = "What the worker sent is broken."
        raise WorkerError(message, "Ask again.", "connection") from error
    return found


def _length(body: Any) -> int:
    if isinstance(body, bytes):
        return len(body)
    at: int = body.tell()
    end: int = body.seek(0, os.SEEK_END)
    body.seek(at)
    return end - at


def _refusal(status: int, content: bytes) -> WorkerError:
    """Return the error that the worker tells."""
    try:
        told = json.loads(content)["error"]
        return WorkerError(told["message"], told["hint"], told["kind"], status)
    except (ValueError, KeyError, TypeError):
        message = f"What answers there is no medcnn worker (HTTP status {status})."
        return WorkerError(message, "Check the address.", "connection", status)
