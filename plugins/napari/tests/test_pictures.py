"""Real images in napari; the pictures of the README are made here."""

import numpy as np
import pytest
from adapter_contract import predicted
from medcnn_napari.panel import ClassifyPanel
from PIL import Image
from real_images import film, head, pictures
from test_panel import choose, open_image, wait, warm


@pytest.fixture
def panel(shown_viewer, session, qtbot):
    made = ClassifyPanel(shown_viewer, session)
    shown_viewer.window.add_dock_widget(made, name="medcnn")
    qtbot.waitUntil(lambda: made.models.count() > 0, timeout=60_000)
    shown_viewer.window.resize(1180, 820)
    return made


def answered(panel, qtbot, path, model):
    """Classify a file by the panel; compare with the command line."""
    open_image(panel, path)
    panel.viewer.reset_view()
    choose(panel, model)
    before = warm(panel.viewer)
    panel.classify.click()
    wait(panel, qtbot)
    shown = float(panel.table.item(0, 1).text())
    assert shown == pytest.approx(predicted([path], model)[0], abs=6e-4)
    assert warm(panel.viewer) > before + 2000


def keep(panel, qtbot, path):
    """Save the window as a reader sees it."""
    panel.python.setText("/opt/medcnn/bin/python")
    qtbot.wait(500)
    picture = panel.viewer.window.screenshot(flash=False, canvas_only=False)
    Image.fromarray(np.asarray(picture)[..., :3]).save(path, quality=80)
    assert path.stat().st_size < 200_000


def test_a_real_radiograph_is_flagged_with_its_heatmap(panel, qtbot, tmp_path):
    path = film(tmp_path / "samples")
    answered(panel, qtbot, path, "chest-xray")
    assert panel.table.item(0, 2).text() == "flag"
    assert "Do not use" not in panel.message.text()
    keep(panel, qtbot, pictures(tmp_path) / "napari-film.jpg")


def test_a_real_volume_that_is_none_of_the_models_world_says_so(panel, qtbot, tmp_path):
    viewer = panel.viewer
    answered(panel, qtbot, head(tmp_path), "vessel-3d")
    assert "Do not use these numbers" in panel.message.text()
    panel.go_to_peak()
    viewer.reset_view()
    viewer.dims.axis_labels = ("S", "P", "L")
    overlays = getattr(getattr(viewer, "scene", None), "overlays", None)
    (overlays.axes if overlays else viewer.axes).visible = True
    keep(panel, qtbot, pictures(tmp_path) / "napari-volume.jpg")
