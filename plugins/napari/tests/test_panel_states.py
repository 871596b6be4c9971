"""The panel when users do not wait: layers renamed, removed, of several scales."""

import errno

import numpy as np
from medcnn_napari.panel import ClassifyPanel
from medcnn_napari.session import Session
from medcnn_napari.world import image_of
from test_panel import choose, open_image, panel, wait  # noqa: F401 - a fixture

VESSEL = "sample_data/vessel_aneurysm.nii"


def test_an_image_that_is_opened_is_chosen_and_one_that_is_renamed_is_found(
    panel,  # noqa: F811
    qtbot,
    repository,
):
    first = open_image(panel, repository / "sample_data/vessel.nii")
    layer = open_image(panel, repository / VESSEL)
    layer.name = "<b>another</b>"
    assert panel.layers.currentData() is layer
    assert panel.layers.currentText() == "<b>another</b>"
    choose(panel, "vessel-3d")
    panel.classify.click()
    wait(panel, qtbot)
    assert panel.message.text().startswith("<b>another</b>, by vessel-3d")
    assert panel.layers.currentData() is layer  # and not the heatmap
    assert panel.layers.count() == len([first, layer])
    again = ClassifyPanel(panel.viewer, panel.session)  # the panel is closed and opened
    qtbot.addWidget(again)
    assert again.layers.count() == len([first, layer])
    wait(again, qtbot)


def test_a_layer_that_is_removed_meanwhile_is_told(
    panel,  # noqa: F811
    qtbot,
    repository,
):
    layer = open_image(panel, repository / VESSEL)
    choose(panel, "vessel-3d")
    panel.classify.click()
    panel.viewer.layers.remove(layer)
    wait(panel, qtbot)
    assert "was removed while it was classified" in panel.message.text()
    assert panel.table.rowCount() == 0
    assert len(panel.viewer.layers) == 0


def test_the_last_answer_goes_when_another_is_asked_for(
    panel,  # noqa: F811
    qtbot,
    repository,
):
    open_image(panel, repository / VESSEL)
    choose(panel, "vessel-3d")
    panel.classify.click()
    wait(panel, qtbot)
    assert panel.table.rowCount() == 2
    choose(panel, "chest-xray")
    panel.classify.click()
    wait(panel, qtbot)
    assert "takes 2-D images" in panel.message.text()
    assert panel.table.rowCount() == 0
    assert not panel.peak.isEnabled()


def test_of_several_scales_the_finest_is_classified(viewer):
    fine = np.random.default_rng(0).random((16, 12, 8)).astype(np.float32)
    layer = viewer.add_image(
        [fine, fine[::2, ::2, ::2]], multiscale=True, scale=(2, 1, 1)
    )
    image = image_of(layer)
    np.testing.assert_array_equal(image.kji(), fine)
    assert np.allclose(np.abs(image.affine.diagonal()), (1, 1, 2, 1))


def test_a_worker_that_was_missing_is_looked_for_again(
    viewer, session, qtbot, tmp_path
):
    own = Session(str(tmp_path / "python"))  # it is not there yet
    made = ClassifyPanel(viewer, own)
    qtbot.addWidget(made)
    wait(made, qtbot)
    assert "cannot be started" in made.message.text()
    viewer.add_image(np.zeros((30, 30, 30), np.float32))
    own.python = session.python  # it is now
    made.classify.click()
    qtbot.waitUntil(lambda: made.models.count() > 0, timeout=60_000)
    own.close()


def test_a_full_disk_is_told_and_frees_the_panel(
    panel,  # noqa: F811
    qtbot,
    repository,
    monkeypatch,
):
    open_image(panel, repository / VESSEL)
    choose(panel, "vessel-3d")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(panel.session.worker(), "submit_classify", full)
    monkeypatch.setattr("napari.utils.notifications.notification_manager.dispatch", str)
    with qtbot.captureExceptions():
        panel.classify.click()
        wait(panel, qtbot)
    assert "No space left on device" in panel.message.text()
