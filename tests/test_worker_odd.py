"""The worker and its client, asked by odd names, addresses and programs."""

import asyncio
import contextlib
import http.server
import json
import os
import sys
import threading
import types

import nibabel
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from MedCNNLib.client import Image, Remote, Worker, WorkerError

from medcnn.worker import app
from medcnn.worker.core import Core

TOKEN = "x" * 32


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    with Worker(models=folder, folders=[folder], device="cpu") as started:
        yield started


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:port",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:0",
        "http://[::1",
        "http://",
        "127.0.0.1:8891",
        "ftp://127.0.0.1",
        "",
    ],
)
def test_what_is_no_address_is_told(url):
    with pytest.raises(WorkerError, match="no address of a worker") as refused:
        Remote(url, TOKEN)
    assert "http://127.0.0.1:8891" in refused.value.hint


@pytest.mark.parametrize("token", ["two\nlines of a token", "t\u00f6ken" * 8])
def test_a_token_that_no_header_can_hold_is_told(token):
    with pytest.raises(WorkerError, match="characters") as refused:
        Remote("http://127.0.0.1:1", token)
    assert refused.value.kind == "token"


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_authority_that_cannot_be_read_is_told(tmp_path, content):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(WorkerError, match=r"ca\.pem holds no certificate"):
        Remote("https://127.0.0.1:1", TOKEN, ca_file=str(file))


@pytest.mark.parametrize("program", ["/bin/true", "/bin/ls"])
def test_a_program_that_is_no_python_is_told_with_what_to_do(program):
    with pytest.raises(WorkerError, match="did not start") as refused:
        Worker(program)
    assert "Is that a Python with medcnn? " in refused.value.hint
    assert "pip install" in refused.value.hint


def test_what_medcnn_itself_says_is_not_taken_for_another_program(tmp_path):
    with pytest.raises(WorkerError, match="is no folder") as refused:
        Worker(folders=[tmp_path / "stick"])
    assert "Is that a Python" not in refused.value.hint


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_a_file_whose_name_is_no_text_is_sent_and_read(worker, phantoms, tmp_path):
    """As of an old archive: an umlaut in Latin-1."""
    path = tmp_path / os.fsdecode(b"M\xfcller.nii")
    path.write_bytes((phantoms / "vessel.nii").read_bytes())
    image = worker.image(worker.upload_file(path))
    assert image.shape == (28, 28, 28)


def test_an_upload_is_called_as_its_sender_calls_it(worker, tmp_path):
    """Not by the place where it lies while it is read."""
    path = tmp_path / "a report.dcm"
    path.write_text("no image")
    with pytest.raises(WorkerError, match=r"a report\.dcm holds no image") as refused:
        worker.upload_file(path)
    assert "medcnn-serve" not in str(refused.value)
    nibabel.Nifti1Image(np.zeros((4, 5, 6, 2)), np.eye(4)).to_filename(
        tmp_path / "t.nii"
    )
    with pytest.raises(WorkerError, match=r"t\.nii holds 2 images") as refused:
        worker.upload_file(tmp_path / "t.nii")
    assert "medcnn-serve" not in str(refused.value)


def test_a_name_that_is_no_text_comes_back(worker):
    array = np.zeros((4, 5, 6), np.float32)
    sent = Image(array, np.eye(4), name="M\udcfcller", facts={"view": "\udcfc"})
    facts = worker.ask("GET", f"/v1/images/{worker.upload(sent)}")
    assert facts["name"] == "M\udcfcller"
    assert facts["facts"] == {"view": "\udcfc"}


async def ask(routes, path):
    """Ask routes without a server; return the messages that come back."""
    told = []

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        told.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": []}
    scope |= {"query_string": b"", "http_version": "1.1", "scheme": "http"}
    with contextlib.suppress(ZeroDivisionError):  # raised anew for the server's log
        await routes(scope, receive, send)
    return told


def test_an_error_of_a_route_that_was_not_foreseen_is_told_as_one(monkeypatch):
    def fails(_core):
        msg = "of the patient Doe"
        raise ZeroDivisionError(msg)

    monkeypatch.setattr(Core, "info", fails)
    routes = app.make_app(Core(None, None, None, 1))
    start, body = asyncio.run(ask(routes, "/v1/info"))
    assert start["status"] == 500
    error = json.loads(body["body"])["error"]
    assert error["kind"] == "internal"
    assert "ZeroDivisionError" in error["message"]
    assert b"Doe" not in body["body"]


def test_where_ending_is_killing_a_worker_is_asked_to_end_and_tidies(
    tmp_path, monkeypatch
):
    """Windows knows no SIGTERM: it ends as its standard input is closed."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    worker = Worker(device="cpu")
    process = worker.process
    assert list(tmp_path.glob("medcnn-serve-*"))
    monkeypatch.setattr(
        "MedCNNLib.client.process.sys", types.SimpleNamespace(platform="win32")
    )
    worker.close()
    assert process.exit_status == 0
    assert not list(tmp_path.glob("medcnn-serve-*"))


def test_a_server_that_only_errs_is_no_worker():
    class Errs(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(500)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Errs) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(WorkerError, match="no medcnn worker"):
            Remote(f"http://127.0.0.1:{server.server_port}", TOKEN)
        server.shutdown()
