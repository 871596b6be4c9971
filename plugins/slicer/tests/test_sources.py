"""What of Slicer's DICOM database reaches the worker; the database is a stand-in."""

from pathlib import Path

import cores
import numpy as np
import pytest
import slicer
from MedCNNLib.errors import ViewerError
from MedCNNLib.sources import dicom_facts, image_of, misfit, single_file

FILE = Path(__file__).parents[3] / "sample_data/chest_nodule.dcm"
FILM = {"id": "chest-xray", "name": "chest-xray", "dims": 2, "modalities": ["CR", "DX"]}
VOLUME = {"id": "vessel-3d", "name": "vessel-3d", "dims": 3, "modalities": ["MR"]}


class Database:
    """What slicer.dicomDatabase answers, of two instances."""

    def __init__(self, folder, count, values):
        self.files = {}
        for n in range(count):
            path = folder / f"{n}.dcm"
            path.write_bytes(b"\0" * 128 + b"DICM")
            self.files[f"1.2.{n}"] = str(path)
        self.values = values

    def fileForInstance(self, uid):
        return self.files.get(uid, "")

    def fileValue(self, path, tag):
        assert path in self.files.values()
        return self.values.get(tag, "")


@pytest.fixture
def study(scene, tmp_path, monkeypatch):
    """Make a volume of so many files, with these values in its headers."""

    def make(count, **values):
        tags = {"modality": "0008,0060", "body": "0018,0015", "view": "0018,5101"}
        stored = {tags[name]: value for name, value in values.items()}
        database = Database(tmp_path, count, stored)
        monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
        shape = (4, 5, max(1, count))
        node = cores.add_volume(scene, np.ones(shape), np.eye(4))
        node.SetAttribute("DICOM.instanceUIDs", " ".join(database.files))
        return node

    return make


def test_facts_of_the_header_go_along_and_empty_ones_do_not(study):
    node = study(3, modality="CT", body="CHEST", view="")
    assert dicom_facts(node) == ("CT", {"body_part": "CHEST"})
    image = image_of(node)
    assert (image.modality, image.unit) == ("CT", "HU")
    assert image.name == "volume"  # never what Slicer calls it: that may be a patient


def test_one_slice_of_many_is_asked_for_its_header(study):
    """The panel asks at every tick; a CT has a thousand slices."""
    node = study(40, modality="CT")
    asked = []
    find = slicer.dicomDatabase.fileForInstance
    slicer.dicomDatabase.fileForInstance = lambda uid: asked.append(uid) or find(uid)
    assert misfit(VOLUME, node) == "vessel-3d was made for MR; this is CT."
    assert asked == ["1.2.0"]


def test_a_film_that_was_changed_in_slicer_is_sent_as_it_is_now(scene):
    node = slicer.vtkMRMLScalarVolumeNode()
    scene.AddNode(node)
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(FILE))
    storage.SetSingleFile(1)
    node.SetAndObserveStorageNodeID(storage.GetID())
    assert storage.ReadData(node)
    node.SetName("another name")
    assert single_file(node) == FILE
    node.GetImageData().SetScalarComponentFromDouble(3, 4, 0, 0, 99.0)
    node.GetImageData().Modified()
    assert single_file(node) is None


def test_a_film_s_one_file_is_found(study, tmp_path):
    assert single_file(study(1, modality="DX")) == tmp_path / "0.dcm"


def test_a_series_has_no_one_file(study):
    assert single_file(study(3, modality="CT")) is None


def test_a_file_that_is_gone_is_not_sent(study, tmp_path):
    node = study(1, modality="DX")
    (tmp_path / "0.dcm").unlink()
    assert single_file(node) is None


def test_a_volume_without_a_database_has_no_facts(scene):
    node = cores.add_volume(scene, np.ones((2, 2, 2)), np.eye(4))
    assert dicom_facts(node) == (None, {})


def test_another_modality_is_named_before_anything_is_asked(study):
    node = study(3, modality="CT")
    assert misfit(VOLUME, node) == "vessel-3d was made for MR; this is CT."


def test_pictures_and_volumes_are_told_apart(study):
    film = study(1, modality="DX")
    assert misfit(FILM, film) == ""
    assert misfit(VOLUME, film) == "vessel-3d reads volumes; this is one picture."


def test_nothing_is_said_where_nothing_is_chosen():
    assert misfit(FILM, None) == ""


def test_no_volume_is_told():
    with pytest.raises(ViewerError, match="No volume"):
        image_of(None)
