"""DICOMweb against a real Orthanc, and against servers that are up to no good."""

import csv
import json
import re
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pydicom
import pytest
import requests
from dicomweb_client import DICOMwebClient

sys.path.insert(0, str(Path(__file__).parents[1]))

from dicom_cases import explained, probabilities_of, tiny_models
from orthancs import Orthanc
from test_pacs import (
    _sockets_that_pynetdicom_leaves,  # noqa: F401 - used by every test
    films,
)

from medcnn.dicom_out import save_result
from medcnn.errors import ArchiveError
from medcnn.pacs import Spool
from medcnn.pacs.fetching import fetch
from medcnn.pacs.web import WebArchive, base_url, parse_query

pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    archive = Orthanc(tmp_path_factory.mktemp("orthanc") / "a").start()
    yield archive
    archive.kill()


@pytest.mark.slow
def test_screened_from_an_archive_and_sent_back(orthanc, medcnn, tmp_path):
    model = tiny_models(tmp_path / "models")[2]
    paths = films(tmp_path / "films", 3)
    client = DICOMwebClient(f"{orthanc.url}/dicom-web")
    client.store_instances([pydicom.dcmread(path) for path in paths])
    words = [
        "screen", "--from", f"dicomweb+{orthanc.url}/dicom-web", "--query",
        "Modality=CR", "-o", tmp_path / "out", "--model", model.bundle.path,
        "--send-back", "-q",
    ]  # fmt: skip

    done = medcnn(*words)

    assert done.returncode == 0, done.stderr
    with (tmp_path / "out" / "worklist.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    assert len(orthanc.find(Modality="SR")) == 3
    medcnn(*words)  # again: nothing new
    assert len(orthanc.find(Modality="SR")) == 3
    study = pydicom.dcmread(paths[0]).StudyInstanceUID
    (series,) = client.search_for_series(study, search_filters={"Modality": "SR"})
    uid = series["0020000E"]["Value"][0]
    (report,) = client.retrieve_series(study, uid)
    expected = explained(model, paths[0], kinds=["sr"]).case.prediction
    assert probabilities_of(report) == pytest.approx(expected.probabilities, abs=1e-6)


def vanishing(orthanc, level):
    """An archive in which something is deleted between its list and its objects."""

    class Vanishing(WebArchive):
        gone = False

        def find(self, *words, **options):
            found = super().find(*words, **options)
            if level == "series":
                self.delete("/series", found[0][1])
            return found

        def objects(self, *uids):
            found = super().objects(*uids)
            if level == "object" and not self.gone:
                self.gone = True
                self.delete("/instances", found[0])
            return found

        def delete(self, where, uid):
            ids = requests.post(f"{orthanc.url}/tools/lookup", uid, timeout=30).json()
            requests.delete(f"{orthanc.url}{where}/{ids[0]['ID']}", timeout=30)

    return Vanishing(f"{orthanc.url}/dicom-web")


@pytest.mark.slow
@pytest.mark.parametrize("level", ["series", "object"])
def test_what_vanishes_is_told_and_the_rest_is_fetched(orthanc, tmp_path, level):
    client = DICOMwebClient(f"{orthanc.url}/dicom-web")
    paths = films(tmp_path / "films", 3)
    patient = f"vanishing-{level}"
    for path in paths:
        film = pydicom.dcmread(path)
        film.PatientID = patient
        client.store_instances([film])
    spool = Spool(tmp_path / "spool")
    found = fetch(vanishing(orthanc, level), {"PatientID": patient}, spool)

    assert found.series == 3
    assert found.objects == 2
    (problem,) = found.problems
    assert "series 1" in problem
    assert len(spool.entries()) == 2
    assert len(list(spool.folder.rglob("*.dcm"))) == 2


@pytest.fixture
def results(tmp_path):
    """The results of a film, as files."""
    model = tiny_models(tmp_path / "models")[2]
    (path,) = films(tmp_path / "films", 1)
    files = []
    for (kind, _), result in explained(model, path, kinds=("sr", "sc")).results.items():
        files.append(tmp_path / f"{kind}{len(files)}.dcm")
        save_result(result, files[-1])
    return files


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        (409, 0x0124, "refused with reason 0x0124"),
        (202, 0xA900, "refused with reason 0xA900"),
        (409, None, "HTTP 409"),
        (400, None, "HTTP 400"),
    ],
)
def test_results_that_an_archive_refuses_are_told_one_by_one(
    results, status, reason, said
):
    failed = {"00081197": {"vr": "US", "Value": [reason]}}
    body = {"00081198": {"vr": "SQ", "Value": [failed]}} if reason else {}
    headers = {"Content-Type": "application/dicom+json"}
    with server(status, json.dumps(body).encode(), **headers) as (url, asked):
        sent = WebArchive(url).deliver(results)
    assert not sent.failed
    assert len(asked) == len(results)
    assert len(sent.refused) == len(results)
    assert all(re.search(said, one) for one in sent.refused)


def test_results_are_stored_again_where_that_helps(results, monkeypatch):
    monkeypatch.setattr("medcnn.pacs.web._FIRST_WAIT_S", 0.01)
    full = {"00081197": {"vr": "US", "Value": [0xA700]}}
    body = json.dumps({"00081198": {"vr": "SQ", "Value": [full]}}).encode()
    with server(202, body, **{"Content-Type": "application/dicom+json"}) as (
        url,
        asked,
    ):
        assert "reason 0xA700" in WebArchive(url).deliver(results).failed
        assert len(asked) == 1
    with server(503) as (url, asked):
        sent = WebArchive(url).deliver(results)
    assert "HTTP 503" in sent.failed
    assert len(asked) == 4
    gone = WebArchive(url).deliver(results)
    assert "cannot be reached" in gone.failed


@contextmanager
def server(status, body=b"", **headers):
    """Answer every GET and POST alike, and count them."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}/dicom-web", asked
    finally:
        http.shutdown()
        http.server_close()


def test_a_redirect_is_not_followed():
    with (
        server(200, b"[]") as (other, asked),
        server(302, Location=other) as (url, _),
        pytest.raises(ArchiveError, match="redirect"),
    ):
        WebArchive(url).find({}, most=1)
    assert asked == []


@pytest.mark.parametrize(
    ("status", "said", "times"),
    [(401, "refuses this login", 1), (404, "does not have it", 1), (503, "503", 4)],
)
def test_what_a_server_says_is_told(monkeypatch, status, said, times):
    monkeypatch.setattr("medcnn.pacs.web._FIRST_WAIT_S", 0.01)
    with server(status) as (url, asked):
        with pytest.raises(ArchiveError, match=said):
            WebArchive(url).find({}, most=1)
        assert len(asked) == times


def test_a_server_that_is_away_is_told(monkeypatch):
    monkeypatch.setattr("medcnn.pacs.web._FIRST_WAIT_S", 0.01)
    with server(200) as (url, _):
        pass
    with pytest.raises(ArchiveError, match="cannot be reached"):
        WebArchive(url).find({}, most=1)


def test_uids_of_a_hostile_server_reach_no_address():
    evil = {"0020000D": {"Value": ["../../../etc"]}, "0020000E": {"Value": ["1.2"]}}
    headers = {"Content-Type": "application/dicom+json"}
    with server(200, json.dumps([evil]).encode(), **headers) as (url, asked):
        with pytest.raises(ArchiveError, match="no UID"):
            WebArchive(url).find({}, most=1)
        assert len(asked) == 1


def test_an_address_that_an_answer_names_is_never_opened():
    with server(200, b"secret") as (elsewhere, asked_elsewhere):
        found = {
            "0020000D": {"vr": "UI", "Value": ["1.2"]},
            "0020000E": {"vr": "UI", "Value": ["1.3"]},
            "00080018": {"vr": "UI", "Value": ["1.4"]},
            "00081190": {"vr": "UR", "Value": [elsewhere]},
            "7FE00010": {"vr": "OW", "BulkDataURI": elsewhere},
            "00091010": {"vr": "UN", "BulkDataURI": "file:///etc/passwd"},
        }
        headers = {"Content-Type": "application/dicom+json"}
        with server(200, json.dumps([found]).encode(), **headers) as (url, asked):
            archive = WebArchive(url)
            assert archive.find({}, most=1) == [("1.2", "1.3")]
            assert archive.objects("1.2", "1.3") == ["1.4"]
            assert {urlsplit(path).path for path in asked} == {
                "/dicom-web/series",
                "/dicom-web/studies/1.2/series/1.3/instances",
            }
        assert asked_elsewhere == []


def test_a_list_without_end_is_cut_off(monkeypatch):
    monkeypatch.setattr("medcnn.pacs.web._LIST_BYTES", 1000)
    headers = {"Content-Type": "application/dicom+json"}
    with (
        server(200, b"[" + b" " * 5000 + b"]", **headers) as (url, _),
        pytest.raises(ArchiveError, match="more than 1000 bytes"),
    ):
        WebArchive(url).find({}, most=1)


PART = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
KIND = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}


@pytest.mark.parametrize(
    ("body", "headers", "said"),
    [
        (PART + b"DATA", KIND, "cut off"),
        (b"nothing", KIND, "cut off"),
        (b"{}", {"Content-Type": "application/json"}, "no multipart"),
        (PART + b"x" * 5000 + b"\r\n--b--", KIND, "larger than"),
    ],
)
def test_broken_objects_are_refused(body, headers, said):
    with server(200, body, **headers) as (url, _):
        archive = WebArchive(url, most_bytes=2000)
        with (
            pytest.raises(ArchiveError, match=said),
            archive.fetched("1.2", "1.3", "1.4"),
        ):
            pass


def test_the_part_is_what_is_between_the_boundaries():
    data = bytes(range(256)) * 9000  # more than a chunk
    with server(200, PART + data + b"\r\n--b--\r\n", **KIND) as (url, asked):
        with WebArchive(url).fetched("1.2", "1.3", "1.4") as file:
            assert file.read_bytes() == data
        assert not file.exists()
        assert asked == ["/dicom-web/studies/1.2/series/1.3/instances/1.4"]


def test_only_the_named_service_is_asked():
    session = WebArchive("https://example.org/dicom-web")._session
    for url in (
        "file:///etc/passwd",
        "http://169.254.169.254/",
        "https://example.org/",
    ):
        with pytest.raises(ArchiveError, match="outside the archive"):
            session.get(url)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://example.org/dicom-web", "no DICOMweb service"),
        ("dicomweb+ftp://example.org/", "no DICOMweb service"),
        ("dicomweb+http://example.org/dicom-web", "plain HTTP is refused"),
        ("dicomweb+https://user:word@example.org/", "user or password"),
    ],
)
def test_addresses_that_are_refused(address, said):
    with pytest.raises(ArchiveError, match=said):
        base_url(address)


def test_addresses_and_queries_that_are_taken():
    assert base_url("dicomweb+https://a.org:8/x/") == "https://a.org:8/x"
    assert base_url("dicomweb+http://127.0.0.1/x") == "http://127.0.0.1/x"
    assert parse_query("Modality=CR&StudyDate=2025-") == {
        "Modality": "CR",
        "StudyDate": "2025-",
    }
    for wrong in ("Modality", "a b=1", "=1"):
        with pytest.raises(ArchiveError, match="no query"):
            parse_query(wrong)


def test_a_login_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("MEDCNN_DICOMWEB_USER", "u")
    with pytest.raises(ArchiveError, match="is missing"):
        WebArchive("https://example.org/x")
    monkeypatch.setenv("MEDCNN_DICOMWEB_PASSWORD", "p")
    prepared = requests.Request("GET", "https://example.org/x").prepare()
    WebArchive("https://example.org/x")._session.auth(prepared)
    assert prepared.headers["Authorization"].startswith("Basic ")
    monkeypatch.setenv("MEDCNN_DICOMWEB_TOKEN", "t")
    WebArchive("https://example.org/x")._session.auth(prepared)
    assert prepared.headers["Authorization"] == "Bearer t"


def test_files_or_an_archive_are_named(medcnn, tmp_path):
    for words in ([], ["a", "--from", "dicomweb+https://a.org"], ["a", "--send-back"]):
        assert medcnn("screen", *words, "-o", tmp_path).returncode == 2
