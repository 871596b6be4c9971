"""The extension's code with a real worker and shipped models: no stand-ins below Qt."""

import os
import signal
import time
from pathlib import Path

import cores
import numpy as np
import pytest
import slicer
from MedCNNLib.client import Worker
from MedCNNLib.findings import add_heatmaps, scale_of
from MedCNNLib.places import peak_ras
from MedCNNLib.session import Session, Task
from MedCNNLib.sources import image_of, single_file
from MedCNNLib.volumes import image_from_node
from test_panel import module  # noqa: F401 - a fixture

SAMPLES = Path(__file__).parents[3] / "sample_data"


@pytest.fixture(scope="module")
def worker(real_python):
    with Worker(real_python, folders=[SAMPLES]) as started:
        yield started


def read(scene, path):
    """Read a file, or one of the samples by name, as Slicer's Add Data does."""
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName("scan")
    scene.AddNode(node)
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(SAMPLES / path))
    storage.SetSingleFile(1)
    scene.AddNode(storage)
    node.SetAndObserveStorageNodeID(storage.GetID())
    assert storage.ReadData(node)
    return node


def test_voxels_from_slicer_give_the_probability_of_the_file(scene, worker):
    node = read(scene, "vessel_aneurysm.nii")
    by_voxels = worker.classify(image_of(node), "vessel-3d")
    by_file = worker.classify(SAMPLES / "vessel_aneurysm.nii", "vessel-3d")
    assert by_voxels.probabilities == pytest.approx(by_file.probabilities, abs=1e-4)


def test_a_heatmap_lies_on_the_volume_and_its_peak_where_the_worker_says(scene, worker):
    node = read(scene, "vessel_aneurysm.nii")
    result = worker.classify(image_of(node), "vessel-3d", labels=["all"])
    heats = add_heatmaps(node, result, opacity=0.5)
    assert set(heats) == set(result.heatmaps)
    heat = heats[result.label]
    assert slicer.vtkSlicerVolumesLogic().CompareVolumeGeometry(node, heat) == ""
    told = result.heatmaps[result.label]
    assert np.linalg.norm(np.subtract(peak_ras(heat), told.peak_ras)) <= 0.5
    assert scale_of(heat).high == pytest.approx(told.window[1])


def test_a_turned_volume_gets_its_heatmap_under_its_transform(scene, worker):
    node = read(scene, "vessel_aneurysm.nii")
    values = image_from_node(node).array
    turned = cores.add_volume(scene, values, np.eye(4), parent=cores.GRIDS["oblique"])
    result = worker.classify(image_of(turned), "vessel-3d")
    heat = add_heatmaps(turned, result, opacity=0.5)[result.label]
    assert heat.GetTransformNodeID() == turned.GetTransformNodeID()
    told = result.heatmaps[result.label].peak_ras
    assert np.linalg.norm(np.subtract(peak_ras(heat), told)) < 1


def test_a_film_is_sent_as_its_file_and_the_heatmap_fits_its_pixels(scene, worker):
    node = read(scene, "chest_nodule.dcm")
    file = single_file(node)
    assert file == SAMPLES / "chest_nodule.dcm"
    sent = worker.upload_file(file)
    result = worker.classify(sent, "chest-xray")
    heat = add_heatmaps(node, result, opacity=0.5)[result.label]
    assert slicer.vtkSlicerVolumesLogic().CompareVolumeGeometry(node, heat) == ""
    pixels = np.asarray(worker.image(sent).ijk(), float)
    seen = image_from_node(node).array
    assert np.corrcoef(pixels.ravel(), seen.ravel())[0, 1] > 0.999


def test_a_volume_of_many_files_is_not_sent_as_one(scene):
    assert single_file(read(scene, "vessel_aneurysm.nii")) is None


def test_a_worker_killed_in_between_is_told_in_words(real_python):
    failed = []
    session = Session(failed.append)
    session.configure(real_python, [str(SAMPLES)])
    pids = []

    def submit(client):
        pids.append(client.pid)
        os.kill(client.pid, signal.SIGKILL)
        return client.submit_classify(SAMPLES / "vessel.nii", "vessel-3d")

    session.run(Task("", submit, lambda _: failed.append("done")))
    until = time.monotonic() + 150
    while session.is_busy and time.monotonic() < until:
        session.step()
        time.sleep(0.02)
    session.close()
    assert len(failed) == 1
    assert "worker" in failed[0]
    assert "again" in failed[0].lower()


def test_the_self_test_that_users_run_inside_slicer(scene, module, real_python, capsys):  # noqa: F811
    os.environ["MEDCNN_PYTHON"] = real_python
    slicer.util.updateVolumeFromArray = _update
    scene.AddNewNodeByClass  # noqa: B018 - what the self test uses is there
    module.MedCNNTest().runTest()
    assert "not tested" not in capsys.readouterr().out


def _update(node, kji):
    """What slicer.util does, which wants the application's scene."""
    made = cores.add_volume(slicer.mrmlScene, kji.transpose(2, 1, 0), np.eye(4))
    node.SetAndObserveImageData(made.GetImageData())
    slicer.mrmlScene.RemoveNode(made)
