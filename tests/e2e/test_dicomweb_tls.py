"""DICOMweb by TLS, with a certificate authority of one's own."""

import ssl
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from test_pacs import certificate  # noqa: F401 - a fixture

from medcnn.errors import ArchiveError
from medcnn.pacs.web import WebArchive

pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


@contextmanager
def secure_service(cert, key):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "application/dicom+json")
            self.end_headers()
            self.wfile.write(b"[]")

        def log_message(self, *_):
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    http = Quiet(("127.0.0.1", 0), Handler)
    http.socket = context.wrap_socket(http.socket, server_side=True)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield f"https://localhost:{http.server_address[1]}/dicom-web"
    finally:
        http.shutdown()
        http.server_close()


def test_an_own_authority_is_trusted_only_when_it_is_named(
    certificate,  # noqa: F811
    monkeypatch,
):
    cert, key = certificate
    with secure_service(cert, key) as url:
        with pytest.raises(ArchiveError, match="not of an authority") as told:
            WebArchive(url).find({}, most=1)
        assert told.value.is_final
        assert "MEDCNN_DICOMWEB_CA" in told.value.hint
        monkeypatch.setenv("MEDCNN_DICOMWEB_CA", str(cert))
        assert WebArchive(url).find({}, most=1) == []


def test_an_authority_that_is_no_file_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDCNN_DICOMWEB_CA", str(tmp_path / "absent.pem"))
    with pytest.raises(ArchiveError, match="which is no file"):
        WebArchive("https://example.org/dicom-web")
