"""The phantoms that the extension offers in Sample Data: found, whole, readable."""

import hashlib
import sys
import types
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import slicer
from MedCNNLib.client import Worker
from MedCNNLib.samples import SAMPLES
from MedCNNLib.sources import image_of
from test_panel import module  # noqa: F401 - a fixture

TAKEN = {
    "category", "sampleName", "uris", "fileNames", "nodeNames", "customDownloader",
    "thumbnailFileName", "loadFileTypes", "loadFiles", "loadFileProperties",
    "checksums", "loadFileType",
}  # fmt: skip
"""What Slicer's SampleDataLogic takes."""


class SampleDataLogic:
    """A stand-in for Slicer's own: keeps what is registered."""

    registered = []  # noqa: RUF012 - the stand-in's one memory

    @classmethod
    def registerCustomSampleDataSource(cls, **given):
        assert set(given) <= TAKEN
        cls.registered.append(types.SimpleNamespace(**given))


class Application:
    """Tells that Slicer has started, when it is told to."""

    def __init__(self):
        self.slots = []

    def connect(self, signal, slot):
        assert signal == "startupCompleted()"
        self.slots.append(slot)


@pytest.fixture
def offered(module, monkeypatch):  # noqa: F811
    """What is registered once Slicer has started; nothing is before."""
    library = types.ModuleType("SampleData")
    library.SampleDataLogic = SampleDataLogic
    monkeypatch.setitem(sys.modules, "SampleData", library)
    monkeypatch.setattr(SampleDataLogic, "registered", [])
    application = Application()
    monkeypatch.setattr(slicer, "app", application, raising=False)
    module.MedCNN(types.SimpleNamespace())
    assert SampleDataLogic.registered == []
    for slot in application.slots:
        slot()
    return SampleDataLogic.registered


def load(scene, source, folder):
    """Do as Sample Data does: fetch, compare the checksum, load under the name."""
    path = folder / source.fileNames
    urllib.request.urlretrieve(source.uris, path)  # noqa: S310 - a file: address
    algorithm, digest = source.checksums.split(":")
    assert hashlib.new(algorithm, path.read_bytes()).hexdigest() == digest
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName(source.nodeNames)
    scene.AddNode(node)
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    return node


def test_each_phantom_is_offered_once_by_an_address_on_this_machine(offered):
    assert [each.sampleName for each in offered] == [each.name for each in SAMPLES]
    for source in offered:
        assert source.category == "MedCNN"
        assert source.uris.startswith("file:///")
        assert Path(source.thumbnailFileName).is_file()


def test_each_loads_as_sample_data_loads_it(offered, scene, tmp_path):
    loaded = [load(scene, source, tmp_path) for source in offered]
    for node in loaded:
        assert node.GetImageData().GetDimensions() == (28, 28, 28)
        assert node.GetSpacing() == pytest.approx((0.5, 0.5, 0.5))
    assert not np.array_equal(*[image_of(node).array for node in loaded])


def test_the_model_tells_them_apart(offered, scene, tmp_path, real_python):
    with Worker(real_python, device="cpu") as worker:
        ill, healthy = (
            worker.classify(image_of(load(scene, source, tmp_path)), "vessel-3d")
            for source in offered
        )
    assert ill.probabilities["aneurysm"] > 0.5 > healthy.probabilities["aneurysm"]
