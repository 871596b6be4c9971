"""The section Classify: a volume, a model, its answer and its heatmap."""

from typing import Any

import slicer

from MedCNNLib.client import Client, Result
from MedCNNLib.errors import ViewerError
from MedCNNLib.findings import (
    adding_heatmaps,
    answer_columns,
    heatmaps_beside,
    scale_of,
    volume_of,
)
from MedCNNLib.heat import hide_heat, lay_over, set_opacity, set_threshold
from MedCNNLib.places import jump_to, peak_ras, segment_from_heat
from MedCNNLib.session import Task
from MedCNNLib.sources import misfit
from MedCNNLib.steps import Steps
from MedCNNLib.tables import fill_table

__all__ = ["ClassifyPanel"]

_ASK = "Press Refresh to see which models there are."


class ClassifyPanel:
    """Ask a model about a volume, and show what it says and why.

    Args:
        ui: The panel's widgets by name.
        owner: The module's widget.
    """

    def __init__(self, ui: Any, owner: Any) -> None:
        self._ui, self._owner = ui, owner
        self._models: list[dict[str, Any]] = []
        self._heats: dict[str, slicer.vtkMRMLScalarVolumeNode] = {}
        self._volume: slicer.vtkMRMLScalarVolumeNode | None = None
        ui.modelLabel.setText(_ASK)
        ui.methodSelector.addItem("auto")
        for name, signal, slot in (
            ("refreshButton", "clicked(bool)", self._ask_models),
            ("classifyButton", "clicked(bool)", self._classify),
            ("peakButton", "clicked(bool)", self._go_to_peak),
            ("segmentButton", "clicked(bool)", self._make_segment),
            ("showCheck", "toggled(bool)", self._show),
            ("modelSelector", "currentIndexChanged(int)", self._model_chosen),
            ("heatSelector", "currentIndexChanged(int)", self._heat_chosen),
        ):
            getattr(ui, name).connect(signal, slot)

    @property
    def model(self) -> dict[str, Any] | None:
        """The model that is chosen, as the worker describes it."""
        place = self._ui.modelSelector.currentIndex
        return self._models[place] if 0 <= place < len(self._models) else None

    def set_models(self, models: list[dict[str, Any]], chosen: str = "") -> None:
        """Offer models; those that cannot be opened say why when chosen."""
        wanted = chosen or (self.model or {}).get("id", "")
        self._models = models
        self._ui.modelSelector.clear()
        for model in models:
            self._ui.modelSelector.addItem(model["id"])
        ids = [model["id"] for model in models]
        if wanted in ids:
            self._ui.modelSelector.setCurrentIndex(ids.index(wanted))
        self._model_chosen()

    def refresh(self, *, busy: bool) -> None:
        """Enable what can be done now."""
        ui, parameters = self._ui, self._owner.parameters
        volume = parameters.inputVolume if parameters else None
        is_usable = bool(self.model) and not self.model.get("error")
        ui.refreshButton.setEnabled(not busy)
        ui.classifyButton.setEnabled(bool(volume) and is_usable and not busy)
        ui.misfitLabel.setText(misfit(self.model, volume) if self.model else "")
        heat = self._heat()
        for name in ("peakButton", "segmentButton", "showCheck"):
            getattr(ui, name).setEnabled(heat is not None)
        if heat is not None and parameters:
            set_opacity(heat, parameters.opacity)
            set_threshold(heat, scale_of(heat).at(parameters.threshold))

    # ------------------------------------------------------------- asked for

    def _ask_models(self, *_: Any) -> None:
        found: dict[str, Any] = {}

        def submit(client: Client) -> Steps:
            found.update((yield from client.asking("GET", "/v1/models")))
            found["info"] = yield from client.asking("GET", "/v1/info")

        def done(_: None) -> None:
            self.set_models(found["models"])
            self._offer_methods(found["info"])

        self._owner.run(Task("Asking which models there are ...", submit, done))

    def _offer_methods(self, info: dict[str, Any]) -> None:
        selector = self._ui.methodSelector
        selector.clear()
        names = [method["name"] for method in info["methods"]]
        for name in ("auto", *(each for each in names if each != "auto")):
            selector.addItem(name)

    def _classify(self, *_: Any) -> None:
        volume = self._owner.parameters.inputVolume
        try:
            task = self._owner.logic.task(
                volume,
                self.model["id"],
                lambda result: self._answered(volume, result),
                method=self._ui.methodSelector.currentText,
                sendFile=self._ui.sendFileCheck.checked,
            )
        except ViewerError as error:
            self._owner.showError(error.words)
            return
        self._forget_answer()
        self._owner.run(task)

    def _forget_answer(self) -> None:
        """Take the last answer away: what is shown answers the last question."""
        fill_table(self._ui.answerTable, {})
        self._ui.answerLabel.setText("")

    def _answered(
        self, volume: slicer.vtkMRMLScalarVolumeNode, result: Result
    ) -> Steps:
        """Show an answer: the heatmap, the table, what must be read beside it."""
        opacity = self._owner.parameters.opacity
        heats = yield from adding_heatmaps(volume, result, opacity=opacity)
        fill_table(self._ui.answerTable, answer_columns(result))
        self._ui.answerLabel.setText(_words(result, volume.GetName()))
        colour = "color: #b00020" if result.out_of_scope else ""
        self._ui.answerLabel.setStyleSheet(colour)
        self._volume, self._heats = volume, heats
        self._offer_heats(result.label)

    def _offer_heats(self, label: str) -> None:
        """List the heatmaps, with one of them chosen."""
        self._ui.heatSelector.clear()
        for each in self._heats:
            self._ui.heatSelector.addItem(each)
        if label in self._heats:
            self._ui.heatSelector.setCurrentIndex(list(self._heats).index(label))
        self._heat_chosen()

    def take_up(self) -> None:
        """Take up the heatmaps of a scene that was read."""
        parameters = self._owner.parameters
        heat = parameters.heatVolume if parameters else None
        volume = volume_of(heat) if heat else None
        if volume is not None and volume is not self._volume:
            self._volume, self._heats = volume, heatmaps_beside(heat)
            shown = [label for label, each in self._heats.items() if each is heat]
            self._offer_heats(*shown or [""])

    def _go_to_peak(self, *_: Any) -> None:
        try:
            jump_to(slicer.mrmlScene, peak_ras(self._heat()))
        except ViewerError as error:
            self._owner.showError(error.words)

    def _make_segment(self, *_: Any) -> None:
        heat = self._heat()
        level = scale_of(heat).at(self._owner.parameters.threshold)
        label = heat.GetAttribute("MedCNN.Label")
        try:
            segment_from_heat(heat, level=level, name=label)
        except ViewerError as error:
            self._owner.showError(error.words)

    def _show(self, is_shown: bool) -> None:
        heat = self._heat()
        if heat is None:
            return
        if is_shown:
            lay_over(self._volume, heat, opacity=self._owner.parameters.opacity)
        else:
            hide_heat(heat)

    def _model_chosen(self, *_: Any) -> None:
        model = self.model
        if model is None:
            self._ui.modelLabel.setText(_ASK)
        elif model.get("error"):
            self._ui.modelLabel.setText(f"Cannot be opened: {model['error']}")
        else:
            self._ui.modelLabel.setText(model.get("summary", ""))
        self.refresh(busy=self._owner.isBusy)

    def _heat_chosen(self, *_: Any) -> None:
        heat = self._heat()
        if heat is None or self._owner.parameters is None:
            return
        self._owner.parameters.heatVolume = heat
        self._show(self._ui.showCheck.checked)
        self.refresh(busy=self._owner.isBusy)

    def _heat(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """Return the heatmap that is chosen, if it is still in the scene."""
        heat = self._heats.get(self._ui.heatSelector.currentText)
        return heat if heat is not None and heat.GetScene() is not None else None


def _words(result: Result, name: str) -> str:
    """Return what must be read beside an answer about a volume of that name."""
    told = []
    if result.out_of_scope:
        told.append(f"Out of the model's scope: {result.out_of_scope}")
    told += result.warnings
    if result.heatmaps:
        told.append(f"The heatmap {next(iter(result.heatmaps.values())).limits}.")
    seconds = result.seconds.get("total", 0)
    by = f"{result.model} {result.version}, {result.device}, {seconds:.1f} s."
    told.append(f"{name}, by {by}")
    return "\n".join(told)
