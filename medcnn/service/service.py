"""One object that viewers call: models, load, classify, evaluate, plan, train."""

import json
import re
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from medcnn.bundle import Bundle
from medcnn.engines import EngineName
from medcnn.errors import ServiceError
from medcnn.evaluation import EVALUATION
from medcnn.image import Image
from medcnn.isolation import SafeReader
from medcnn.model import Model
from medcnn.outputs import make_folder
from medcnn.service.children import run_child
from medcnn.service.classifying import Wish, classify
from medcnn.service.places import Places
from medcnn.service.records import Result
from medcnn.service.shelf import OWN, Shelf, facts_of, models_folder
from medcnn.service.watch import Watch

__all__ = ["Evaluated", "Service", "Training"]

_MOST_OPEN = 4
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Training:
    """What a training is wanted to be.

    Attributes:
        data: A table, a folder with one sub-folder for each class, or a data set.
        name: Of the new model: small letters, digits, - and _.
        settings: Values by dotted key; they override recipe and plan.
        recipe: A TOML file.
        init: The id of a model to start from.
        device: None takes the service's.
        allow_leak: Train although patients or images are in several splits.
    """

    data: str | Path
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    recipe: str | Path | None = None
    init: str | None = None
    device: str | None = None
    allow_leak: bool = False


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What an evaluation found.

    Attributes:
        evaluation: The content of evaluation.json.
        folder: Where it, report.html and the rest lie; whoever asked removes it.
        files: Their names below the folder.
    """

    evaluation: Mapping[str, Any]
    folder: Path
    files: tuple[str, ...]


class Service:
    """What a viewer can ask; every method waits, and several threads may ask.

    One image at a time goes through a model; evaluation, plan and training run in
    processes of their own, which end when they are cancelled.

    Args:
        models: The folder of one's own models; None is `models_folder()`.
        device: As everywhere.
        engine: As everywhere.
        places: Which paths may be read; all, if nothing is said.
        work: Where folders of evaluations are made; None is the system's place.

    Examples:
        >>> with Service() as service:  # doctest: +SKIP
        ...     image = service.load("scan.dcm")
        ...     result = service.classify(image, "chest-xray")
    """

    def __init__(
        self,
        *,
        models: str | Path | None = None,
        device: str = "auto",
        engine: EngineName = "auto",
        places: Places | None = None,
        work: Path | None = None,
    ) -> None:
        self.shelf = Shelf(models_folder(models))
        self.places = places or Places()
        self.device, self.engine, self._work = device, engine, work
        self._open: OrderedDict[str, tuple[Bundle, Model]] = OrderedDict()
        self._busy: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._reader = SafeReader()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of models and of the process that reads files."""
        self._open.clear()
        self._reader.close()

    def models(self) -> list[dict[str, Any]]:
        """Return what each model says of itself; one that is broken says why."""
        return self.shelf.facts()

    def card(self, model: str) -> str:
        """Return a model's card, Markdown.

        Raises:
            BundleError: If the model is not as it should be.
            ServiceError: If there is no such model.
        """
        return self.shelf.bundle(model).card()

    def load(
        self, path: str | Path, watch: Watch | None = None, **choices: Any
    ) -> Image:
        """Read one image or volume, in a process that it cannot harm.

        Args:
            path: A file, or a folder with one image or one DICOM series.
            watch: Told how far it is; may stop it before and after, not within.
            choices: Those of `medcnn.load`.

        Raises:
            ReadError: If it cannot be read.
            ServiceError: If the path may not be read.
            StoppedError: If it was cancelled.
        """
        watch = watch or Watch()
        watch.tell(0, 1, "Reading the image")
        image = self._reader.load(self.places.allowed(path), **choices)
        watch.tell(1, 1, "The image is read")
        return image

    def load_upload(self, path: Path, **choices: Any) -> Image:
        """Read a file that a viewer sent; it may lie anywhere.

        Raises:
            ReadError: If it cannot be read.
        """
        return self._reader.load(path, **choices)

    def classify(
        self,
        image: Image,
        model: str = "chest-xray",
        wish: Wish | None = None,
        watch: Watch | None = None,
    ) -> Result:
        """Classify an image, with heatmaps on its own grid.

        Args:
            image: As loaded.
            model: A model's id.
            wish: Which heatmaps, by which method; None is the main label's.
            watch: Told how far it is; may stop it.

        Raises:
            BundleError: If the model is not as it should be.
            DataError: If the image or what is wanted does not fit the model.
            EngineError: If engine or device cannot be had.
            GeometryError: If the image has another number of dimensions.
            MissingDependencyError: If the method needs torch, which is not installed.
            ServiceError: If there is no such model.
            StoppedError: If it was cancelled.
        """
        watch = watch or Watch()
        with self._lock:
            busy = self._busy.setdefault(model, threading.Lock())
        with busy:
            started = time.perf_counter()
            watch.tell(0, 1, f"Opening {model}")
            opened = self._opened(model)
            opening = time.perf_counter() - started
            return classify(
                model, opened, image, wish or Wish(), watch, opening=opening
            )

    def evaluate(
        self,
        data: str | Path,
        model: str = "chest-xray",
        *,
        split: str | None = None,
        watch: Watch | None = None,
    ) -> Evaluated:
        """Measure a model on labelled images; the report lies in a new folder.

        Raises:
            BundleError: If the model is not as it should be.
            ServiceError: If the data are wrong or may not be read, or the child died.
            StoppedError: If it was cancelled.
        """
        bundle = self.shelf.bundle(model)
        source = self._source(data)
        folder = Path(tempfile.mkdtemp(prefix="medcnn-evaluation-", dir=self._work))
        request = source | {
            "model": str(bundle.path),
            "output": str(folder),
            "split": split,
            "engine": self.engine,
            "device": self.device,
        }
        try:
            answer = run_child("evaluate", request, watch or Watch())
            found = json.loads((folder / EVALUATION).read_text(encoding="utf-8"))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return Evaluated(found, folder, tuple(answer["files"]))

    def plan(
        self,
        data: str | Path,
        *,
        settings: Mapping[str, Any] | None = None,
        device: str | None = None,
        watch: Watch | None = None,
    ) -> dict[str, Any]:
        """Return how a training on data would be done, why so, and how long it takes.

        Raises:
            ServiceError: If the data are wrong or may not be read, or the child died.
            StoppedError: If it was cancelled.
        """
        said = dict(settings or {})
        self.places.check_settings(said)
        request = self._source(data) | {
            "settings": said,
            "device": device or self.device,
        }
        return run_child("plan", request, watch or Watch())

    def train(self, wanted: Training, watch: Watch | None = None) -> dict[str, Any]:
        """Train a model; it is then among `models`, and its facts are returned.

        Cancelled, it keeps its state beside the models: the same training goes on.

        Raises:
            BundleError: If the model to start from is not as it should be.
            OutputError: If the models' folder cannot be written.
            ServiceError: If the name is taken or the data are wrong, or the child died.
            StoppedError: If it was cancelled.
        """
        target = self.free(wanted.name)
        settings = {"model.name": wanted.name} | dict(wanted.settings)
        self.places.check_settings(settings)
        init, recipe = wanted.init, wanted.recipe
        make_folder(target.parent)
        request = self._source(wanted.data) | {
            "output": str(target),
            "recipe": None if recipe is None else str(self.places.allowed(recipe)),
            "settings": settings,
            "init": None if init is None else str(self.shelf.bundle(init).path),
            "device": wanted.device or self.device,
            "allow_leak": wanted.allow_leak,
        }
        run_child("train", request, watch or Watch())
        name = OWN + wanted.name
        return facts_of(name, self.shelf.bundle(name))

    def free(self, name: str) -> Path:
        """Return the folder of a new model.

        Raises:
            ServiceError: If the name is none, or taken.
        """
        if not _NAME.fullmatch(name):
            msg = f"{name!r} cannot be a model's name."
            hint = "Use small letters, digits, - and _, at most 64, such as my-model."
            raise ServiceError(msg, hint=hint)
        target = self.shelf.folder / name
        if target.exists():
            msg = f"There is a model {OWN}{name} already."
            hint = f"Choose another name, or delete {target}."
            raise ServiceError(msg, kind="state", hint=hint)
        return target

    def _source(self, data: str | Path) -> dict[str, Any]:
        """Return what a child must know of the data."""
        folders = self.places.folders
        return {
            "data": str(self.places.allowed(data)),
            "folders": None if folders is None else list(map(str, folders)),
        }

    def _opened(self, model: str) -> Model:
        """Return a model ready to answer; the least used ones are closed."""
        bundle = self.shelf.bundle(model)
        kept = self._open.get(model)
        if kept is None or kept[0] is not bundle:
            opened = Model.open(bundle.path, engine=self.engine, device=self.device)
            kept = bundle, opened
        with self._lock:
            self._open[model] = kept
            self._open.move_to_end(model)
            while len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)
        return kept[1]
