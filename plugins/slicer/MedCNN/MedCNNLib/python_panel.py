"""The section Python: which one has medcnn, and a button that makes one."""

from pathlib import Path
from typing import Any

import qt
import slicer

from MedCNNLib.environment import (
    SIZES,
    Making,
    base_pythons,
    default_folder,
    find_python,
    is_made,
    python_in,
    remove,
)
from MedCNNLib.errors import ViewerError

__all__ = ["PythonPanel"]

_PYTHON, _FOLDER = "MedCNN/python", "MedCNN/folder"


class PythonPanel:
    """Choose the Python that medcnn runs in, or make one.

    Args:
        ui: The panel's widgets by name.
        owner: The module's widget.
    """

    def __init__(self, ui: Any, owner: Any) -> None:
        self._ui, self._owner = ui, owner
        self._making: Making | None = None
        self._settings = qt.QSettings()
        python = find_python(str(self._settings.value(_PYTHON) or ""))
        ui.pythonPath.setCurrentPath(python)
        folder = self._settings.value(_FOLDER) or str(Path.home())
        ui.folderPath.setCurrentPath(str(folder))
        home = getattr(getattr(slicer, "app", None), "slicerHome", "")
        for base in base_pythons(home):
            ui.basePython.addItem(base)
        ui.pythonPath.connect("currentPathChanged(QString)", self._remember)
        ui.folderPath.connect("currentPathChanged(QString)", self._remember)
        ui.trainingCheck.connect("toggled(bool)", self._say_size)
        ui.makeButton.connect("clicked(bool)", self._make)
        ui.removeButton.connect("clicked(bool)", self._remove)
        ui.pythonSection.setProperty("collapsed", bool(python))
        if not python:
            ui.pythonLabel.setText("No Python with medcnn was found. Name or make one.")
        self._say_size()

    def refresh(self, *, busy: bool) -> None:
        """Enable what can be done now."""
        self._ui.makeButton.setEnabled(not busy)
        self._ui.removeButton.setEnabled(not busy and is_made(default_folder()))

    def chosen(self) -> tuple[str, str]:
        """Return the Python and the folder with the user's data."""
        return self._ui.pythonPath.currentPath, self._ui.folderPath.currentPath

    @property
    def is_busy(self) -> bool:
        """Whether an environment is being made."""
        return self._making is not None

    @property
    def words(self) -> str:
        """What is going on."""
        return self._making.words if self._making else ""

    @property
    def share(self) -> float | None:
        """How much is done, 0 to 1."""
        return self._making.share if self._making else None

    def step(self) -> None:
        """Look how far the making is."""
        if self._making is None:
            return
        try:
            self._making.step()
        except ViewerError as error:
            self._making = None
            self._owner.showError(error.words)
            return
        if self._making.finished:
            python = python_in(self._making.folder)
            self._making = None
            self._ui.pythonPath.setCurrentPath(str(python))
            self._ui.pythonLabel.setText("Made, and chosen. Press Refresh above.")

    def stop(self) -> None:
        """Stop making one; what there was of it is deleted."""
        if self._making is not None:
            self._making.stop()
            self._making = None
            self._owner.showError("Stopped; what was made so far is deleted.")

    def _extras(self) -> str:
        return "serve,train" if self._ui.trainingCheck.checked else "serve"

    def _say_size(self, *_: Any) -> None:
        size = SIZES[self._extras()]
        self._ui.sizeLabel.setText(f"Goes to {default_folder()}: {size}.")

    def _make(self, *_: Any) -> None:
        """Tell the size, ask, and begin."""
        size, folder = SIZES[self._extras()], default_folder()
        question = f"Make a Python with medcnn in {folder}? It needs {size}."
        there_is_one = is_made(folder)
        if there_is_one:
            question += " The one that is there is deleted first."
        if not slicer.util.confirmOkCancelDisplay(question):
            return
        if there_is_one:
            self._owner.logic.session.close()  # it may run in what is deleted
        base = self._ui.basePython.currentText
        try:
            self._making = Making(
                base,
                folder,
                extras=self._extras(),
                wheels=self._ui.wheelsPath.currentPath,
                surroundings=slicer.util.startupEnvironment(),
            )
        except ViewerError as error:
            self._owner.showError(error.words)
            return
        self._owner.showError("")
        self._owner.follow()

    def _remove(self, *_: Any) -> None:
        folder = default_folder()
        question = f"Delete the Python with medcnn in {folder}? Your models are kept."
        if not slicer.util.confirmOkCancelDisplay(question):
            return
        self._owner.logic.session.close()
        try:
            remove(folder)
        except ViewerError as error:
            self._owner.showError(error.words)
            return
        self._ui.pythonLabel.setText("Deleted.")
        self._owner.refresh()

    def _remember(self, *_: Any) -> None:
        python, folder = self.chosen()
        self._settings.setValue(_PYTHON, python)
        self._settings.setValue(_FOLDER, folder)
        self._ui.pythonLabel.setText("")
