"""The suite of all viewers, for Slicer's scene (also that of the browser)."""

import sys
from pathlib import Path

import cores
import numpy as np
import pytest
from vtk.util import numpy_support

sys.path.insert(0, str(Path(__file__).parents[2] / "contract"))

from adapter_contract import Contract, LightStart
from MedCNNLib.volumes import image_from_node, node_from_image


class Scene:
    """Volume nodes; their world is RAS mm."""

    modules = (
        "MedCNNLib.client",
        "MedCNNLib.volumes",
        "MedCNNLib.heat",
        "MedCNNLib.charts",
    )

    def __init__(self, scene):
        self.scene = scene

    def show(self, array, affine):
        return cores.add_volume(self.scene, array, affine)

    def sent(self, shown):
        image = image_from_node(shown)
        return image.array, image.affine

    def lay(self, values, shown):
        affine = image_from_node(shown).affine
        return node_from_image(self.scene, values, affine, name="heat", like=shown)

    def grid(self, shown):
        corners = np.vstack([np.zeros(3), np.eye(3)])
        places = np.array([cores.world_of(shown, corner) for corner in corners])
        return shown.GetImageData().GetDimensions(), places

    def hottest(self, heat):
        data = heat.GetImageData()
        values = numpy_support.vtk_to_numpy(data.GetPointData().GetScalars())
        number = int(values.argmax())  # VTK's own order: i runs fastest
        i, j, _ = data.GetDimensions()
        return cores.world_of(heat, (number % i, number // i % j, number // (i * j)))


@pytest.fixture
def adapter(scene):
    return Scene(scene)


class TestScene(Contract):
    pass


class TestStart(LightStart):
    pass
