"""The panel: choose a layer and a model, classify, see the heatmap on the layer."""

import threading
from collections.abc import Generator
from typing import Any

from MedCNNLib.client import Result, WorkerError
from napari.layers import Image as ImageLayer
from napari.layers import Layer
from napari.qt.threading import thread_worker
from napari.viewer import Viewer
from qtpy.QtCore import Qt
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from medcnn_napari.session import Session
from medcnn_napari.world import heat_layer, image_of, point_of

__all__ = ["ClassifyPanel"]

_AUTO = "auto"
_LINES = 5
"""Height of the message, so that no sentence of a warning is hidden."""

_BANDS = {"flag": "flag", "review": "review", "no-flag": "no flag"}
_RESEARCH = "For research use only: no diagnosis."


class ClassifyPanel(QWidget):
    """Classify a layer, and show why.

    Args:
        napari_viewer: Whose layers.
        session: The worker; None is the one of this napari.
    """

    def __init__(self, napari_viewer: Viewer, session: Session | None = None) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.session = session or Session.shared()
        self.result: Result | None = None
        self._heats: dict[str, Layer] = {}
        self._cancel = threading.Event()
        self._running: Any = None
        self._build()
        events = napari_viewer.layers.events
        for event in (events.removed, events.reordered):
            event.connect(self._list_layers)
        events.inserted.connect(self._layer_came)
        for layer in napari_viewer.layers:
            layer.events.name.connect(self._list_layers)
        self._list_layers()
        self.list_models()

    # ------------------------------------------------------------------ building

    def _build(self) -> None:
        self.layers, self.models, self.methods = QComboBox(), QComboBox(), QComboBox()
        self.methods.addItem(_AUTO)
        self.models.currentIndexChanged.connect(self._tell_model)
        self.heatmap = QCheckBox("heatmap")
        self.heatmap.setChecked(True)
        self.every = QCheckBox("of every label")
        self.python = QLineEdit(self.session.python)
        self.python.editingFinished.connect(self._use_python)
        self.classify = QPushButton("Classify")
        self.classify.clicked.connect(self.start)
        self.cancel = QPushButton("Cancel")
        self.cancel.clicked.connect(self.stop)
        self.peak = QPushButton("Go to peak")
        self.peak.clicked.connect(self.go_to_peak)
        self.progress, self.message = QProgressBar(), QLabel(_RESEARCH)
        self.message.setWordWrap(True)
        self.message.setMinimumHeight(_LINES * self.fontMetrics().lineSpacing())
        self.message.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.message.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
        )
        self.table = QTableWidget(0, 3)
        self.table.setHorizontalHeaderLabels(["label", "probability", "band"])
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.verticalHeader().hide()
        head = self.table.horizontalHeader()
        head.setSectionResizeMode(head.ResizeMode.ResizeToContents)
        head.setSectionResizeMode(0, head.ResizeMode.Stretch)
        self._lay_out()
        self._show_running(running=False)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("image", self.layers)
        form.addRow("model", self.models)
        form.addRow("method", self.methods)
        form.addRow("Python", self.python)
        checks, buttons = QHBoxLayout(), QHBoxLayout()
        for check in (self.heatmap, self.every):
            checks.addWidget(check)
        for button in (self.classify, self.cancel, self.peak):
            buttons.addWidget(button)
        whole = QVBoxLayout(self)
        whole.addLayout(form)
        whole.addLayout(checks)
        whole.addLayout(buttons)
        for part in (self.progress, self.message):
            whole.addWidget(part)
        whole.addWidget(self.table, 1)

    # ------------------------------------------------------------------ choices

    def _layer_came(self, event: Any) -> None:
        """Choose an image that was opened: it is what the user looks at."""
        event.value.events.name.connect(self._list_layers)
        self._list_layers()
        self._choose(event.value)

    def _list_layers(self, _event: Any = None) -> None:
        chosen = self.layers.currentData()
        self.layers.clear()
        for layer in self.viewer.layers:
            is_image = isinstance(layer, ImageLayer)
            if is_image and not layer.metadata.get("is_heatmap"):
                self.layers.addItem(layer.name, layer)
        self._choose(chosen)

    def _choose(self, layer: Any) -> None:
        """Choose a layer, if it is in the list."""
        for place in range(self.layers.count()):
            if self.layers.itemData(place) is layer:
                self.layers.setCurrentIndex(place)

    def list_models(self, python: str = "") -> None:
        """Ask the worker which models and methods there are, in the background.

        Args:
            python: The Python to use from now on; "" keeps the one that is used.
        """
        session = self.session

        @thread_worker
        def ask() -> Any:
            try:
                session.use(python or session.python)  # may wait for a worker's end
                worker = session.worker()
                return worker.models(), worker.info()["methods"], None
            except WorkerError as error:
                return [], [], error

        self._show_running(running=True)
        self.message.setText("Starting medcnn ...")
        self._run(ask(), self._models_came)

    def _models_came(self, found: Any) -> None:
        models, methods, error = found
        self._show_running(running=False)
        if error is not None:
            self.tell(error)
            return
        self.models.clear()
        for model in models:
            if not model["error"]:
                self.models.addItem(f"{model['id']} ({model['dims']}-D)", model)
        self.methods.clear()
        self.methods.addItem(_AUTO)
        self.methods.addItems([method["name"] for method in methods])
        self._tell_model()

    def _tell_model(self, _index: int = 0) -> None:
        model = self.models.currentData()
        if model is not None:
            kind = model["number_kind"]
            self.table.setHorizontalHeaderLabels(["label", kind, "band"])
            self.message.setText(f"{model['summary']} {_RESEARCH}")

    def _use_python(self) -> None:
        if self.python.text() != self.session.python:
            self.list_models(self.python.text())

    # ------------------------------------------------------------------ classify

    def start(self) -> None:
        """Classify the chosen layer; napari stays usable meanwhile."""
        layer, model = self.layers.currentData(), self.models.currentData()
        if layer is None:
            self.message.setText("Open an image first: File > Open, or drop a file.")
            return
        if model is None:  # there was no worker; there may be one now
            self.list_models()
            return
        try:
            image = image_of(layer)
        except ValueError as error:
            self.message.setText(str(error))
            return
        self._cancel.clear()
        self.result = None
        self.table.setRowCount(0)  # what stands there answers the last question
        wish = {
            "heatmap": self.heatmap.isChecked(),
            "labels": ["all"] if self.every.isChecked() else None,
            "method": self.methods.currentText(),
        }
        made = self._classify(image, model["id"], wish)
        made.yielded.connect(self._show_progress)
        self._show_running(running=True)
        self._run(made, lambda found: self._came(layer, *found))

    def stop(self) -> None:
        """Cancel what runs."""
        self._cancel.set()

    @thread_worker  # type: ignore[untyped-decorator]
    def _classify(self, image: Any, model: str, wish: Any) -> Generator[Any, Any, Any]:
        """Classify in a thread; tell how far it is."""
        try:
            yield 0, None, "sending the image"
            job = self.session.worker().submit_classify(image, model, **wish)
            while not job.finished:
                if self._cancel.is_set():
                    job.cancel()
                job.poll(0.2)
                yield job.progress
            return job.result(), None
        except WorkerError as error:
            return None, error

    def _came(self, layer: Layer, result: Result | None, error: Any) -> None:
        self._show_running(running=False)
        if result is None:
            self.tell(error)
            return
        if layer not in self.viewer.layers:
            gone = f"{layer.name} was removed while it was classified."
            self.message.setText(f"{gone}\nOpen it again, and classify it.")
            return
        self.result = result
        self._fill_table(result)
        for heat in result.heatmaps.values():
            self._show_heat(heat, layer, is_main=heat.label == result.label)
        self.peak.setEnabled(bool(result.heatmaps))
        by = f"{layer.name}, by {result.model} {result.version}."
        words = [by, *result.warnings, _RESEARCH]
        if result.out_of_scope:
            words.insert(0, f"Do not use these numbers: {result.out_of_scope}.")
        self.message.setText("\n".join(words))

    def _show_heat(self, heat: Any, layer: Layer, *, is_main: bool) -> None:
        """Lay a heatmap on its layer; of several, the main label's alone is shown."""
        array, given, _ = heat_layer(heat, layer)
        given["visible"] = is_main
        old = self._heats.pop(heat.label, None)
        if old is not None and old in self.viewer.layers:
            self.viewer.layers.remove(old)
        self._heats[heat.label] = shown = ImageLayer(array, **given)
        self.viewer.add_layer(shown)
        if is_main and hasattr(shown, "colorbar"):  # newer napari
            shown.colorbar.visible = True
        self.viewer.layers.selection.active = layer

    def _fill_table(self, result: Result) -> None:
        self.table.setRowCount(0)
        for row, (label, value) in enumerate(result.probabilities.items()):
            self.table.insertRow(row)
            band = _BANDS.get(result.bands.get(label, ""), "out of scope")
            for column, text in enumerate((label, f"{value:.3f}", band)):
                self.table.setItem(row, column, QTableWidgetItem(text))

    def go_to_peak(self) -> None:
        """Show the slice where the heatmap of the main label is highest."""
        if self.result is None or not self.result.heatmaps:
            return
        heats = self.result.heatmaps
        heat = heats.get(self.result.label) or next(iter(heats.values()))
        layer = self._heats.get(heat.label)
        if layer is None or layer not in self.viewer.layers:
            self.message.setText("Its heatmap was removed: classify again.")
            return
        point = point_of(heat, layer)
        first = self.viewer.dims.ndim - layer.ndim
        self.viewer.dims.set_point(range(first, self.viewer.dims.ndim), point)
        scene = getattr(self.viewer, "scene", self.viewer)  # napari 0.9 moved it
        scene.camera.center = tuple(point[-2:])

    # ------------------------------------------------------------------ telling

    def tell(self, error: WorkerError) -> None:
        """Show an error with what to do."""
        self.message.setText(f"{error.message}\n{error.hint}".strip())

    def _failed(self, error: Exception) -> None:
        """Tell what was not foreseen, and be ready for another try."""
        self._show_running(running=False)
        words = f"Not foreseen: {type(error).__name__}: {error}."
        if isinstance(error, OSError):
            words = f"The system refused: {error.strerror or error}."
        self.message.setText(f"{words}\nCheck disk and permissions, then try again.")

    def _run(self, made: Any, came: Any) -> None:
        made.returned.connect(came)
        made.errored.connect(self._failed)
        self._running = made
        made.start()

    def _show_progress(self, told: Any) -> None:
        done, total, words = told
        self.progress.setRange(0, total or 0)
        self.progress.setValue(done)
        self.message.setText(words)

    def _show_running(self, *, running: bool) -> None:
        self.classify.setEnabled(not running)
        self.cancel.setEnabled(running)
        self.progress.setVisible(running)
        self.progress.setRange(0, 0)
        if running:
            self.peak.setEnabled(False)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Cancel what runs when the panel is closed."""
        self.stop()
        super().closeEvent(event)
