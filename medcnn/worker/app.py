"""The routes. See docs/worker.md."""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from medcnn.errors import MedcnnError, ServiceError
from medcnn.image import Image
from medcnn.service import HeatmapFacts, Outcome
from medcnn.service.failures import facts_of_error
from medcnn.service.packing import pack_heatmaps, pack_image, unpack_image
from medcnn.worker.core import API, Core, choices_of, medcnn_version
from medcnn.worker.guard import HEALTH, UPLOADS, status_of
from medcnn.worker.requests import JobRequest, Read, Upload

__all__ = ["NPZ", "make_app"]

NPZ = "application/x-npz"
"""Content type of images and heatmaps."""

_ANY_FILE = "application/octet-stream"
_LONGEST_WAIT = 30.0
_LOOK_SECONDS = 0.05
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            NPZ: {"schema": {"type": "string", "format": "binary"}},
            _ANY_FILE: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_QUIET: Any = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""No telemetry, whatever the environment says."""


class _Plain(JSONResponse):
    """JSON of ASCII alone: names of files may hold what is no character."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def make_app(core: Core) -> FastAPI:
    """Return the routes of a core; `Guard` stands before them."""
    app = FastAPI(
        title="medcnn worker",
        version=f"{API} ({medcnn_version()})",
        summary="Classify medical images. For research use only: no diagnosis.",
        default_response_class=_Plain,
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        telemetry=_QUIET,
    )
    _add_errors(app)
    _add_models(app, core)
    _add_images(app, core)
    _add_jobs(app, core)
    _add_results(app, core)
    return app


def _add_models(app: FastAPI, core: Core) -> None:
    @app.get(HEALTH)
    async def health() -> dict[str, Any]:
        """Say that it lives; needs no token."""
        return {"medcnn": "worker", "api": API}

    @app.get("/v1/info")
    def info() -> dict[str, Any]:
        """Say what this worker is and can do."""
        return core.info()

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        """List the models, shipped ones and one's own."""
        return {"models": core.service.models()}

    @app.get("/v1/card")
    def card(model: str) -> dict[str, Any]:
        """Return a model's card, Markdown."""
        return {"model": model, "card": core.service.card(model)}


def _add_images(app: FastAPI, core: Core) -> None:
    @app.post(UPLOADS, status_code=201, openapi_extra=_BODY)
    async def upload(
        request: Request, how: Annotated[Upload, Query()]
    ) -> dict[str, Any]:
        """Send an image: an .npz, or any file that medcnn reads."""
        kind = _kind_of(request)
        with tempfile.TemporaryDirectory(dir=core.folder) as folder:
            path = Path(folder) / "upload"
            await _receive(request, path)
            with _called(path, how.name):
                image = await run_in_threadpool(_read, core, path, kind, how)
        kept = core.images.keep(image)
        named = {"name": Path(how.name).name} if how.name else {}
        return core.images.facts(kept) | named

    @app.get(UPLOADS + "/{image}")
    def image_facts(image: str) -> dict[str, Any]:
        """Say what an image is."""
        return core.images.facts(image)

    @app.get(UPLOADS + "/{image}/array", response_class=Response)
    def image_array(image: str) -> Response:
        """Return an image as .npz."""
        return Response(pack_image(core.images.get(image)), media_type=NPZ)

    @app.delete(UPLOADS + "/{image}", status_code=204)
    def forget(image: str) -> None:
        """Let go of an image."""
        core.images.forget(image)


def _add_jobs(app: FastAPI, core: Core) -> None:
    @app.post("/v1/jobs", status_code=202)
    def submit(request: JobRequest) -> dict[str, Any]:
        """Queue a job."""
        return core.submit(request).to_json()

    @app.get("/v1/jobs")
    def jobs() -> dict[str, Any]:
        """List the jobs that are kept, without their results."""
        return {"jobs": [one.to_json() | {"result": None} for one in core.jobs.all()]}

    @app.get("/v1/jobs/{job}")
    async def job_facts(
        job: str, wait: Annotated[float, Query(ge=0, le=_LONGEST_WAIT)] = 0.0
    ) -> dict[str, Any]:
        """Say how a job stands; wait for its end so many seconds."""
        found, until = core.jobs.get(job), time.monotonic() + wait
        while not found.ended.is_set() and time.monotonic() < until:
            await asyncio.sleep(_LOOK_SECONDS)
        return found.to_json()

    @app.delete("/v1/jobs/{job}")
    def cancel(job: str) -> dict[str, Any]:
        """Cancel a job that waits or runs; forget one that is finished."""
        return core.jobs.cancel(job).to_json()


def _add_results(app: FastAPI, core: Core) -> None:
    @app.get("/v1/jobs/{job}/heatmaps", response_class=Response)
    def heatmaps(job: str) -> Response:
        """Return the heatmaps of a classification as .npz."""
        return Response(pack_heatmaps(_heatmaps_of(core, job)), media_type=NPZ)

    @app.get("/v1/jobs/{job}/files/{name:path}", response_class=FileResponse)
    def file(job: str, name: str) -> FileResponse:
        """Return a file of an evaluation."""
        return FileResponse(_file_of(core, job, name))


def _kind_of(request: Request) -> str:
    """Return what an upload is.

    Raises:
        ServiceError: If it is nothing that is taken.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind not in {NPZ, _ANY_FILE}:
        msg = f"An upload of type {kind or 'nothing'} is not taken."
        raise ServiceError(msg, kind="type", hint=f"Send {NPZ} or {_ANY_FILE}.")
    return kind


def _heatmaps_of(core: Core, job: str) -> tuple[HeatmapFacts, ...]:
    """Return the heatmaps that a job left.

    Raises:
        ServiceError: If there are none.
    """
    heatmaps = _outcome(core, job).heatmaps
    if not heatmaps:
        msg = "This job has no heatmaps, or no more."
        hint = "Classify again; heatmaps of old jobs are let go of."
        raise ServiceError(msg, kind="missing", hint=hint)
    return heatmaps


def _file_of(core: Core, job: str, name: str) -> Path:
    """Return a file that a job left.

    Raises:
        ServiceError: If there is none of that name.
    """
    outcome = _outcome(core, job)
    if outcome.folder is None or name not in outcome.facts.get("files", []):
        msg = "This job has no such file."
        raise ServiceError(msg, kind="missing", hint="Its result names its files.")
    return outcome.folder / name


def _outcome(core: Core, job: str) -> Outcome:
    """Return what a job left.

    Raises:
        ServiceError: If it left nothing, or not yet.
    """
    outcome = core.jobs.get(job).outcome
    if outcome is None:
        msg = "This job has no result."
        hint = "Ask for it once its state is done."
        raise ServiceError(msg, kind="state", hint=hint)
    return outcome


@contextmanager
def _called(path: Path, name: str) -> Iterator[None]:
    """Have errors name an upload as its sender does, not where it lies meanwhile.

    Raises:
        MedcnnError: What was raised within.
    """
    try:
        yield
    except MedcnnError as error:
        called = Path(name).name or "the image"
        error.message = error.message.replace(str(path), called)
        error.hint = error.hint.replace(str(path), called)
        raise


def _read(core: Core, path: Path, kind: str, read: Read) -> Image:
    if kind == NPZ:
        return unpack_image(path, most_bytes=core.limits.upload_bytes)
    return core.service.load_upload(path, **choices_of(read))


async def _receive(request: Request, path: Path) -> None:
    """Write a body to a file, piece by piece."""
    with path.open("xb") as file:
        async for piece in request.stream():
            await run_in_threadpool(file.write, piece)


def _add_errors(app: FastAPI) -> None:
    """Tell every error in one form."""

    def told(facts: dict[str, str], status: int) -> JSONResponse:
        return _Plain({"error": facts}, status)

    @app.exception_handler(Exception)  # nothing of it is told but its type
    @app.exception_handler(MedcnnError)
    def known(_request: Request, error: Exception) -> JSONResponse:
        facts = facts_of_error(error)
        return told(facts, status_of(facts))

    @app.exception_handler(RequestValidationError)
    def unfit(_request: Request, error: Exception) -> JSONResponse:
        problems = error.errors() if isinstance(error, RequestValidationError) else ()
        words = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problems
        )
        hint = "docs/worker.md and /openapi.json say what each route takes."
        facts = {"kind": "request", "message": f"{words}.", "hint": hint}
        return told(facts, 400)

    @app.exception_handler(HTTPException)
    def unknown(_request: Request, error: Exception) -> JSONResponse:
        status = error.status_code if isinstance(error, HTTPException) else 500
        kind = "missing" if status == 404 else "request"
        message = f"{getattr(error, 'detail', 'Error')}."
        hint = "/openapi.json lists the routes."
        return told({"kind": kind, "message": message, "hint": hint}, status)
