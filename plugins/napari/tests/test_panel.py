"""Reader and panel in a real napari, with a real worker."""

import importlib
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from medcnn_napari.panel import ClassifyPanel
from medcnn_napari.reader import get_reader, read
from medcnn_napari.session import Session
from medcnn_napari.world import HEAT_COLOURS, matrix_of
from MedCNNLib.client import WorkerError
from napari.layers import Image as ImageLayer


@pytest.fixture
def panel(viewer, session, qtbot):
    made = ClassifyPanel(viewer, session)
    viewer.window.add_dock_widget(made, name="medcnn")
    qtbot.waitUntil(lambda: made.models.count() > 0, timeout=60_000)
    return made


def open_image(panel, path):
    (given,) = read(str(path))
    layer = panel.viewer.add_layer(ImageLayer(given[0], **given[1]))
    panel.layers.setCurrentText(layer.name)
    return layer


def choose(panel, model):
    ids = [panel.models.itemData(n)["id"] for n in range(panel.models.count())]
    panel.models.setCurrentIndex(ids.index(model))


def wait(panel, qtbot):
    qtbot.waitUntil(panel.classify.isEnabled, timeout=60_000)


def test_a_click_shows_probabilities_and_a_heatmap_on_the_layer(
    panel, session, qtbot, repository
):
    path = repository / "sample_data" / "vessel_aneurysm.nii"
    layer = open_image(panel, path)
    choose(panel, "vessel-3d")
    panel.every.setChecked(True)
    panel.classify.click()
    assert not panel.classify.isEnabled()
    wait(panel, qtbot)

    expected = session.worker().classify(path, "vessel-3d").probabilities
    shown = {
        panel.table.item(n, 0).text(): panel.table.item(n, 1).text()
        for n in range(panel.table.rowCount())
    }
    assert shown == {label: f"{value:.3f}" for label, value in expected.items()}
    assert "research use" in panel.message.text()
    heats = [one for one in panel.viewer.layers if one.colormap.name == HEAT_COLOURS]
    assert [one.name for one in heats if one.visible] == [
        f"{layer.name}: {panel.result.label}"
    ]
    assert panel.message.text().startswith(f"{layer.name}, by vessel-3d ")
    assert [one.name for one in heats] == [f"{layer.name}: {x}" for x in expected]
    for heat in heats:
        assert heat.data.shape == layer.data.shape
        np.testing.assert_allclose(matrix_of(heat), matrix_of(layer), atol=1e-5)

    panel.go_to_peak()
    x, y, z = panel.result.heatmaps[panel.result.label].peak_ras
    np.testing.assert_allclose(panel.viewer.dims.point, (z, -y, -x), atol=0.3)

    panel.classify.click()
    wait(panel, qtbot)
    again = [one for one in panel.viewer.layers if one.colormap.name == HEAT_COLOURS]
    assert len(again) == len(heats)  # the old ones went


def warm(viewer):
    """Count the pixels of the canvas that are no grey."""
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
    return int((picture.max(axis=2) - picture.min(axis=2) > 24).sum())


def test_the_heatmap_is_seen_and_vanishes_with_its_layer(
    shown_viewer, session, qtbot, repository, tmp_path
):
    panel = ClassifyPanel(shown_viewer, session)
    shown_viewer.window.add_dock_widget(panel, name="medcnn")
    qtbot.waitUntil(lambda: panel.models.count() > 0, timeout=60_000)
    open_image(panel, repository / "sample_data" / "chest_nodule.dcm")
    shown_viewer.reset_view()
    choose(panel, "chest-xray")
    assert warm(shown_viewer) == 0
    panel.classify.click()
    wait(panel, qtbot)
    heat = shown_viewer.layers[-1]
    heat.contrast_limits = (0, float(heat.data.max()))  # also where it stays grey
    seen = warm(shown_viewer)
    panel.python.setText("/opt/medcnn/bin/python")  # for the picture
    folder = Path(os.environ.get("MEDCNN_PICTURES", tmp_path))
    shown_viewer.window.screenshot(str(folder / "napari.png"), canvas_only=False)
    heat.visible = False
    assert seen > 200
    assert warm(shown_viewer) == 0


def test_a_radiograph_is_hung_as_it_is_seen_and_classified(panel, qtbot, repository):
    layer = open_image(panel, repository / "sample_data" / "chest_nodule.dcm")
    assert layer.ndim == 2
    choose(panel, "chest-xray")
    panel.classify.click()
    wait(panel, qtbot)
    assert panel.table.rowCount() == len(panel.result.labels)
    assert panel.viewer.layers[-1].data.shape == layer.data.shape
    panel.go_to_peak()


def test_left_of_the_patient_is_on_the_right_of_the_screen(shown_viewer):
    import nibabel
    from medcnn_napari.world import image_layer
    from MedCNNLib.client import Image

    values = np.zeros((40, 40, 9), np.float32)
    affine = np.diag([2.0, 2.0, 5.0, 1.0])  # RAS: i grows to the patient's right
    values[2:8, 4:10, :] = 1  # left and posterior
    assert nibabel.aff2axcodes(affine) == ("R", "A", "S")
    array, given, _ = image_layer(Image(values, affine))
    viewer = shown_viewer
    viewer.add_layer(ImageLayer(array, **given))
    viewer.dims.set_point(0, 20.0)
    viewer.reset_view()
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., 0].astype(float)
    rows, columns = np.nonzero(picture > 128)
    assert rows.size
    assert columns.mean() > picture.shape[1] / 2  # left: right half
    assert rows.mean() > picture.shape[0] / 2  # posterior: lower half


def test_a_classification_is_cancelled(panel, qtbot, repository):
    open_image(panel, repository / "sample_data" / "vessel_aneurysm.nii")
    choose(panel, "vessel-3d")
    panel.methods.setCurrentText("occlusion")
    panel.classify.click()
    panel.cancel.click()
    wait(panel, qtbot)
    assert "cancelled" in panel.message.text()
    assert panel.table.rowCount() == 0


def test_without_an_image_the_panel_says_what_to_do(panel):
    panel.classify.click()
    assert "Open an image first" in panel.message.text()


def test_a_model_for_other_images_is_told(panel, qtbot, repository):
    open_image(panel, repository / "sample_data" / "vessel_aneurysm.nii")
    choose(panel, "chest-xray")
    panel.classify.click()
    wait(panel, qtbot)
    assert "takes 2-D images" in panel.message.text()
    assert panel.viewer.layers.selection is not None


def test_a_series_of_volumes_is_refused_by_name(panel):
    layer = panel.viewer.add_image(np.zeros((2, 3, 4, 5)), name="times")
    panel.layers.setCurrentText(layer.name)
    panel.classify.click()
    assert "times has 4 axes" in panel.message.text()


def test_a_worker_that_was_killed_is_told_and_started_again(panel, qtbot, repository):
    open_image(panel, repository / "sample_data" / "vessel_aneurysm.nii")
    choose(panel, "vessel-3d")
    panel.methods.setCurrentText("occlusion")
    panel.classify.click()
    os.kill(panel.session.worker().pid, signal.SIGKILL)
    wait(panel, qtbot)
    assert "Start it again" in panel.message.text()
    panel.methods.setCurrentText("auto")
    panel.classify.click()
    wait(panel, qtbot)
    assert panel.table.rowCount() == 2


def test_a_python_without_medcnn_is_told_with_what_to_do(viewer, qtbot):
    session = Session(sys.executable)
    panel = ClassifyPanel(viewer, session)
    qtbot.addWidget(panel)
    wait(panel, qtbot)
    assert "no medcnn" in panel.message.text()
    assert "pip install" in panel.message.text()
    viewer.add_image(np.zeros((30, 30, 30)))
    panel.classify.click()
    assert panel.models.count() == 0


@pytest.mark.parametrize("name", ["chest_nodule.dcm", "ct_lesion", "ct_lesion.nii"])
def test_the_reader_reads_what_medcnn_reads(session, repository, name):
    reader = get_reader(str(repository / "sample_data" / name))
    ((array, given, kind),) = reader(str(repository / "sample_data" / name))
    assert kind == "image"
    assert array.ndim in {2, 3}
    assert given["name"]


def test_several_time_points_and_empty_files_give_a_sentence(session, tmp_path):
    import nibabel

    times = nibabel.Nifti1Image(np.zeros((6, 5, 4, 3), np.int16), np.eye(4))
    nibabel.save(times, tmp_path / "times.nii")
    (tmp_path / "empty.nii").touch()
    for name, words in (("times.nii", "holds 3 images"), ("empty.nii", "is empty")):
        with pytest.raises(WorkerError, match=f"{name} {words}") as refused:
            read(str(tmp_path / name))
        assert refused.value.hint


def test_a_colour_volume_is_told_by_the_model(panel, qtbot):
    colours = np.zeros((6, 30, 40, 3), np.uint8)
    layer = panel.viewer.add_image(colours, rgb=True, name="colours")
    panel.layers.setCurrentText(layer.name)
    choose(panel, "vessel-3d")
    panel.classify.click()
    wait(panel, qtbot)
    assert "a colour image, the model takes grey ones" in panel.message.text()
    assert panel.table.item(0, 2).text() == "out of scope"


def test_a_huge_volume_is_refused_before_it_is_sent(panel, qtbot):
    """50 GB that are nowhere in memory."""
    huge = np.broadcast_to(np.float32(0), (2000, 2500, 2500))
    layer = ImageLayer(huge, name="huge", contrast_limits=(0, 1))
    panel.viewer.layers.append(layer)
    panel.layers.setCurrentText("huge")
    choose(panel, "vessel-3d")
    panel.classify.click()
    wait(panel, qtbot)
    assert "the worker takes" in panel.message.text()
    assert "Crop or resample" in panel.message.text()


def test_a_broken_file_gives_a_sentence(session, tmp_path):
    (tmp_path / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 64)
    with pytest.raises(WorkerError) as refused:
        read(str(tmp_path / "broken.dcm"))
    assert refused.value.kind == "image"
    assert get_reader(["a.dcm", "b.dcm"]) is None


def test_the_manifest_is_valid_and_names_what_is_there():
    from npe2 import PluginManifest

    manifest = PluginManifest.from_distribution("medcnn-napari")
    for command in manifest.contributions.commands:
        module, _, name = command.python_name.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_napari_itself_opens_a_file_with_this_reader(viewer, session, repository):
    from npe2 import PluginManager, PluginManifest

    known = PluginManager.instance()
    if "medcnn-napari" not in known:
        known.register(PluginManifest.from_distribution("medcnn-napari"))
    path = str(repository / "sample_data" / "ct_lesion")
    (layer,) = viewer.open(path, plugin="medcnn-napari")
    assert layer.ndim == 3
    assert layer.metadata["unit"] == "HU"
