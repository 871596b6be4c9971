"""The suite of all viewers about what goes wrong, for napari with a real worker."""

import pytest
from adapter_contract import Dialogue, FileOrder
from medcnn_napari.panel import ClassifyPanel
from medcnn_napari.reader import read
from napari.layers import Image as ImageLayer

WAIT = 60_000


class Napari:
    """The panel in a real napari."""

    def __init__(self, viewer, session, qtbot):
        self.qtbot = qtbot
        self.panel = ClassifyPanel(viewer, session)
        viewer.window.add_dock_widget(self.panel, name="medcnn")
        qtbot.waitUntil(lambda: self.panel.models.count() > 0, timeout=WAIT)

    def open(self, path, model):
        (given,) = read(str(path))
        layer = self.panel.viewer.add_layer(ImageLayer(given[0], **given[1]))
        self.panel.layers.setCurrentText(layer.name)
        models = self.panel.models
        ids = [models.itemData(n)["id"] for n in range(models.count())]
        models.setCurrentIndex(ids.index(model))

    def begin(self):
        self.panel.methods.setCurrentText("auto")
        self.panel.classify.click()

    def begin_long(self):
        self.panel.methods.setCurrentText("occlusion")
        self.panel.classify.click()
        says = self.panel.message.text
        self.qtbot.waitUntil(lambda: "Heatmap by occlusion" in says(), timeout=WAIT)

    def cancel(self):
        self.panel.cancel.click()

    def wait(self):
        self.qtbot.waitUntil(self.panel.classify.isEnabled, timeout=WAIT)

    def words(self):
        return self.panel.message.text()

    def has_answer(self):
        return self.panel.table.rowCount() > 0

    def probability(self):
        return float(self.panel.table.item(0, 1).text())

    def worker_pid(self):
        return self.panel.session.worker().pid


@pytest.fixture
def desk(viewer, session, qtbot):
    return Napari(viewer, session, qtbot)


class TestNapari(Dialogue, FileOrder):
    pass
