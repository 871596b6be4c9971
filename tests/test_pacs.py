"""The listener with dcmtk's programs and pynetdicom's on the other side."""

import gc
import logging
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from dicom_cases import explained, make_source, tiny_models
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import ComputedRadiographyImageStorage, Verification

from medcnn.errors import DataError
from medcnn.io.dicom.parse import quiet
from medcnn.isolation import SafeReader
from medcnn.pacs import Listener, Spool, State, Station, parse_allowed, parse_peer
from medcnn.pacs.peers import (
    Allowed,
    check_exposure,
    client_tls,
    is_loopback,
    server_tls,
)
from medcnn.pacs.sending import send
from medcnn.pacs.spool import FullError, name_by_hash
from medcnn.pacs.station import PeerDestination, Settings

# pynetdicom leaves sockets to the garbage collector when a connection is refused
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(autouse=True)
def _sockets_that_pynetdicom_leaves():
    """Collect them while the filter above holds; its log would keep them."""
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
    yield
    gc.collect()


SENDER = (Allowed("SENDER", None),)
RESULTS = ("1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.7")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return tiny_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def reader():
    with SafeReader() as reader:
        yield reader


def films(folder, count=3):
    """Write radiographs of different studies."""
    first = pydicom.dcmread(make_source("cr", folder))
    paths = []
    for number in range(count):
        first.StudyInstanceUID, first.SeriesInstanceUID = generate_uid(), generate_uid()
        first.SOPInstanceUID = generate_uid()
        first.file_meta.MediaStorageSOPInstanceUID = first.SOPInstanceUID
        first.PatientID = f"p{number}"
        paths.append(folder / f"{number}.dcm")
        first.save_as(paths[-1])
    (folder / "film.dcm").unlink()
    return paths


@contextmanager
def listening(folder, **options):
    spool = Spool(folder, most_waiting=options.pop("most_waiting", 100))
    settings = {"title": "MEDCNN", "address": ("127.0.0.1", 0), "allowed": SENDER}
    with Listener(spool, **(settings | options)) as listener:
        yield spool, listener


@contextmanager
def archive(*, status=0x0000, classes=RESULTS):
    """A peer that keeps what it gets in memory."""
    kept = []

    def store(event):
        kept.append(event.dataset)
        return status

    entity = AE("ARCHIVE")
    for sop_class in classes:
        entity.add_supported_context(sop_class)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    try:
        yield kept, server.server_address[1]
    finally:
        server.shutdown()


def storescu(tool, port, *files, title="SENDER", called="MEDCNN"):
    command = [
        tool("storescu", "dcmtk"),
        "-R",
        "-aet",
        title,
        "-aec",
        called,
        "127.0.0.1",
    ]
    return subprocess.run(
        [*command, str(port), *map(str, files)], check=False, capture_output=True
    ).returncode


def work_off(station):
    while station.step():
        pass


def station_of(spool, model, reader, port=None, **settings):
    to = None
    if port is not None:
        to = PeerDestination(parse_peer(f"ARCHIVE@127.0.0.1:{port}"), "MEDCNN")
    return Station(spool, model, reader, settings=Settings(to, 0.0, **settings))


def test_what_is_sent_is_screened_and_the_peer_gets_results(
    models, reader, tool, tmp_path
):
    paths = films(tmp_path / "films")
    with listening(tmp_path / "spool") as (spool, listener), archive() as (kept, port):
        assert storescu(tool, listener.port, *paths) == 0
        work_off(station_of(spool, models[2], reader, port))

    sources = [pydicom.dcmread(path) for path in paths]
    reports = [kept_one for kept_one in kept if kept_one.Modality == "SR"]
    assert {r.StudyInstanceUID for r in reports} == {
        s.StudyInstanceUID for s in sources
    }
    assert len(reports) == len(sources)
    assert {r.PatientID for r in reports} == {"p0", "p1", "p2"}
    assert {entry.state for entry in spool.entries()} == {State.DONE}
    pictures = {str(one.SOPInstanceUID) for one in kept if one.Modality != "SR"}
    alone = explained(models[2], paths[0], kinds=["sc"]).results["sc", "abnormal"]
    assert str(alone.dataset.SOPInstanceUID) in pictures


def test_what_was_acknowledged_is_on_disk_as_it_was_sent(tool, tmp_path):
    (path,) = films(tmp_path / "films", 1)
    with listening(tmp_path / "spool") as (_, listener):
        assert storescu(tool, listener.port, path) == 0
        (kept,) = (tmp_path / "spool" / "received").rglob("*.dcm")

    sent, got = pydicom.dcmread(path), pydicom.dcmread(kept)
    assert got.PixelData == sent.PixelData
    assert got.SOPInstanceUID == sent.SOPInstanceUID
    assert sent.SOPInstanceUID not in str(kept)
    assert kept.stem == name_by_hash(sent.SOPInstanceUID)


def test_the_same_object_again_has_the_same_results(models, reader, tool, tmp_path):
    (path,) = films(tmp_path / "films", 1)
    with listening(tmp_path / "spool") as (spool, listener), archive() as (kept, port):
        station = station_of(spool, models[2], reader, port)
        for _ in range(2):
            assert storescu(tool, listener.port, path) == 0
            work_off(station)
        (entry,) = spool.entries()
        spool.again(entry.key)
        work_off(station)
    reports = [one.SOPInstanceUID for one in kept if one.Modality == "SR"]
    assert len(reports) == 3
    assert len(set(reports)) == 1


def test_own_results_are_never_screened(models, reader, tool, tmp_path):
    (path,) = films(tmp_path / "films", 1)
    with listening(tmp_path / "spool") as (spool, listener):
        storescu(tool, listener.port, path)
        work_off(station_of(spool, models[2], reader))
        (entry,) = spool.entries()
        own = sorted(spool.results(entry.key).glob("*.dcm"))
        assert len(own) == 2
        assert storescu(tool, listener.port, *own) == 0
        assert [one.key for one in spool.entries()] == [entry.key]


@pytest.mark.parametrize(("title", "called"), [("OTHER", "MEDCNN"), ("SENDER", "X")])
def test_other_titles_are_refused(tool, tmp_path, title, called):
    (path,) = films(tmp_path / "films", 1)
    with listening(tmp_path / "spool") as (spool, listener):
        assert storescu(tool, listener.port, path, title=title, called=called) != 0
        assert spool.entries() == []


def test_an_allowed_title_from_another_address_is_refused(tool, tmp_path):
    (path,) = films(tmp_path / "films", 1)
    allowed = (parse_allowed("SENDER@192.0.2.7"),)
    with listening(tmp_path / "spool", allowed=allowed) as (spool, listener):
        assert storescu(tool, listener.port, path) != 0
        assert spool.entries() == []


def test_a_full_queue_refuses_and_keeps_nothing(tool, tmp_path):
    paths = films(tmp_path / "films", 2)
    with listening(tmp_path / "spool", most_waiting=1) as (spool, listener):
        assert storescu(tool, listener.port, paths[0]) == 0
        assert storescu(tool, listener.port, paths[1]) != 0
        assert len(list((tmp_path / "spool" / "received").rglob("*.dcm"))) == 1
    with pytest.raises(FullError, match="wait already"):
        spool.keep(("another",), "1.2", paths[1])


def test_a_full_disk_refuses(tool, tmp_path, monkeypatch):
    (path,) = films(tmp_path / "films", 1)
    usage = shutil.disk_usage(tmp_path)._replace(free=1)
    with listening(tmp_path / "spool") as (spool, listener):
        monkeypatch.setattr("medcnn.pacs.spool.shutil.disk_usage", lambda _: usage)
        assert storescu(tool, listener.port, path) != 0
        with pytest.raises(FullError, match="nearly full"):
            spool.keep(("another",), "1.2", path)


def associate(port, *classes):
    entity = AE("SENDER")
    for sop_class in classes:
        entity.add_requested_context(sop_class)
    return entity.associate("127.0.0.1", port, ae_title="MEDCNN")


def test_uids_with_path_parts_stay_in_the_spool(tmp_path):
    film = pydicom.dcmread(films(tmp_path / "films", 1)[0])
    with quiet():
        film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = "../../x"
        film.SeriesInstanceUID = "../../../etc"
    with quiet(), listening(tmp_path / "spool") as (_, listener):
        link = associate(listener.port, ComputedRadiographyImageStorage, Verification)
        assert link.send_c_echo().Status == 0
        link.send_c_store(film)
        link.release()
        outside = {p for p in tmp_path.rglob("*") if p.is_file()}
        inside = {p for p in outside if p.is_relative_to(tmp_path / "spool")}
        assert {p.name for p in outside - inside} == {"0.dcm"}
        assert all(".." not in str(p) and "etc" not in p.name for p in inside)


def test_an_object_that_is_another_than_announced_is_refused(tmp_path):
    (path,) = films(tmp_path / "films", 1)
    noise = tmp_path / "noise"
    noise.write_bytes(bytes(range(256)) * 40)
    told = SimpleNamespace(AffectedSOPInstanceUID="1.2.3")
    with listening(tmp_path / "spool") as (spool, listener):
        for file, statuses in ((path, {0xA900}), (noise, {0xA900, 0xC000})):
            event = SimpleNamespace(assoc=None, dataset_path=file, request=told)
            assert listener._store(event) in statuses
        gone = SimpleNamespace(assoc=None, dataset_path=tmp_path / "no", request=told)
        assert listener._store(gone) == 0xC000
        assert spool.entries() == []


def test_an_object_that_never_ends_is_cut_off(tmp_path, monkeypatch):
    film = pydicom.dcmread(films(tmp_path / "films", 1)[0])
    film.PixelData = np.zeros(1 << 22, np.uint8).tobytes()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with listening(tmp_path / "spool", most_bytes=1 << 20) as (spool, listener):
        link = associate(listener.port, ComputedRadiographyImageStorage)
        link.dimse_timeout = 60
        assert "Status" not in link.send_c_store(film)
        assert spool.entries() == []
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("status", [0x0000, 0x0111, 0x0107, 0xB000])
def test_a_peer_that_has_it_already_or_warns_is_fine(
    models, reader, tool, tmp_path, status
):
    (path,) = films(tmp_path / "films", 1)
    with listening(tmp_path / "spool") as (spool, listener):
        storescu(tool, listener.port, path)
        with archive(status=status) as (_, port):
            work_off(station_of(spool, models[2], reader, port))
        assert [one.state for one in spool.entries()] == [State.DONE]


def test_a_peer_that_is_away_or_busy_is_tried_again(models, reader, tool, tmp_path):
    (path,) = films(tmp_path / "films", 1)
    with listening(tmp_path / "spool") as (spool, listener):
        storescu(tool, listener.port, path)
        with archive(status=0xA700) as (_, port):
            work_off(station_of(spool, models[2], reader, port))
        (entry,) = spool.entries()
        assert (entry.state, entry.tries) == (State.MADE, 1)
        assert "0xA700" in entry.words
        files = sorted(spool.results(entry.key).glob("*.dcm"))
        away = send(files, parse_peer(f"ARCHIVE@127.0.0.1:{port}"), title="MEDCNN")
        assert "cannot be reached" in away.failed
        assert spool.postpone(entry, away.failed) > spool.postpone(
            type(entry)(entry.key, entry.state, entry.changed, 0, ""), ""
        )


def test_what_a_peer_refuses_for_good_is_recorded(models, reader, tool, tmp_path):
    (path,) = films(tmp_path / "films", 1)
    with listening(tmp_path / "spool") as (spool, listener):
        storescu(tool, listener.port, path)
        with archive(classes=RESULTS[:1]) as (kept, port):
            work_off(station_of(spool, models[2], reader, port))
        assert [one.Modality for one in kept] == ["SR"]
        (entry,) = spool.entries()
        assert entry.state is State.DONE
        assert "Secondary Capture is refused" in entry.words


def test_a_series_that_the_model_is_not_for_has_no_result(
    models, reader, tool, tmp_path
):
    folder = make_source("ct", tmp_path / "ct")
    with listening(tmp_path / "spool") as (spool, listener):
        assert storescu(tool, listener.port, *sorted(folder.iterdir())) == 0
        work_off(station_of(spool, models[2], reader))
        (entry,) = spool.entries()
        assert entry.state is State.SKIPPED
        assert "2-D" in entry.words


def test_half_a_series_fails_in_words_and_is_whole_when_the_rest_comes(
    models, reader, tool, tmp_path
):
    files = sorted(make_source("ct", tmp_path / "ct").iterdir())
    with listening(tmp_path / "spool") as (spool, listener):
        storescu(tool, listener.port, *files[:2], *files[4:])
        station = station_of(spool, models[3], reader)
        work_off(station)
        (entry,) = spool.entries()
        assert entry.state in {State.FAILED, State.SKIPPED}
        assert entry.words
        storescu(tool, listener.port, *files[2:4])
        work_off(station)
        (entry,) = spool.entries()
        assert entry.state is State.DONE
        assert len(list(spool.results(entry.key).glob("*.sr.dcm"))) == 1


def test_an_image_that_no_result_can_be_made_of_ends_nothing(
    models, reader, tool, tmp_path, monkeypatch
):
    def broken(*_):
        raise ValueError

    paths = films(tmp_path / "films", 2)
    with listening(tmp_path / "spool") as (spool, listener):
        storescu(tool, listener.port, paths[0])
        station = station_of(spool, models[2], reader)
        with monkeypatch.context() as patch:
            patch.setattr("medcnn.dicom_out.results.structured_report", broken)
            work_off(station)
        (entry,) = spool.entries()
        assert entry.state is State.FAILED
        assert "no DICOM result can be made of it (ValueError)" in entry.words
        storescu(tool, listener.port, paths[1])
        work_off(station)
    states = sorted(one.state for one in spool.entries())
    assert states == [State.DONE, State.FAILED]


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "no sender"), ("A\\B", "no sender"), ("A@host", "no sender")],
)
def test_wrong_senders_are_refused(text, said):
    with pytest.raises(DataError, match=said):
        parse_allowed(text)


@pytest.mark.parametrize("text", ["A", "A@b", "A@b:99999", "@b:1", "A@b:0"])
def test_wrong_peers_are_refused(text):
    with pytest.raises(DataError, match="no peer"):
        parse_peer(text)


def test_beyond_loopback_it_needs_tls_or_addresses():
    with pytest.raises(DataError, match="nobody may send"):
        check_exposure("127.0.0.1", (), has_tls=True)
    with pytest.raises(DataError, match="without TLS"):
        check_exposure("0.0.0.0", SENDER, has_tls=False)  # noqa: S104
    check_exposure("0.0.0.0", (Allowed("A", "10.0.0.1"),), has_tls=False)  # noqa: S104
    check_exposure("0.0.0.0", SENDER, has_tls=True)  # noqa: S104
    check_exposure("::1", SENDER, has_tls=False)
    assert not is_loopback("example.org")


def test_a_wrong_certificate_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be used for TLS"):
        server_tls(tmp_path / "no.pem", tmp_path / "no.key", None)


def test_what_is_finished_and_old_is_deleted(models, reader, tool, tmp_path):
    paths = films(tmp_path / "films", 2)
    with listening(tmp_path / "spool") as (spool, listener):
        storescu(tool, listener.port, paths[0])
        work_off(station_of(spool, models[2], reader))
        storescu(tool, listener.port, paths[1])  # not looked at yet

    assert spool.forget(3600) == 0
    assert spool.forget(-1) == 1
    (left,) = spool.entries()
    assert left.state is State.RECEIVING
    assert [p.name for p in (tmp_path / "spool" / "received").iterdir()] == [left.key]
    assert list((tmp_path / "spool" / "results").iterdir()) == []


@pytest.fixture
def certificate(tool, tmp_path):
    """A certificate of localhost and its key."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = [
        tool("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes",
        "-days", "2", "-subj", "/CN=localhost", "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert,
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def test_with_tls_only_who_has_a_certificate_may_send(certificate, tmp_path):
    cert, key = certificate
    film = pydicom.dcmread(films(tmp_path / "films", 1)[0])
    server = server_tls(cert, key, cert)
    with listening(tmp_path / "spool", tls=server) as (spool, listener):
        for tls in (None, client_tls(cert, None, None)):
            assert not associate_by(listener.port, tls).is_established
        link = associate_by(listener.port, client_tls(cert, cert, key))
        assert link.send_c_store(film).Status == 0
        link.release()
        assert len(spool.entries()) == 1


def associate_by(port, tls):
    entity = AE("SENDER")
    entity.acse_timeout = entity.network_timeout = 30
    entity.add_requested_context(ComputedRadiographyImageStorage)
    secured = None if tls is None else (tls, "localhost")
    return entity.associate("127.0.0.1", port, ae_title="MEDCNN", tls_args=secured)
