"""The module's panel on the stand-in: names, wiring, states; real MRML below it."""

import importlib
import sys
from pathlib import Path

import cores
import numpy as np
import pytest
import slicer
import workers

standin = pytest.importorskip("standin", reason="PySide6 is not installed here")

from MedCNNLib.client import WorkerError
from MedCNNLib.findings import labels_to_ask
from MedCNNLib.session import Session

MODULE = Path(__file__).parents[1] / "MedCNN"
GRID = cores.GRIDS["oblique"]


@pytest.fixture
def module(scene):
    standin.install(scene)
    standin.Settings.kept.clear()
    standin.answers.update(confirm=True, asked=[])
    for name in [n for n in sys.modules if n.endswith("_panel") or n == "MedCNN"]:
        del sys.modules[name]
    loaded = importlib.import_module("MedCNN")
    loaded.ScriptedLoadableModuleWidget.resources = MODULE / "Resources"
    return loaded


class Panel:
    """The module's widget with a worker that a test gives."""

    def __init__(self, module, scene, worker):
        self.parent = standin.ModuleParent()
        self.widget = module.MedCNNWidget(self.parent)
        self.widget.setup()
        self.ui, self.scene, self.worker = self.widget.ui, scene, worker
        self.widget.logic.session = Session(self.widget.showError, worker.start)

    def click(self, name):
        assert getattr(self.ui, name).enabled, f"{name} cannot be pressed"
        getattr(self.ui, name).click()

    def finish(self):
        turns = 0
        while self.widget.isBusy:
            self.widget.onTimer()
            turns += 1
            assert turns < 200

    def texts(self, name):
        table = getattr(self.ui, name).wrapped
        rows, columns = range(table.rowCount()), range(table.columnCount())
        return [[table.item(r, c).text() for c in columns] for r in rows]


@pytest.fixture
def volume(scene):
    return cores.add_volume(scene, np.ones((5, 7, 4), np.float32), GRID)


@pytest.fixture
def worker():
    return workers.FakeWorker([workers.FakeJob(workers.answer((5, 7, 4), GRID))])


@pytest.fixture
def panel(module, scene, volume, worker):
    opened = Panel(module, scene, worker)
    yield opened
    opened.widget.cleanup()


def ask_models(panel, chosen=1):
    panel.click("refreshButton")
    panel.finish()
    panel.ui.modelSelector.setCurrentIndex(chosen)


def classified(panel):
    ask_models(panel)
    panel.click("classifyButton")
    panel.finish()
    return panel.scene.GetFirstNodeByName("CT aneurysm heat (vessel-3d, cam)")


def test_a_first_volume_is_chosen(panel, volume):
    assert panel.widget.parameters.inputVolume is volume
    assert panel.ui.inputSelector.currentText == "CT"


def test_nothing_is_asked_before_a_model_is_known(panel):
    assert not panel.ui.classifyButton.enabled
    assert not panel.ui.evaluateButton.enabled
    assert "Refresh" in panel.ui.modelLabel.text


def test_refresh_offers_models_and_methods(panel):
    ask_models(panel, chosen=0)
    box = panel.ui.modelSelector.wrapped
    names = [box.itemText(n) for n in range(box.count())]
    assert names == ["chest-xray", "vessel-3d", "own/broken"]
    assert panel.ui.modelLabel.text == "Films."
    methods = panel.ui.methodSelector.wrapped
    assert [methods.itemText(n) for n in range(3)] == ["auto", "cam", "occlusion"]


def test_a_model_that_cannot_be_opened_says_why(panel):
    ask_models(panel, chosen=2)
    assert "weights.safetensors is missing" in panel.ui.modelLabel.text
    assert not panel.ui.classifyButton.enabled


def test_a_model_of_pictures_warns_about_a_volume(panel):
    ask_models(panel, chosen=0)
    words = "chest-xray reads pictures; this volume has 4 slices."
    assert panel.ui.misfitLabel.text == words


def test_classify_fills_table_scene_and_views(panel, volume, scene):
    heat = classified(panel)
    assert panel.texts("answerTable") == [["aneurysm", "0.83", "0.2", "0.6", "flag"]]
    assert slicer.vtkSlicerVolumesLogic().CompareVolumeGeometry(volume, heat) == ""
    view = scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    assert view.GetForegroundVolumeID() == heat.GetID()
    assert view.GetForegroundOpacity() == 0.6
    table = scene.GetFirstNodeByClass("vtkMRMLTableNode")
    assert table.GetCellText(0, 0) == "aneurysm"
    assert "not an outline" in panel.ui.answerLabel.text
    assert panel.ui.statusLabel.text == ""


def test_the_volume_is_sent_with_its_places(panel, volume):
    classified(panel)
    kind, request = panel.worker.asked[-1]
    image = request.pop("image")
    assert kind == "classify"
    assert np.allclose(image.affine, GRID)
    assert image.shape == (5, 7, 4)
    assert request == {"model": "vessel-3d", "method": "auto", "labels": ["all"]}


def test_a_large_volume_gets_one_heatmap():
    assert labels_to_ask((512, 512, 16)) == ["all"]
    assert labels_to_ask((512, 512, 17)) is None


def test_a_detector_s_number_is_called_a_score(panel, worker):
    answer = workers.answer((5, 7, 4), GRID, number_kind="anomaly score")
    worker.jobs[:] = [workers.FakeJob(answer)]
    classified(panel)
    header = panel.ui.answerTable.wrapped.horizontalHeaderItem(1)
    assert header.text() == "anomaly score"


def test_what_is_out_of_scope_is_said_in_red(panel, worker):
    told = "No chest radiograph: modality CT."
    answer = workers.answer((5, 7, 4), GRID, out_of_scope=told, bands={})
    worker.jobs[:] = [workers.FakeJob(answer)]
    classified(panel)
    assert told in panel.ui.answerLabel.text
    assert "b00020" in panel.ui.answerLabel.styleSheet
    assert panel.texts("answerTable")[0][-1] == ""


def test_opacity_and_threshold_follow_their_sliders(panel, scene):
    heat = classified(panel)
    panel.ui.opacitySlider.setValue(0.25)
    panel.ui.thresholdSlider.setValue(0.75)
    view = scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    assert view.GetForegroundOpacity() == 0.25
    assert heat.GetDisplayNode().GetLowerThreshold() == 3.0


def test_parameters_are_kept_in_the_scene(panel, scene):
    panel.ui.opacitySlider.setValue(0.25)
    node = scene.GetFirstNodeByClass("vtkMRMLScriptedModuleNode")
    assert node.GetParameter("opacity") == "0.25"
    with pytest.raises(ValueError, match="not within"):
        panel.widget.parameters.opacity = 2.0


def test_go_to_peak_moves_the_views(panel, scene):
    heat = classified(panel)
    panel.click("peakButton")
    to_ras = scene.GetFirstNodeByName("Red view").GetSliceToRAS()
    at = [to_ras.GetElement(row, 3) for row in range(3)]
    assert np.allclose(at, cores.world_of(heat, (4, 6, 3)))


def test_a_region_becomes_a_segment(panel, scene):
    classified(panel)
    panel.click("segmentButton")
    node = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    assert node.GetSegmentation().GetNthSegment(0).GetName() == "aneurysm"


def test_the_heatmap_can_be_hidden_and_shown(panel, scene):
    heat = classified(panel)
    view = scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    panel.ui.showCheck.setChecked(False)
    assert view.GetForegroundVolumeID() is None
    panel.ui.showCheck.setChecked(True)
    assert view.GetForegroundVolumeID() == heat.GetID()


def test_an_error_of_the_worker_is_shown_with_what_to_do(panel, worker):
    error = WorkerError("Memory ran out.", "Crop the volume.", "memory")
    worker.jobs[:] = [workers.FakeJob(error)]
    classified(panel)
    assert panel.ui.statusLabel.text == "Memory ran out. Crop the volume."
    assert "b00020" in panel.ui.statusLabel.styleSheet
    assert panel.ui.classifyButton.enabled


def test_a_python_without_medcnn_is_told(panel, worker):
    worker._refuses = WorkerError("That Python has no medcnn.", "Make one.", "start")
    panel.click("refreshButton")
    panel.finish()
    assert panel.ui.statusLabel.text == "That Python has no medcnn. Make one."


def test_cancel_stops_and_frees_the_panel(panel, worker):
    worker.jobs[:] = [workers.FakeJob("never", polls=10_000)]
    ask_models(panel)
    panel.click("classifyButton")
    for _ in range(6):
        panel.widget.onTimer()
    assert panel.ui.statusLabel.text == "Heatmap of aneurysm"
    assert panel.ui.progressBar.value == 25
    assert not panel.ui.classifyButton.enabled
    panel.click("cancelButton")
    panel.finish()
    assert panel.ui.statusLabel.text == "Stopped."
    assert panel.ui.classifyButton.enabled


def test_a_volume_without_voxels_is_told(panel, scene):
    ask_models(panel)
    empty = scene.AddNode(slicer.vtkMRMLScalarVolumeNode())
    empty.SetName("empty")
    panel.widget.parameters.inputVolume = empty
    panel.click("classifyButton")
    assert panel.ui.statusLabel.text == "empty holds no voxels. Load it again."


def test_closing_the_scene_drops_what_is_going_on(panel, worker, scene):
    worker.jobs[:] = [workers.FakeJob("never", polls=10_000)]
    ask_models(panel)
    panel.click("classifyButton")
    for _ in range(6):
        panel.widget.onTimer()
    scene.Clear()
    assert not panel.widget.isBusy
    assert panel.widget.parameters.inputVolume is None


def test_another_node_under_the_name_of_a_heatmap_is_left_alone(panel, scene):
    heat = classified(panel)
    scene.RemoveNode(heat)
    panel.widget.refresh()
    assert not panel.ui.peakButton.enabled


EVALUATION = {
    "labels": {
        "aneurysm": {
            "n_positive": 2,
            "n_negative": 2,
            "auroc": {"value": 0.75, "ci95": [0.5, 0.9], "method": "DeLong"},
            "roc": {"x": [0, 1], "y": [0, 1], "band_x": [], "low": [], "high": []},
            "operating_points": [],
        }
    },
    "warnings": ["Few cases.", "a<b>.png was left out."],
}


def test_an_evaluation_gives_table_chart_and_report(panel, worker, scene):
    found = {"evaluation": EVALUATION, "files": ["report.html"]}
    worker.jobs[:] = [workers.FakeJob(found)]
    ask_models(panel)
    panel.ui.evaluatePath.setCurrentPath("/data/test.csv")
    panel.click("evaluateButton")
    panel.finish()
    assert panel.worker.asked[-1] == (
        "evaluate",
        {"data": "/data/test.csv", "model": "vessel-3d"},
    )
    row = panel.texts("evaluateTable")[0]
    assert row[:3] == ["aneurysm", "2 / 2", "0.750 (0.500 to 0.900)"]
    chart = scene.GetFirstNodeByClass("vtkMRMLPlotChartNode")
    assert "AUC 0.750" in chart.GetTitle()
    assert "Few cases.<br>a&lt;b&gt;.png was left" in panel.ui.evaluateLabel.text
    assert "report.html" in panel.ui.evaluateLabel.text


def test_a_plan_is_shown_before_training(panel, worker):
    decision = {"key": "network.name", "value": "resnet18", "reason": "few images"}
    plan = {
        "words": "200 grey pictures.",
        "decisions": [decision],
        "estimate": {"words": "About 10 min here."},
    }
    worker.jobs[:] = [workers.FakeJob(plan)]
    panel.ui.trainPath.setCurrentPath("/data/train.csv")
    panel.click("planButton")
    panel.finish()
    assert panel.texts("planTable") == [["network.name", "resnet18", "few images"]]
    assert panel.ui.planLabel.text == "200 grey pictures. About 10 min here."


def test_a_trained_model_is_chosen(panel, worker):
    worker.jobs[:] = [workers.FakeJob({"id": "vessel-3d"})]
    panel.ui.trainPath.setCurrentPath("/data/train.csv")
    panel.ui.nameEdit.setText("mine")
    panel.click("trainButton")
    panel.finish()
    assert panel.worker.asked[-1] == (
        "train",
        {"data": "/data/train.csv", "name": "mine", "settings": {}},
    )
    assert panel.widget.classifyPanel.model["id"] == "vessel-3d"


def test_settings_override_the_plan(panel, worker):
    worker.jobs[:] = [workers.FakeJob({"id": "vessel-3d"})]
    panel.ui.trainPath.setCurrentPath("/data/train.csv")
    panel.ui.settingsEdit.setText("optimiser.epochs=5; input.shape=[32, 32]; a.b=c")
    panel.click("trainButton")
    panel.finish()
    wanted = {"optimiser.epochs": 5, "input.shape": [32, 32], "a.b": "c"}
    assert panel.worker.asked[-1][1]["settings"] == wanted


@pytest.mark.parametrize("button", ["planButton", "trainButton"])
def test_a_setting_that_cannot_be_read_is_told_and_nothing_is_asked(panel, button):
    panel.ui.trainPath.setCurrentPath("/data/train.csv")
    panel.ui.settingsEdit.setText("epochs")
    panel.click(button)
    assert "'epochs' is no setting. Write key=value" in panel.ui.statusLabel.text
    assert not panel.widget.isBusy


def test_the_size_is_told_before_a_python_is_made(panel, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "MedCNNLib.python_panel.default_folder", lambda: tmp_path / "python"
    )
    standin.answers["confirm"] = False
    panel.ui.trainingCheck.setChecked(True)
    panel.click("makeButton")
    assert "1.6 GB" in standin.answers["asked"][0]
    assert not panel.widget.isBusy
    assert not (tmp_path / "python").exists()


def test_the_python_that_was_chosen_is_remembered(panel):
    panel.ui.pythonPath.setCurrentPath("/opt/medcnn/bin/python")
    assert standin.Settings.kept["MedCNN/python"] == "/opt/medcnn/bin/python"
    assert panel.widget.pythonPanel.chosen()[0] == "/opt/medcnn/bin/python"
