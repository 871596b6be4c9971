"""DICOMweb services that page, lie, or take results without keeping them."""

import json
import sys
import tempfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pydicom
import pytest
from pydicom.uid import Comprehensive3DSRStorage, ExplicitVRLittleEndian

sys.path.insert(0, str(Path(__file__).parents[1]))

from dicom_cases import make_source, tiny_models

from medcnn.cli.from_archive import FromArchive
from medcnn.errors import ArchiveError
from medcnn.pacs import Spool, web
from medcnn.pacs.fetching import fetch
from medcnn.pacs.web import WebArchive

JSON = {"Content-Type": "application/dicom+json"}
REPORT = "1.2.826.0.1.1"


@contextmanager
def service(answer):
    """Answer each request by (status, headers, body) of its method and address."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.command, self.path))
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, body = answer(self.command, self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - named by the library

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}/dicom-web", asked
    finally:
        http.shutdown()
        http.server_close()


def row(number):
    uids = {"0020000D": "1.2", "0020000E": f"1.3.{number}", "00080018": f"1.4.{number}"}
    return {tag: {"vr": "UI", "Value": [uid]} for tag, uid in uids.items()}


def paged(total, *, at_once=100):
    """A service that gives at most so many rows for one question, as many do."""

    def answer(_, address):
        asked = {key: int(v[0]) for key, v in parse_qs(urlsplit(address).query).items()}
        first = asked.get("offset", 0)
        last = min(total, first + min(at_once, asked.get("limit", at_once)))
        rows = [row(n) for n in range(first, last)]
        headers = JSON | {"Warning": "299 \x1b[2J more"}
        return (200, headers, json.dumps(rows).encode()) if rows else (204, {}, b"")

    return answer


@pytest.mark.parametrize("total", [0, 1, 100, 250])
def test_a_service_that_pages_gives_all_of_a_series(total, capfd):
    with service(paged(total)) as (url, _):
        archive = WebArchive(url)
        assert archive.objects("1.2", "1.3") == [f"1.4.{n}" for n in range(total)]
        assert len(archive.find({}, most=1000)) == total
        assert len(archive.find({}, most=120)) == min(120, total)
    assert capfd.readouterr() == ("", "")  # a service's words are not printed


def test_a_service_that_says_the_same_for_ever_is_asked_twice():
    same = json.dumps([row(1), row(1)]).encode()
    with service(lambda *_: (200, JSON, same)) as (url, asked):
        assert WebArchive(url).objects("1.2", "1.3") == ["1.4.1"]
        assert len(asked) == 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"null", "no DICOMweb"),
        (b"<html>Log in</html>", "no DICOMweb"),
        (b"[" * 100_000, "no DICOMweb"),
        (b"[1, 2]", "no UID"),
        (b'[{"0020000D": "1.2"}]', "no UID"),
        (b'[{"0020000D": {"Value": 5}}]', "no UID"),
    ],
)
def test_what_is_no_answer_is_told_in_words_and_once(body, said):
    with service(lambda *_: (200, JSON, body)) as (url, asked):
        with pytest.raises(ArchiveError, match=said):
            WebArchive(url).find({}, most=10)
        assert len(asked) == 1


def test_a_busy_service_is_left_alone_for_as_long_as_it_asks(monkeypatch):
    pauses = []
    monkeypatch.setattr(web.time, "sleep", pauses.append)
    said = iter(["7", "3600", "soon"])
    busy = lambda *_: (503, {"Retry-After": next(said, "")}, b"")  # noqa: E731
    with service(busy) as (url, _), pytest.raises(ArchiveError, match="503"):
        WebArchive(url).find({}, most=10)
    assert pauses == [7, 60, 4]


@pytest.fixture
def report(tmp_path) -> Path:
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = Comprehensive3DSRStorage
    dataset.SOPInstanceUID = REPORT
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2", "1.3"
    dataset.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    return tmp_path / "report.dcm"


def kept(uid=REPORT):
    item = {"00081155": {"vr": "UI", "Value": [uid]}}
    return json.dumps({"00081199": {"vr": "SQ", "Value": [item]}}).encode()


def failed(reason):
    item = {
        "00081155": {"vr": "UI", "Value": [REPORT]},
        "00081197": {"vr": "US", "Value": [reason]},
    }
    return json.dumps({"00081198": {"vr": "SQ", "Value": [item]}}).encode()


@pytest.mark.parametrize(
    ("status", "headers", "body", "refused", "tried_again"),
    [
        (200, JSON, kept(), "", ""),
        (202, JSON, failed(0x0111), "", ""),  # it has it already
        (409, JSON, failed(0x0111), "", ""),
        (409, JSON, failed(0xA900), "0xA900", ""),
        (202, JSON, failed(0xA700), "", "0xA700"),  # no room now
        (409, JSON, b"<html>", "HTTP 409", ""),
        (200, JSON, kept("1.9"), "", "does not say"),
        (200, {"Content-Type": "text/html"}, b"<html>Log in", "", "does not say"),
        (200, {}, b"", "", "does not say"),
        (200, JSON, b"[]", "no DICOMweb", ""),
        (200, {"Content-Type": "application/dicom+xml"}, b"<a", "no DICOMweb", ""),
        (413, {}, b"", "HTTP 413", ""),
    ],
)
def test_a_result_is_sent_when_the_archive_says_that_it_has_it(
    report, status, headers, body, refused, tried_again
):
    def answer(method, _):
        return (status, headers, body) if method == "POST" else (204, {}, b"")

    with service(answer) as (url, _):
        sent = WebArchive(url).deliver([report])

    assert refused in "".join(sent.refused)
    assert bool(sent.refused) == bool(refused)
    assert tried_again in sent.failed
    assert bool(sent.failed) == bool(tried_again)


def test_an_archive_that_keeps_results_without_a_word_is_asked_for_them(report):
    found = json.dumps([{"00080018": {"vr": "UI", "Value": [REPORT]}}]).encode()

    def answer(method, _):
        return (200, {}, b"") if method == "POST" else (200, JSON, found)

    with service(answer) as (url, asked):
        sent = WebArchive(url).deliver([report])
    assert (sent.refused, sent.failed) == ((), "")
    assert any("/studies/1.2/series/1.3/instances" in path for _, path in asked)


def film_of(day, folder):
    """A radiograph whose series is named by a day."""
    film = pydicom.dcmread(make_source("cr", folder / str(day)))
    film.StudyInstanceUID, film.SeriesInstanceUID = "1.2", f"1.3.{day}"
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = f"1.4.{day}"
    film.save_as(folder / f"{day}.dcm", enforce_file_format=True)
    return (folder / f"{day}.dcm").read_bytes()


def test_each_night_may_fetch_into_the_same_folder(tmp_path):
    films = {day: film_of(day, tmp_path) for day in range(4)}
    kind = {"Content-Type": "multipart/related; boundary=b"}

    def answer(_, address):
        asked = urlsplit(address)
        if "/instances/" in asked.path:
            data = films[int(asked.path[-1])]
            return 200, kind, b"--b\r\n\r\n" + data + b"\r\n--b--"
        night = parse_qs(asked.query).get("StudyID", [asked.path.split(".")[-1][0]])
        found = [] if "offset=1" in asked.query else [row(night[0])]
        return 200, JSON, json.dumps(found).encode()

    with service(answer) as (url, _):
        for night in films:
            query = f"StudyID={night}"
            from_archive = FromArchive(
                f"dicomweb+{url}", query, tmp_path / "run", most=1, quiet=True
            )
            folder = from_archive.fetched()
            assert len(list(folder.rglob("*.dcm"))) == night + 1


def test_an_object_that_the_disk_does_not_take_is_told_and_the_others_come(
    tmp_path, monkeypatch
):
    film = film_of(0, tmp_path)
    kind = {"Content-Type": "multipart/related; boundary=b"}

    def answer(_, address):
        asked = urlsplit(address)
        if "/instances/" in asked.path:
            return 200, kind, b"--b\r\n\r\n" + film + b"\r\n--b--"
        found = [] if "offset=1" in asked.query else [row("0")]
        return 200, JSON, json.dumps(found).encode()

    with service(answer) as (url, _):
        archive, spool = WebArchive(url), Spool(tmp_path / "spool")
        with monkeypatch.context() as full:
            full.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
            had = fetch(archive, {}, spool)
        assert (had.objects, len(had.problems)) == (0, 1)
        assert f"{tmp_path / 'gone'} cannot be written" in had.problems[0]
        assert fetch(archive, {}, spool).objects == 1


def test_no_result_of_half_a_series_goes_to_the_archive(tmp_path):
    folder = make_source("ct", tmp_path / "ct")
    model = str(tiny_models(tmp_path / "models")[3].bundle.path)
    slices = {
        str(pydicom.dcmread(path).SOPInstanceUID): path.read_bytes()
        for path in folder.iterdir()
    }
    first = pydicom.dcmread(folder / "000.dcm")
    study, series = str(first.StudyInstanceUID), str(first.SeriesInstanceUID)
    gone, stored = {max(slices)}, []

    def answer(method, address):
        if method == "POST":
            stored.append(address)
            return 200, {}, b""
        uid = urlsplit(address).path.split("/")[-1]
        if uid in slices:
            head = {"Content-Type": "multipart/related; boundary=b"}
            body = b"--b\r\n\r\n" + slices[uid] + b"\r\n--b--"
            return (404, {}, b"") if uid in gone else (200, head, body)
        uids = sorted(slices) if uid == "instances" else ["1.1"]
        parts = {"0020000D": study, "0020000E": series}
        rows = [
            {
                tag: {"Value": [value]}
                for tag, value in (parts | {"00080018": one}).items()
            }
            for one in uids
        ]
        return 200, JSON, json.dumps(rows if "offset=0" in address else []).encode()

    with service(answer) as (url, _):
        archive = FromArchive(
            f"dicomweb+{url}", "", tmp_path / "run", most=9, quiet=True
        )
        for lost in (1, 0):
            assert len(list(archive.fetched().rglob("*.dcm"))) == len(slices) - lost
            without = archive.send_back(model, engine="auto", device="auto")
            assert without == 1  # held back; the second time the archive keeps nothing
            assert bool(stored) == (not lost)
            gone.clear()
