"""Classify volumes with medcnn in 3D Slicer, show why, and measure how well.

The networks run in another Python, which the panel finds or makes; this module needs
only what Slicer brings.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import qt
import slicer
import vtk
from MedCNNLib.classify_panel import ClassifyPanel
from MedCNNLib.client import Result, Worker
from MedCNNLib.environment import find_python
from MedCNNLib.evaluate_panel import EvaluatePanel
from MedCNNLib.findings import add_heatmaps, labels_to_ask
from MedCNNLib.places import peak_ras
from MedCNNLib.python_panel import PythonPanel
from MedCNNLib.samples import register_samples
from MedCNNLib.session import Session, Task
from MedCNNLib.sources import image_of, single_file
from MedCNNLib.steps import Steps
from MedCNNLib.train_panel import TrainPanel
from MedCNNLib.volumes import image_from_node, node_from_image
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

_POLL_MS, _MOVE_MS = 100, 5
_MODIFIED = vtk.vtkCommand.ModifiedEvent


class MedCNN(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent: object) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("MedCNN")
        self.parent.categories = [
            translate("qSlicerAbstractCoreModule", "Quantification")
        ]
        self.parent.dependencies = []
        self.parent.contributors = ["The medcnn authors"]
        self.parent.helpText = _(
            "Probabilities, heatmaps and ROC evaluation by convolutional networks, "
            "which run in a Python of their own. Research use only: no diagnosis."
        )
        self.parent.acknowledgementText = _("Apache License 2.0.")
        # other modules can be asked only when Slicer has found them all
        slicer.app.connect("startupCompleted()", self.registerSampleData)

    @staticmethod
    def registerSampleData() -> None:
        """Offer computed phantoms in the module Sample Data."""
        register_samples(Path(__file__).parent / "Resources")


@parameterNodeWrapper
class MedCNNParameterNode:
    """What is kept with the scene.

    Attributes:
        inputVolume: The volume to classify.
        heatVolume: The heatmap that is shown.
        opacity: Of the hottest colour, 0 to 1.
        threshold: Share of the heatmap's scale below which nothing is shown, 0 to 1.
    """

    inputVolume: slicer.vtkMRMLScalarVolumeNode
    heatVolume: slicer.vtkMRMLScalarVolumeNode
    opacity: Annotated[float, WithinRange(0, 1)] = 0.6
    threshold: Annotated[float, WithinRange(0, 1)] = 0.15


class MedCNNWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: four sections over one session with the worker."""

    def __init__(self, parent: object = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._guiTag = None
        self._isError = False

    def setup(self) -> None:
        """Build the panel; called once, when the module is first opened."""
        ScriptedLoadableModuleWidget.setup(self)
        widget = slicer.util.loadUI(self.resourcePath("UI/MedCNN.ui"))
        self.layout.addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.logic = MedCNNLogic()
        self.logic.session = Session(self.showError)
        self.pythonPanel = PythonPanel(self.ui, self)
        self.classifyPanel = ClassifyPanel(self.ui, self)
        self.evaluatePanel = EvaluatePanel(self.ui, self)
        self.trainPanel = TrainPanel(self.ui, self)
        self.ui.cancelButton.connect("clicked(bool)", self.onCancel)
        self._timer = qt.QTimer()
        self._timer.setInterval(_POLL_MS)
        self._timer.connect("timeout()", self.onTimer)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.initializeParameterNode()
        self.refresh()

    def cleanup(self) -> None:
        """End the worker; called when Slicer closes or the module is reloaded."""
        self._timer.stop()
        self.pythonPanel.stop()
        self.logic.session.close()
        self.removeObservers()

    def enter(self) -> None:
        """Take up the parameters again; called when the module is opened."""
        self.initializeParameterNode()

    def exit(self) -> None:
        """Let go of the parameters; called when another module is opened."""
        self.setParameterNode(None)

    def onSceneStartClose(self, caller: object, event: object) -> None:
        """Stop what is going on: its volume is about to go."""
        self.logic.session.drop()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller: object, event: object) -> None:
        """Begin with the new scene's parameters."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, caller: object, event: object) -> None:
        """Take up what a scene that was read holds: its parameters and heatmaps."""
        if self.parent.isEntered:
            self.setParameterNode(None)
            self.initializeParameterNode()
        self.classifyPanel.take_up()

    def initializeParameterNode(self) -> None:
        """Connect the panel to the scene's parameters, with a first volume chosen."""
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputVolume:
            first = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if first:
                self._parameterNode.inputVolume = first

    def setParameterNode(self, parameters: MedCNNParameterNode | None) -> None:
        """Show other parameters, or none."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(
                self._parameterNode.parameterNode,
                vtk.vtkCommand.ModifiedEvent,
                self.refresh,
            )
        self._parameterNode = parameters
        if parameters is not None:
            self._guiTag = parameters.connectGui(self.ui)
            self.addObserver(
                parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self.refresh
            )
            self.refresh()

    @property
    def parameters(self) -> "MedCNNParameterNode | None":
        """The scene's parameters, also while another module is shown.

        None while the scene closes.
        """
        if self._parameterNode is not None or slicer.mrmlScene.IsClosing():
            return self._parameterNode
        return self.logic.getParameterNode()

    # ------------------------------------------------------------- for the sections

    def run(self, task: Task) -> None:
        """Begin what a section asks for."""
        python, folder = self.pythonPanel.chosen()
        if folder and not Path(folder).is_dir():
            words = _("Your data, {folder}, is no folder, or is not there any more. ")
            words += _("Choose another in the section Python with medcnn.")
            self.showError(words.format(folder=folder))
            return
        self.showError("")
        self.logic.session.configure(python, [folder])
        if not self.logic.session.run(task):
            self.showError(_("Something else is going on; cancel it, or wait."))
        self.follow()

    def follow(self) -> None:
        """Look after what is going on until it ends."""
        self._timer.start()
        self.refresh()

    def showError(self, words: str) -> None:
        """Say what went wrong and what to do about it; "" takes it away."""
        self._isError = bool(words)
        self.ui.statusLabel.setText(words)
        self.ui.statusLabel.setStyleSheet("color: #b00020" if words else "")

    # ------------------------------------------------------------- events

    def onTimer(self) -> None:
        """Move on what is going on; take its words away when it is done."""
        wasBusy = self.isBusy
        self.logic.session.step()
        self.pythonPanel.step()
        if wasBusy and not self.isBusy and not self._isError:
            self.showProgress("")
        if self.logic.session.is_idle and not self.pythonPanel.is_busy:
            self._timer.stop()
        is_moving = self.logic.session.is_moving
        self._timer.setInterval(_MOVE_MS if is_moving else _POLL_MS)
        self.refresh()

    def onCancel(self) -> None:
        """Stop what is going on."""
        self.logic.session.cancel()
        self.pythonPanel.stop()
        self.refresh()

    @property
    def isBusy(self) -> bool:
        """Whether something is going on."""
        return self.logic.session.is_busy or self.pythonPanel.is_busy

    def refresh(self, caller: object = None, event: object = None) -> None:
        """Enable what can be done now, and show how far things are."""
        busy = self.isBusy
        self.ui.cancelButton.setEnabled(busy)
        self.ui.progressBar.setVisible(busy)
        if busy:
            making = self.pythonPanel.is_busy
            source = self.pythonPanel if making else self.logic.session
            share = source.share
            self.ui.progressBar.setMaximum(0 if share is None else 100)
            self.ui.progressBar.setValue(0 if share is None else int(share * 100))
            self.showProgress(source.words)
        panels = (self.classifyPanel, self.evaluatePanel, self.trainPanel)
        for panel in (*panels, self.pythonPanel):
            panel.refresh(busy=busy)

    def showProgress(self, words: str) -> None:
        """Say what is going on."""
        self.ui.statusLabel.setStyleSheet("")
        self.ui.statusLabel.setText(words)


class MedCNNLogic(ScriptedLoadableModuleLogic):
    """What the module does, for scripts and for its panel."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self.session: Session | None = None

    def getParameterNode(self) -> MedCNNParameterNode:
        """Return the scene's parameters."""
        return MedCNNParameterNode(super().getParameterNode())

    @staticmethod
    def task(
        volume: slicer.vtkMRMLScalarVolumeNode,
        model: str,
        done: object,
        *,
        method: str = "auto",
        sendFile: bool = True,
    ) -> Task:
        """Return the task of classifying a volume.

        Args:
            volume: What is asked about; looked at when the task begins.
            model: A model's id.
            done: Told the answer, a `Result`; may return steps.
            method: How heatmaps are made.
            sendFile: Whether a film's DICOM file is sent rather than its voxels.
        """
        image = image_of(volume)
        file = single_file(volume) if sendFile else None

        def submit(client: Worker) -> Steps:
            sending = client.uploading_file(file) if file else client.uploading(image)
            sent = yield from sending
            choices = {"method": method, "labels": labels_to_ask(image.shape)}
            asked = client.submitting("classify", image=sent, model=model, **choices)
            return (yield from asked)

        return Task(_("Classifying ..."), submit, lambda job: done(job.result()))

    @staticmethod
    def process(
        volume: slicer.vtkMRMLScalarVolumeNode,
        model: str = "chest-xray",
        *,
        python: str = "",
        opacity: float = 0.6,
    ) -> Result:
        """Classify a volume and lay the heatmap over it; for scripts, as it waits.

        Args:
            volume: In the scene.
            model: A model's id.
            python: The Python with medcnn; "" is the one that was found.
            opacity: Of the heatmap.
        """
        image = image_of(volume)
        with Worker(python or find_python() or None) as worker:
            labels = labels_to_ask(image.shape)
            result = worker.classify(image, model, labels=labels)
        add_heatmaps(volume, result, opacity=opacity)
        return result


class MedCNNTest(ScriptedLoadableModuleTest):
    """The self test: "Reload and Test" in Slicer's developer mode runs it."""

    def setUp(self) -> None:
        """Begin with an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """Run all of it."""
        self.setUp()
        self.test_volumes()
        self.setUp()
        self.test_worker()

    def test_volumes(self) -> None:
        """A volume goes into an array and comes back to the same place."""
        volume = _phantom()
        image = image_from_node(volume)
        heat = node_from_image(
            slicer.mrmlScene, image.array, image.affine, like=volume, name="heat"
        )
        compare = slicer.vtkSlicerVolumesLogic().CompareVolumeGeometry
        self.assertEqual(compare(volume, heat), "")
        self.assertTrue(np.allclose(peak_ras(heat), (-18, -24, 30)))

    def test_worker(self) -> None:
        """A volume is classified by a worker, where there is a Python with medcnn."""
        if not find_python():
            self.delayDisplay(_("No Python with medcnn was found: worker not tested."))
            return
        volume = _phantom()
        result = MedCNNLogic.process(volume, "vessel-3d")
        self.assertTrue(all(0 <= p <= 1 for p in result.probabilities.values()))
        heats = slicer.util.getNodes(f"phantom {result.label} heat*").values()
        heat = next(iter(heats))
        compare = slicer.vtkSlicerVolumesLogic().CompareVolumeGeometry
        self.assertEqual(compare(volume, heat), "")


def _phantom() -> slicer.vtkMRMLScalarVolumeNode:
    """Return a volume of 1 along a line, 2 at its hottest voxel (6, 8, 10)."""
    array = np.zeros((28, 28, 28), np.float32)
    array[6, 8, :] = 1
    array[6, 8, 10] = 2
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "phantom")
    slicer.util.updateVolumeFromArray(volume, array.transpose(2, 1, 0))
    volume.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    volume.SetSpacing(3, 3, 3)
    return volume
