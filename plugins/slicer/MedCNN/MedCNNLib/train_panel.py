"""The section Train: what would be trained and why, then the training itself."""

import json
from typing import Any

from MedCNNLib.client import Job
from MedCNNLib.data_section import DataSection
from MedCNNLib.errors import ViewerError
from MedCNNLib.steps import Steps
from MedCNNLib.tables import fill_table

__all__ = ["TrainPanel", "settings_of"]


class TrainPanel(DataSection):
    """Plan and train a model, which then can be chosen.

    Args:
        ui: The panel's widgets by name.
        owner: The module's widget.
    """

    def __init__(self, ui: Any, owner: Any) -> None:
        super().__init__(ui, owner, ui.trainPath)
        ui.planButton.connect("clicked(bool)", self._plan)
        ui.trainButton.connect("clicked(bool)", self._train)

    def refresh(self, *, busy: bool) -> None:
        """Enable what can be done now."""
        can = bool(self._data) and not busy
        self._ui.planButton.setEnabled(can)
        self._ui.trainButton.setEnabled(can and bool(self._ui.nameEdit.text))

    def _plan(self, *_: Any) -> None:
        settings = self._settings()
        if settings is not None:
            words = "Reading the data ..."
            self._ask(words, "plan", self._planned, settings=settings)

    def _planned(self, job: Job) -> None:
        found = job.result()
        decisions = found["decisions"]
        columns = {
            "setting": [each["key"] for each in decisions],
            "value": [str(each["value"]) for each in decisions],
            "why": [each["reason"] for each in decisions],
        }
        fill_table(self._ui.planTable, columns)
        estimate = (found.get("estimate") or {}).get("words", "")
        self._ui.planLabel.setText(f"{found['words']} {estimate}".strip())

    def _train(self, *_: Any) -> None:
        settings, name = self._settings(), self._ui.nameEdit.text
        if settings is not None:
            request = {"name": name, "settings": settings}
            self._ask("Training ...", "train", self._trained, **request)

    def _trained(self, job: Job) -> Steps:
        """Offer the new model, chosen."""
        model = job.result()
        told = yield from self._client.asking("GET", "/v1/models")
        self._owner.classifyPanel.set_models(told["models"], model["id"])
        self._ui.planLabel.setText(f"{model['id']} is trained, and chosen above.")

    def _settings(self) -> dict[str, Any] | None:
        """Return what overrides the plan; None if it cannot be read, which is told."""
        try:
            return settings_of(self._ui.settingsEdit.text)
        except ViewerError as error:
            self._owner.showError(error.words)
            return None


def settings_of(text: str) -> dict[str, Any]:
    """Read `key=value; key=value`: values as in JSON, else as text.

    Raises:
        ViewerError: If a part is no `key=value`.
    """
    found: dict[str, Any] = {}
    for part in filter(None, (each.strip() for each in text.split(";"))):
        key, is_there, value = (each.strip() for each in part.partition("="))
        if not (key and is_there and value):
            msg = f"{part!r} is no setting."
            raise ViewerError(msg, hint="Write key=value, such as optimiser.epochs=5.")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found
