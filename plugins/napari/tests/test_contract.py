"""The suite of all viewers, for napari."""

import numpy as np
import pytest
from adapter_contract import Contract, LightStart
from medcnn_napari.world import heat_layer, image_layer, image_of
from MedCNNLib.client import Heatmap, Image
from napari.layers import Image as ImageLayer

TEXTS = dict.fromkeys(("layer", "unit", "meaning", "limits", "window_words"), "")


class Napari:
    """Layers; their world is (z, y, x) in LPS mm."""

    modules = ("medcnn_napari.panel", "medcnn_napari.reader")

    def show(self, array, affine):
        data, given, _ = image_layer(Image(array, affine))
        return ImageLayer(data, **given)

    def sent(self, shown):
        image = image_of(shown)
        return image.ijk(), image.affine

    def lay(self, values, shown):
        facts = {"label": "a", "method": "cam", **TEXTS, "window": (0.0, 1.0)}
        facts |= {"peak": (0, 0, 0), "peak_ras": None}
        heat = Heatmap(values, image_of(shown).affine, facts)
        data, given, _ = heat_layer(heat, shown)
        return ImageLayer(data, **given)

    def grid(self, shown):
        corners = np.vstack([np.zeros(3), np.eye(3)])
        return shown.data.shape, np.array([shown.data_to_world(c) for c in corners])

    def hottest(self, heat):
        highest = np.unravel_index(heat.data.argmax(), heat.data.shape)
        z, y, x = heat.data_to_world(highest)
        return np.array([-x, -y, z])


@pytest.fixture
def adapter():
    return Napari()


class TestNapari(Contract):
    pass


class TestStart(LightStart):
    pass
