"""What a worker of a cluster does: files in, rows with their pictures out."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from medcnn.bundle import Precision
from medcnn.errors import EngineError, ReadError
from medcnn.io import status_of
from medcnn.isolation import Limits
from medcnn.model import Model
from medcnn.outputs import make_folder
from medcnn.screening.crew import Crew
from medcnn.screening.fetch import is_remote
from medcnn.screening.flow import Flow, Item
from medcnn.screening.publish import version_of
from medcnn.screening.store import Fingerprint, Finished, record_of
from medcnn.screening.wire import Place
from medcnn.worklist import HEATMAPS, THUMBNAILS

__all__ = ["Task", "Worker", "is_there"]

_FOREVER_S = 1e9
_PREFIX = "medcnn-worker-"
_STALE_S = 86_400


@dataclass(frozen=True)
class Task:
    """What a worker must know, as plain data.

    Attributes:
        files: The model's bundle, by name below its folder.
        engine: What runs the network.
        device: Where.
        precision: Of the network.
        heatmaps: Which cases in scope get one.
        limits: What one file may cost.
        version: Of medcnn, where the run was started.
    """

    files: Mapping[str, bytes]
    engine: str
    device: str
    precision: Precision
    heatmaps: str
    limits: Limits
    version: str | None


class Worker:
    """Screens batches of files on one processor; made once for each worker process.

    Files are read in a process of their own, with limits, as on a single machine: what
    crashes that process costs its file a row, and not the worker.

    Args:
        task: Where the cluster keeps the `Task`, once for all.

    Raises:
        EngineError: If another version of medcnn is installed here.
    """

    def __init__(self, task: Any) -> None:
        ray: Any = import_module("ray")
        self._task: Task = ray.get(task)
        _check_version(self._task.version)
        _sweep()
        self._folder = tempfile.TemporaryDirectory(prefix=_PREFIX)
        self._output = Path(self._folder.name)
        for name in (HEATMAPS, THUMBNAILS):
            make_folder(self._output / name)
        self._model = _opened(self._task, self._output / "bundle")
        self._crew = Crew(1, self._model.spec, self._task.limits)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return what became of each file, and its pictures.

        Args:
            batch: Columns number, name, place (a path as bytes, or a URL).

        Returns:
            Columns number, record, digest, is_unseen, thumbnail and heatmap.
        """
        names = batch["name"].tolist()
        places = [os.fsdecode(place) for place in batch["place"].tolist()]
        items = [
            Item(name, Place(place), Fingerprint())
            for name, place in zip(names, places, strict=True)
        ]
        found = {one.case.path: one for one in self._finished(items)}
        ordered = [found[name] for name in names]
        cases = [one.case for one in ordered]
        is_unseen = [
            case.stage == "open" and not is_there(place)
            for case, place in zip(cases, places, strict=True)
        ]
        return {
            "number": batch["number"],
            "record": _objects(record_of(case) for case in cases),
            "digest": _objects(one.digest for one in ordered),
            "is_unseen": np.array(is_unseen, bool),
            "thumbnail": _objects(self._taken(case.thumbnail) for case in cases),
            "heatmap": _objects(self._taken(case.heatmap) for case in cases),
        }

    def _finished(self, items: list[Item]) -> list[Finished]:
        """Read the files and run the network on them."""
        flow = Flow(
            items,
            self._crew,
            lambda: self._model,
            output=self._output,
            window=len(items),
            heatmaps=self._task.heatmaps,
        )
        finished: list[Finished] = []
        while not flow.is_over:
            finished += flow.burst(_FOREVER_S, stopped=lambda: False)[1]
        return finished

    def _taken(self, name: str) -> bytes:
        """Return a picture and remove its file; b"" if there is none."""
        if not name:
            return b""
        path = self._output / name
        content = path.read_bytes()
        path.unlink()
        return content


def _opened(task: Task, folder: Path) -> Model:
    """Write the model's files into a folder and open it."""
    for name, content in task.files.items():
        make_folder((folder / name).parent)
        (folder / name).write_bytes(content)
    return Model.open(
        folder,
        engine=task.engine,  # type: ignore[arg-type]
        device=task.device,
        threads=1,
        precision=task.precision,
    )


def _sweep() -> None:
    """Remove what workers left here that were killed more than a day ago."""
    for folder in Path(tempfile.gettempdir()).glob(_PREFIX + "*"):
        with suppress(OSError):
            newest = max(one.stat().st_mtime for one in (folder, *folder.iterdir()))
            if time.time() - newest > _STALE_S:
                shutil.rmtree(folder, ignore_errors=True)


def is_there(place: str) -> bool:
    """Say whether this machine sees a file, also in an archive; True for a URL."""
    if is_remote(place):
        return True
    with suppress(ReadError, OSError, ValueError):
        status_of(Path(place))
        return True
    return False


def _check_version(wanted: str | None) -> None:
    """Refuse to work for another version, whose numbers may be others.

    Raises:
        EngineError: If this machine has another.
    """
    have = version_of("medcnn-imaging")
    if have != wanted:
        msg = f"a machine of the cluster has medcnn {have}, this run medcnn {wanted}"
        raise EngineError(msg, hint="Install the same version on all machines.")


def _objects(contents: Iterable[bytes | str]) -> Any:
    """Return an array of objects: one of bytes would cut off zeros at their ends."""
    listed = list(contents)
    array = np.empty(len(listed), object)
    array[:] = listed
    return array
