"""The panel when users do not wait: other modules, removed nodes, scenes read again."""

import cores
import numpy as np
import pytest
import workers

standin = pytest.importorskip("standin", reason="PySide6 is not installed here")

from MedCNNLib.client import WorkerError
from test_panel import (  # noqa: F401 - fixtures
    ask_models,
    classified,
    module,
    panel,
    volume,
    worker,
)

HEAT = "CT aneurysm heat (vessel-3d, cam)"


def begun(panel):  # noqa: F811
    ask_models(panel)
    panel.click("classifyButton")
    panel.widget.onTimer()


def test_an_answer_comes_though_another_module_is_shown(panel, scene):  # noqa: F811
    begun(panel)
    panel.widget.exit()
    panel.finish()
    panel.widget.enter()
    assert panel.texts("answerTable")[0][0] == "aneurysm"
    assert scene.GetFirstNodeByName(HEAT)
    assert panel.ui.peakButton.enabled


def test_a_heatmap_outlives_its_image(panel, scene, volume):  # noqa: F811
    heat = classified(panel)
    scene.RemoveNode(volume)
    panel.ui.showCheck.setChecked(False)
    panel.ui.showCheck.setChecked(True)
    view = scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    assert view.GetForegroundVolumeID() == heat.GetID()
    panel.click("peakButton")
    panel.click("segmentButton")


def test_what_was_not_foreseen_is_said_and_frees_the_panel(panel, monkeypatch):  # noqa: F811
    begun(panel)
    monkeypatch.setattr("MedCNNLib.classify_panel.fill_table", None)
    with pytest.raises(TypeError):
        panel.finish()
    assert "not foreseen: TypeError" in panel.ui.statusLabel.text
    panel.widget.onTimer()
    assert panel.ui.classifyButton.enabled


def test_a_heatmap_that_is_chosen_as_image_is_said_to_be_one(panel):  # noqa: F811
    panel.widget.parameters.inputVolume = classified(panel)
    panel.widget.refresh()
    assert f"{HEAT} is a heatmap" in panel.ui.misfitLabel.text


def test_the_last_answer_goes_when_another_is_asked_for(panel, worker):  # noqa: F811
    classified(panel)
    assert panel.ui.answerLabel.text.splitlines()[-1].startswith("CT, by vessel-3d")
    worker.jobs[:] = [workers.FakeJob(WorkerError("It is damaged.", "", "image"))]
    panel.click("classifyButton")
    panel.finish()
    assert panel.texts("answerTable") == []
    assert panel.ui.answerLabel.text == ""
    assert panel.ui.statusLabel.text == "It is damaged."


def save(scene, folder, *nodes):
    """Save a scene as Slicer does: each volume in a file of its own."""
    for n, node in enumerate(nodes):
        node.AddDefaultStorageNode()
        node.GetStorageNode().SetFileName(str(folder / f"{n}.nrrd"))
        assert node.GetStorageNode().WriteData(node)
    scene.SetURL(str(folder / "scene.mrml"))
    scene.SetRootDirectory(str(folder))
    assert scene.Commit()


def test_a_scene_read_again_has_its_heatmap_at_hand(
    panel,  # noqa: F811
    scene,
    volume,  # noqa: F811
    tmp_path,
):
    save(scene, tmp_path, volume, classified(panel))
    panel.ui.opacitySlider.setValue(0.35)
    scene.Commit()
    scene.Clear()
    assert not panel.ui.peakButton.enabled
    scene.SetURL(str(tmp_path / "scene.mrml"))
    assert scene.Connect()
    heat = scene.GetFirstNodeByName(HEAT)
    assert panel.ui.heatSelector.currentText == "aneurysm"
    assert panel.widget.parameters.opacity == 0.35
    panel.ui.thresholdSlider.setValue(0.75)
    assert heat.GetDisplayNode().GetLowerThreshold() == 3.0
    panel.click("peakButton")
    to_ras = scene.GetFirstNodeByName("Red view").GetSliceToRAS()
    at = [to_ras.GetElement(row, 3) for row in range(3)]
    assert np.allclose(at, cores.world_of(heat, (4, 6, 3)), atol=1e-4)


def test_data_that_are_not_there_any_more_are_told(panel, tmp_path):  # noqa: F811
    panel.ui.folderPath.setCurrentPath(str(tmp_path / "stick"))
    panel.click("refreshButton")
    assert "stick, is no folder, or is not there any more" in panel.ui.statusLabel.text
    assert not panel.widget.isBusy
    panel.ui.folderPath.setCurrentPath(str(tmp_path))
    panel.click("refreshButton")
    assert panel.widget.isBusy


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where the environment is made."""
    place = tmp_path / "python"
    monkeypatch.setattr("MedCNNLib.python_panel.default_folder", lambda: place)
    return place


def test_one_python_is_made_at_a_time(panel, place):  # noqa: F811
    panel.click("makeButton")
    panel.widget.onTimer()
    assert not panel.ui.makeButton.enabled
    assert not panel.ui.removeButton.enabled
    panel.click("cancelButton")
    panel.finish()
    assert panel.ui.makeButton.enabled
    assert not panel.ui.removeButton.enabled  # there is nothing to delete
    assert not place.exists()


def test_a_python_is_deleted_after_a_question_and_never_under_a_job(
    panel,  # noqa: F811
    place,
):
    place.mkdir()
    (place / "made-by-the-medcnn-extension").write_text("")
    begun(panel)
    assert not panel.ui.removeButton.enabled
    panel.finish()
    standin.answers["confirm"] = False
    panel.click("removeButton")
    assert place.exists()
    panel.click("makeButton")
    assert "deleted first" in standin.answers["asked"][-1]
    standin.answers["confirm"] = True
    panel.click("removeButton")
    assert "Your models are kept" in standin.answers["asked"][0]
    assert not place.exists()
    assert not panel.ui.removeButton.enabled


def test_a_file_in_the_place_of_the_python_is_told(panel, place):  # noqa: F811
    place.write_text("mine")
    panel.click("makeButton")
    assert "cannot be written: Not a directory" in panel.ui.statusLabel.text
    assert place.read_text() == "mine"


@pytest.mark.parametrize(
    "label",
    ["statusLabel", "modelLabel", "misfitLabel", "answerLabel", "planLabel"],
)
def test_no_text_is_taken_for_html(panel, label):  # noqa: F811
    from PySide6.QtCore import Qt

    kind = getattr(panel.ui, label).wrapped.textFormat()
    assert kind == Qt.TextFormat.PlainText
