"""The browser viewer: a study, its answer, its heatmap, and a model's ROC curve."""

import asyncio
import base64
import os
import tempfile
import threading
import zipfile
from argparse import Namespace
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from MedCNNLib.client import Image, Result, Worker, WorkerError
from MedCNNLib.errors import ViewerError
from MedCNNLib.findings import answer_columns, labels_to_ask
from MedCNNLib.steps import Steps
from trame.app import TrameApp
from trame_slicer import module as trame_slicer_module

from medcnn_trame.guard import stand_before
from medcnn_trame.page import NO_ANSWER, START, build_page, uploads_anew
from medcnn_trame.roc import roc_svg
from medcnn_trame.stage import Stage

__all__ = ["Viewer", "serve"]

_TOLD_SECONDS = 0.05
"""For the page to say what goes on, before views are drawn, which may take a second."""

_HINTS = {"folder": "Start medcnn view with --data for a table or folder there."}
"""What to do about it here, where the worker's own advice is for its command line."""

_CHECK = "Check disk and permissions, then try again."
_REPORT = "Please report it, with what the terminal says; then try again."
_COPY = "Copy it again from where it came from."
_MOST_NAMES = 3
_OVER = object()
_ICON = "MedCNN/Resources/Icons/MedCNN.png"


class Viewer(TrameApp):
    """One user's viewer.

    Args:
        given: The command line: path, medcnn_python, model, data_folder.
        server: A trame server; None makes one.
    """

    def __init__(self, given: Namespace, server: Any = None) -> None:
        super().__init__(server)
        self.server.enable_module(trame_slicer_module)
        self._given = given
        self._worker: Worker | None = None
        self._image: Image | None = None
        self._stop = threading.Event()
        self._turn = asyncio.Lock()
        self._is_chosen = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._scales: dict[str, str] = {}
        self.state.update(START | {"evaluate_path": given.data_folder})
        self.state.trame__title = "medcnn"
        self.state.trame__favicon = _icon()
        self.stage = Stage(self.server)
        build_page(self.server, self)
        self.state.change("opacity", "threshold", "show_heat", "label")(self._redraw)
        controller = self.server.controller
        controller.on_server_bind.add(stand_before)
        controller.on_server_ready.add_task(self._begin)
        controller.on_client_connected.add(lambda **_: uploads_anew(self))

    # ------------------------------------------------------------- what users ask for

    async def open_files(self, files: list[dict[str, Any]]) -> None:
        """Show what was chosen in the browser; several files are one series.

        What goes on is stopped: its answer would be about another image.
        """
        if not files:
            return
        self._is_chosen = True
        self._stop.set()
        name = files[0]["name"] if len(files) == 1 else f"{len(files)} files"
        read, show = partial(self._upload, list(files)), partial(self._opened, name)
        self._beside(self._do("Reading ...", read, show, about=name))

    def classify(self) -> None:
        """Ask the chosen model about the image, if nothing else goes on."""
        if self._turn.locked():
            return
        model = self.state.model
        self.state.update(NO_ANSWER)  # what is shown answers the last question

        def ask() -> Result:
            worker, image = self._living(), self._image
            choices = {"labels": labels_to_ask(image.shape), "cancel": self._stop}
            return worker.classify(image, model, **choices)

        self._beside(self._do("Classifying ...", ask, self._answered))

    def evaluate(self) -> None:
        """Measure the chosen model on labelled images, if nothing else goes on."""
        if self._turn.locked():
            return
        data, model = self.state.evaluate_path, self.state.model

        def ask() -> dict[str, Any]:
            follow = {"cancel": self._stop, "progress": self._progress}
            return self._living().evaluate(data, model, **follow)

        self._beside(self._do("Evaluating ...", ask, self._measured))

    def cancel(self) -> None:
        """Stop what the worker does."""
        self._stop.set()

    def go_to_peak(self) -> None:
        """Move the slices to the hottest place."""
        try:
            self.stage.go_to_peak()
        except ViewerError as error:
            self.state.error = error.words

    # ------------------------------------------------------------- how it goes

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin something; a page's next message, such as Cancel, waits for nobody."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _begin(self, **_: Any) -> None:
        """Start the worker, list the models, and open the path that was named."""
        await self._do("Starting the worker ...", self._start, self._ready)
        if self._given.path and self._worker is not None and not self._is_chosen:
            path = Path(self._given.path).resolve()
            load = partial(self._worker.load, path, cancel=self._stop)
            show = partial(self._opened, path.name)
            await self._do("Reading ...", load, show, about=path.name)

    async def _do(
        self,
        words: str,
        work: Callable[[], Any],
        done: Callable[[Any], Steps | None],
        about: str = "",
    ) -> None:
        """Work beside the event loop, then show what was found, or why not.

        One thing at a time: an answer never meets another image than its own.
        """
        async with self._turn:
            with self.state as state:
                state.busy, state.error = words, ""
            self._stop.clear()
            self._loop = asyncio.get_running_loop()
            try:
                await asyncio.sleep(_TOLD_SECONDS)
                if not self.state.labels:  # an answer was taken away
                    self.stage.forget_answer()
                found = await self._loop.run_in_executor(None, work)
                await self._show(done, found)
            except WorkerError as error:
                hint = _HINTS.get(error.kind, error.hint)
                words = f"{error.message} {hint}".strip()
                self._tell(words if about in words else f"{about}: {words}")
            except ViewerError as error:
                self._tell(error.words)
            except OSError as error:
                self._tell(f"The system refused: {error.strerror or error}. {_CHECK}")
            except Exception as error:
                self._tell(f"Not foreseen: {type(error).__name__}. {_REPORT}")
                raise
            finally:
                with self.state as state:
                    state.busy = ""

    async def _show(self, done: Callable[[Any], Steps | None], found: Any) -> None:
        """Show what was found; what is long in steps, between which others have a turn.

        MRML wants the event loop's own thread.
        """
        with self.state:
            steps = done(found)
        is_over = steps is None
        while not is_over:
            with self.state:
                is_over = next(steps, _OVER) is _OVER
            await asyncio.sleep(0)

    def _tell(self, words: str) -> None:
        with self.state as state:
            state.error = words

    def _progress(self, done: int, total: int | None, words: str) -> None:
        """Show how far a job is; called beside the event loop."""

        def show() -> None:
            with self.state as state:
                state.busy = f"{words} ({done} of {total})" if total else words

        self._loop.call_soon_threadsafe(show)

    def _living(self) -> Worker:
        """Return the worker; another one if it has ended, which knows no image yet."""
        if self._worker is None or not self._worker.alive:
            self.close()
            self._loop.call_soon_threadsafe(self._started_anew, self._start())
            if self._image is not None:
                self._image.id = None
        return self._worker

    def _start(self) -> list[dict[str, Any]]:
        given = self._given
        named = [Path(each) for each in (given.path, given.data_folder) if each]
        folders = [each if each.is_dir() else each.parent for each in named]
        folders = [each.resolve() for each in folders]
        self._worker = Worker(given.medcnn_python, folders=folders)
        return self._worker.models()

    def _ready(self, models: list[dict[str, Any]]) -> None:
        usable = [model for model in models if not model.get("error")]
        ids = [model["id"] for model in usable]
        self.state.models = ids
        if self.state.model not in ids:
            self.state.model = self._given.model or (ids[0] if ids else "")

    def _started_anew(self, models: list[dict[str, Any]]) -> None:
        with self.state:
            self._ready(models)

    def _upload(self, files: list[dict[str, Any]]) -> Image:
        empty = [_name(file) for file in files if not any(_pieces(file))]
        if len(empty) == len(files):
            raise ViewerError(_all_empty(empty), hint=_COPY)
        with tempfile.TemporaryDirectory() as folder:
            paths = [_write(file, Path(folder), n) for n, file in enumerate(files)]
            whole = paths[0] if len(paths) == 1 else _zipped(paths, Path(folder))
            worker = self._living()
            image = worker.image(worker.upload_file(whole))
        if empty:
            left_out = f"left out, as empty (0 bytes): {_some(empty)}"
            image.warnings = (*image.warnings, left_out)
        return image

    def _opened(self, name: str, image: Image) -> Steps:
        yield from self.stage.showing_image(image)
        self._image = image
        shape = " x ".join(map(str, image.shape))
        about = [image.modality or "", shape, *image.warnings]
        words = ", ".join(part for part in about if part)
        self.state.image_words = f"{name}: {words}"
        self.state.update({"is_loaded": True} | NO_ANSWER)

    def _answered(self, result: Result) -> Steps:
        label = yield from self.stage.showing_answer(result, self.state.opacity)
        columns = answer_columns(result)
        keys = ("label", "probability", "review", "flag", "band")
        rows = zip(*columns.values(), strict=True)
        self.state.rows = [
            dict(zip(keys, map(_cell, row), strict=True)) for row in rows
        ]
        self.state.number_kind = result.number_kind
        self.state.out_of_scope = result.out_of_scope
        heats = list(result.heatmaps.values())
        words = list(result.warnings)
        words += [f"The heatmap {heats[0].limits}."] if heats else []
        words += [f"{result.model} {result.version}, {result.device}"]
        self.state.answer_words = words
        self._scales = {heat.label: heat.window_words for heat in heats}
        self.state.label = label
        self.state.labels = self.stage.labels
        self._redraw()

    def _measured(self, found: dict[str, Any]) -> None:
        evaluation = found["evaluation"]
        drawn = [roc_svg(label, each) for label, each in evaluation["labels"].items()]
        self.state.roc = "".join(drawn)

    def _redraw(self, **_: Any) -> None:
        state = self.state
        state.legend = self._scales.get(state.label, "")
        self.stage.set_heat(
            state.label,
            shown=bool(state.show_heat),
            opacity=float(state.opacity),
            share=float(state.threshold),
        )

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.close()


def serve(given: Namespace) -> None:
    """Open the viewer on loopback, and serve it until it is stopped."""
    viewer = Viewer(given)
    if given.stdin:
        threading.Thread(target=_end_with_stdin, args=[viewer], daemon=True).start()
    try:
        viewer.server.start(
            host="127.0.0.1",
            port=given.port,
            open_browser=not given.no_browser,
            show_connection_info=True,
        )
    finally:
        viewer.close()


def _end_with_stdin(viewer: Viewer) -> None:
    """Wait until whoever started this is gone, however, and end."""
    while os.read(0, 4096):
        pass
    viewer.close()
    os._exit(0)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _write(file: dict[str, Any], folder: Path, number: int) -> Path:
    """Write an uploaded file under its last name only."""
    place = folder / str(number)
    place.mkdir()
    path = place / _name(file)
    path.write_bytes(b"".join(_pieces(file)))
    return path


def _name(file: dict[str, Any]) -> str:
    return Path(str(file["name"])).name or "file"


def _pieces(file: dict[str, Any]) -> list[bytes]:
    content = file["content"]
    return content if isinstance(content, list) else [content or b""]


def _all_empty(names: list[str]) -> str:
    if len(names) == 1:
        return f"{names[0]} is empty (0 bytes)."
    return f"All {len(names)} files are empty (0 bytes): {_some(names)}."


def _some(names: list[str]) -> str:
    """Return the first names of several."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _zipped(paths: list[Path], folder: Path) -> Path:
    whole = folder / f"{len(paths)} files.zip"
    with zipfile.ZipFile(whole, "w") as archive:
        for number, path in enumerate(paths):
            archive.write(path, f"{number}/{path.name}")
    return whole


def _icon() -> str:
    """Return the page's icon in its own words: nothing is fetched from anywhere."""
    path = Path(__file__).parents[2] / "slicer" / _ICON
    if not path.is_file():
        return "data:,"
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
