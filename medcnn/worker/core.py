"""From requests to jobs of the service."""

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from medcnn.explanation import METHODS
from medcnn.image import Image
from medcnn.service import Job, Jobs, Outcome, Service, Watch
from medcnn.service.classifying import Wish
from medcnn.service.service import Training
from medcnn.worker.guard import Limits
from medcnn.worker.images import Images
from medcnn.worker.requests import (
    ClassifyRequest,
    EvaluateRequest,
    LoadRequest,
    PlanRequest,
    Read,
    TrainRequest,
)

__all__ = ["API", "Core", "medcnn_version"]

API = 1
"""Version of routes and records; another number is not understood."""

_NEEDS_TORCH = ("gradient", "attribution")
_CHILDREN = "child process"
_READING = "reading"


@dataclass(frozen=True)
class Core:
    """The service, its jobs, and the images that are kept.

    Attributes:
        service: What does the work.
        jobs: What is asked of it.
        images: What was sent.
        limits: What one request may cost.
        folder: For uploads while they are read.
        queue: Most jobs that are not finished.
    """

    service: Service
    jobs: Jobs
    folder: Path
    queue: int
    images: Images = field(default_factory=Images)
    limits: Limits = field(default_factory=Limits)

    def info(self) -> dict[str, Any]:
        """Return what this worker is and can do."""
        service = self.service
        return {
            "api": API,
            "version": medcnn_version(),
            "python": sys.version.split()[0],
            "device": service.device,
            "engine": service.engine,
            "can_train": _has("torch") and _has("lightning") and _has("monai"),
            "methods": [
                {
                    "name": one.name,
                    "unit": one.unit,
                    "meaning": one.meaning,
                    "needs_torch": one.needs in _NEEDS_TORCH,
                    "has_layer": one.has_layer,
                }
                for one in METHODS.values()
            ],
            "limits": {
                "upload_bytes": self.limits.upload_bytes,
                "kept_bytes": self.images.most_bytes,
                "kept_images": self.images.most,
                "queue": self.queue,
            },
            "folders": [str(one) for one in service.places.folders or ()],
            "models_folder": str(service.shelf.folder),
        }

    def submit(self, request: Any) -> Job:
        """Queue what is asked for.

        Raises:
            ServiceError: If it can be refused at once, or too many jobs wait.
        """
        submit = _SUBMITS[type(request)]
        return submit(self, request)

    def _load(self, request: LoadRequest) -> Job:
        path = self.service.places.allowed(request.path)

        def work(watch: Watch) -> Outcome:
            image = self.service.load(path, watch, **choices_of(request))
            name = self.images.keep(image)
            return Outcome({"kind": "load", "image": self.images.facts(name)})

        return self.jobs.submit("load", work, lane=_READING)

    def _classify(self, request: ClassifyRequest) -> Job:
        self.service.shelf.bundle(request.model)
        labels = None if request.labels is None else tuple(request.labels)
        wish = Wish(labels, request.heatmap, request.method, request.layer)
        image = self._source(request)

        def work(watch: Watch) -> Outcome:
            given, name = image(watch)
            result = self.service.classify(given, request.model, wish, watch)
            facts = result.to_json() | {"image": self.images.facts(name)}
            return Outcome(facts, result.heatmaps)

        return self.jobs.submit("classify", work, lane=f"model {request.model}")

    def _source(self, request: ClassifyRequest) -> Callable[[Watch], tuple[Image, str]]:
        """Return what gives the image when the job runs, and its id."""
        if request.image is not None:
            name, kept = request.image, self.images.get(request.image)
            return lambda _watch: (kept, name)
        path = self.service.places.allowed(request.path or "")

        def read(watch: Watch) -> tuple[Image, str]:
            image = self.service.load(path, watch, **choices_of(request))
            return image, self.images.keep(image)

        return read

    def _evaluate(self, request: EvaluateRequest) -> Job:
        self.service.shelf.bundle(request.model)
        data = self.service.places.allowed(request.data)

        def work(watch: Watch) -> Outcome:
            found = self.service.evaluate(
                data, request.model, split=request.split, watch=watch
            )
            facts = {
                "kind": "evaluate",
                "model": request.model,
                "evaluation": found.evaluation,
                "files": list(found.files),
            }
            return Outcome(facts, folder=found.folder)

        return self.jobs.submit("evaluate", work, lane=_CHILDREN)

    def _plan(self, request: PlanRequest) -> Job:
        data = self.service.places.allowed(request.data)

        def work(watch: Watch) -> Outcome:
            found = self.service.plan(
                data, settings=request.settings, device=request.device, watch=watch
            )
            return Outcome({"kind": "plan"} | found)

        return self.jobs.submit("plan", work, lane=_CHILDREN)

    def _train(self, request: TrainRequest) -> Job:
        self.service.free(request.name)
        self.service.places.allowed(request.data)
        wanted = Training(**request.model_dump(exclude={"kind"}))

        def work(watch: Watch) -> Outcome:
            model = self.service.train(wanted, watch)
            return Outcome({"kind": "train", "model": model})

        return self.jobs.submit("train", work, lane=_CHILDREN)


_SUBMITS: dict[type, Callable[[Core, Any], Job]] = {
    LoadRequest: Core._load,  # noqa: SLF001 - the table of this class
    ClassifyRequest: Core._classify,  # noqa: SLF001
    EvaluateRequest: Core._evaluate,  # noqa: SLF001
    PlanRequest: Core._plan,  # noqa: SLF001
    TrainRequest: Core._train,  # noqa: SLF001
}


def choices_of(request: Read) -> dict[str, Any]:
    """Return the choices of `medcnn.load` of a request."""
    return {name: getattr(request, name) for name in Read.model_fields}


def medcnn_version() -> str:
    """Return the installed version."""
    try:
        return version("medcnn-imaging")
    except PackageNotFoundError:
        return "source tree"


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
