"""Series that make several images, or none: each image has its own results."""

import shutil
import sqlite3
import time
from copy import deepcopy

import numpy as np
import pydicom
import pytest
from dicom_cases import items, make_source, tiny_models
from dicoms import series
from pydicom.uid import generate_uid

from medcnn.dicom_out import read_source
from medcnn.errors import DataError, OutputError
from medcnn.isolation import SafeReader
from medcnn.pacs import Spool, State, Station
from medcnn.pacs.sending import Sent
from medcnn.pacs.station import Settings


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return tiny_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def reader():
    with SafeReader() as reader:
        yield reader


def screened(slices, folder, model, reader):
    """Put slices into a spool, in this order, and work it off."""
    spool = Spool(folder / "spool")
    for number, dataset in enumerate(slices):
        path = folder / f"{number}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        whose = dataset.PatientID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID
        spool.keep(whose, dataset.SOPInstanceUID, path)
    station = Station(spool, model, reader, settings=Settings(None, 0.0))
    while station.step():
        pass
    (entry,) = spool.entries()
    found = spool.results(entry.key).glob("*.sr.dcm")
    return entry, [pydicom.dcmread(path) for path in found]


def copy(dataset, **attributes):
    """Another object of the same series."""
    other = deepcopy(dataset)
    other.SOPInstanceUID = generate_uid()
    other.file_meta.MediaStorageSOPInstanceUID = other.SOPInstanceUID
    for keyword, value in attributes.items():
        setattr(other, keyword, value)
    return other


def evidence(report):
    """The objects that a report is of."""
    return {
        str(image.ReferencedSOPInstanceUID)
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for one in study.ReferencedSeriesSequence
        for image in one.ReferencedSOPSequence
    }


def uids(slices):
    return {str(dataset.SOPInstanceUID) for dataset in slices}


@pytest.mark.parametrize("has_place", [True, False])
def test_a_scout_in_a_series_does_not_cost_the_volume_its_results(
    models, reader, tmp_path, has_place
):
    slices = series()
    scout = copy(slices[0], ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    if not has_place:
        del scout.ImagePositionPatient, scout.ImageOrientationPatient

    entry, reports = screened([scout, *slices], tmp_path, models[3], reader)

    assert entry.state is State.DONE
    assert [evidence(report) for report in reports] == [uids(slices)]
    assert "this is 2-D" in entry.words


def test_each_acquisition_of_a_series_has_results_of_its_own(models, reader, tmp_path):
    first = [copy(one, AcquisitionNumber=1) for one in series()]
    second = [copy(one, AcquisitionNumber=2) for one in first]
    for one in second:
        pixels = np.frombuffer(one.PixelData, "<u2")[::-1]
        one.PixelData = pixels.tobytes()

    entry, reports = screened([*first, *second], tmp_path, models[3], reader)

    assert entry.state is State.DONE
    found = sorted(map(sorted, map(evidence, reports)))
    assert found == sorted(map(sorted, (uids(first), uids(second))))
    for report in reports:
        for image in items(report, "IMAGE"):
            (reference,) = image.ReferencedSOPSequence
            assert str(reference.ReferencedSOPInstanceUID) in evidence(report)


def test_a_picture_without_results_costs_the_others_nothing(
    models, reader, tmp_path, monkeypatch
):
    first = pydicom.dcmread(make_source("cr", tmp_path / "films"))
    other = copy(first)
    asked = []

    def refuses_the_first(*arguments, **options):
        asked.append(arguments)
        if len(asked) == 1:
            msg = "nobody can make it"
            raise DataError(msg)
        return read_source(*arguments, **options)

    monkeypatch.setattr("medcnn.pacs.station.read_source", refuses_the_first)
    entry, reports = screened([first, other], tmp_path, models[2], reader)

    assert entry.state is State.DONE
    assert "nobody can make it" in entry.words
    assert len(reports) == 1


@pytest.mark.parametrize("moved_s", [-86400.0, 86400.0])
def test_a_clock_that_is_set_back_or_forth_stops_nothing(
    tmp_path, monkeypatch, moved_s
):
    path = make_source("cr", tmp_path / "films")
    spool = Spool(tmp_path / "spool")
    spool.keep(("first",), "1.2", path)
    spool.keep(("second",), "1.3", path)
    assert spool.waiting(30) == []
    first, second = spool.waiting(0)
    spool.settle(second, State.MADE)
    spool.postpone(second, "the peer is away")
    assert spool.waiting(30) == []

    now = time.time()
    monkeypatch.setattr("medcnn.pacs.spool.time.time", lambda: now + moved_s)

    assert {one.key for one in spool.waiting(30)} == {first.key, second.key}
    spool.keep(("third",), "1.4", path)
    assert len(spool.waiting(30)) == 2  # what comes now still has its time


def empty(path):
    path.write_bytes(b"")


class Deliveries:
    """A destination that keeps in mind what it got."""

    def __init__(self):
        self.names = []

    def deliver(self, files):
        self.names.append([file.name for file in files])
        return Sent()


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), empty])
def test_results_that_a_disk_lost_are_made_again(models, reader, tmp_path, damage):
    path = make_source("cr", tmp_path / "films")
    spool = Spool(tmp_path / "spool")
    spool.keep(("one",), "1.2", path)
    to = Deliveries()
    station = Station(spool, models[2], reader, settings=Settings(to, 0.0))
    station.step()
    (entry,) = spool.entries()
    assert entry.state is State.MADE
    whole = sorted(file.name for file in spool.results(entry.key).iterdir())

    for file in spool.results(entry.key).iterdir():
        damage(file)
    while station.step():
        pass

    assert to.names == [whole]
    assert spool.entries()[0].state is State.DONE


@pytest.mark.parametrize(("free", "said"), [(0, "the disk is full"), (1 << 30, "I/O")])
def test_a_disk_without_room_is_called_full(tmp_path, monkeypatch, free, said):
    spool = Spool(tmp_path / "spool")
    usage = shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr("medcnn.database.shutil.disk_usage", lambda _: usage)

    def fail(*_, **__):
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    monkeypatch.setattr("medcnn.database.sqlite3.connect", fail)
    with pytest.raises(OutputError, match=said):
        spool.entries()


def test_files_that_were_never_acknowledged_go_when_they_are_old(tmp_path):
    path = make_source("cr", tmp_path / "films")
    spool = Spool(tmp_path / "spool")
    spool.keep(("one",), "1.2", path)
    left = spool.received("f" * 40)
    left.mkdir()
    (left / "object.dcm").write_bytes(b"of somebody")

    spool.forget(3600)
    assert left.exists()
    spool.forget(-1)
    assert not left.exists()
    (entry,) = spool.entries()  # is not finished
    assert spool.received(entry.key).is_dir()
