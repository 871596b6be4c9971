"""The OHIF viewer in front of an Orthanc, and a reader who looks at it."""

import io
import json
import re
import threading
import time
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import requests

__all__ = ["Reader", "built", "served"]

CONFIG = {
    "routerBasename": "/",
    "extensions": [],
    "modes": [],
    "showStudyList": True,
    "investigationalUseDialog": {"option": "never"},
    "defaultDataSourceName": "archive",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "archive",
            "configuration": {
                "friendlyName": "archive",
                "name": "archive",
                "qidoRoot": "/dicom-web",
                "wadoRoot": "/dicom-web",
                "qidoSupportsIncludeField": False,
                "imageRendering": "wadors",
                "thumbnailRendering": "wadors",
                "supportsFuzzyMatching": False,
                "supportsWildcard": True,
                "enableStudyLazyLoad": True,
                "dicomUploadEnabled": False,
                "omitQuotationForMultipartRequest": True,
            },
        }
    ],
}
"""OHIF's own app-config.js, with this server's archive in it."""


class _Handler(SimpleHTTPRequestHandler):
    """OHIF's files, and the archive's DICOMweb at the same address."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *given, archive, **options):
        self.archive = archive
        super().__init__(*given, **options)

    def do_GET(self):
        if self.path.startswith("/dicom-web/"):
            self._pass_on()
        elif self.path.startswith("/app-config.js"):
            script = f"window.config = {json.dumps(CONFIG)};".encode()
            self._answer(200, script, "text/javascript")
        else:
            name = self.path.split("?")[0]
            if not Path(self.directory, name.lstrip("/")).is_file():
                self.path = "/index.html"  # its own addresses, such as /viewer?...
            super().do_GET()

    def _pass_on(self):
        wanted = {"Accept": self.headers.get("Accept", "*/*")}
        got = requests.get(self.archive + self.path, headers=wanted, timeout=60)
        self._answer(got.status_code, got.content, got.headers.get("Content-Type", ""))

    def _answer(self, status, body, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self):
        # OHIF's workers share memory, which browsers allow to isolated pages alone
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *_):
        pass


def built(repository: Path) -> Path:
    """Return the folder of OHIF's index.html, or skip where it was not fetched."""
    makefile = (repository / "Makefile").read_text()
    (version,) = re.findall(r"^OHIF = (\S+)$", makefile, flags=re.MULTILINE)
    folder = repository / ".cache" / f"ohif-{version}"
    if not (folder / "fetched").is_file():
        pytest.skip(f"needs OHIF {version}: make ohif (with npm)")
    return folder / "package" / "dist"


@contextmanager
def served(dist: Path, archive: str):
    """Serve OHIF on loopback; give its address.

    Args:
        dist: The folder of its index.html.
        archive: Where an Orthanc is.
    """
    handler = partial(_Handler, directory=str(dist), archive=archive)
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads = True
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}"
    finally:
        http.shutdown()
        http.server_close()


class Reader:
    """Somebody at OHIF with one viewport.

    Attributes:
        page: The browser's page.
    """

    def __init__(self, browser, address: str, study: str) -> None:
        self.page = browser.new_page(viewport={"width": 1600, "height": 900})
        self.page.set_default_timeout(90_000)
        self.page.goto(f"{address}/viewer?StudyInstanceUIDs={study}")
        self.page.get_by_text("Skip all").click()  # its tour
        self._pane = self.page.locator("[data-cy=viewport-pane]").first
        self.until(lambda: self.picture().mean() > 15)

    def choose(self, words: str, is_open):
        """Open the series whose description has these words; wait until it is.

        A click that comes while the list of series still changes is lost, so it is
        repeated.

        Returns:
            What `is_open` says then, and last if never.
        """
        series = self.page.locator("[data-cy^=study-browser-thumbnail]", has_text=words)
        for _ in range(4):
            series.first.dblclick()
            if said := self.until(is_open, seconds=12):
                break
        return said

    def until(self, is_so, *, seconds: float = 90.0):
        """Wait until something holds; return what it says then, and last if never."""
        end = time.monotonic() + seconds
        while not (said := is_so()) and time.monotonic() < end:
            self.page.wait_for_timeout(100)
        return said

    def says(self) -> str:
        """Return the page's words."""
        return self.page.inner_text("body")

    def shows_slice(self) -> int:
        """Return which slice of the stack is shown, from 1; 0 if nothing says so."""
        corner = self.page.locator("[data-cy=viewport-overlay-bottom-right]")
        found = re.search(r"\((\d+)/\d+\)", corner.inner_text())
        return int(found[1]) if found else 0

    def scroll_to(self, number: int) -> None:
        """Turn the wheel until a slice is shown."""
        self._pane.hover()
        for _ in range(100):
            away = number - self.shows_slice()
            if not away:
                return
            self.page.mouse.wheel(0, 100 if away > 0 else -100)
            self.page.wait_for_timeout(50)
        pytest.fail(f"slice {number} is never shown")

    def lines(self) -> list[str]:
        """Return the lines of text that are drawn on the image."""
        return self._pane.locator("svg tspan").all_text_contents()

    def outlines(self) -> list[np.ndarray]:
        """Return the outlines that are drawn, (N, 2) in pixels of the viewport."""
        drawn = self._pane.locator("svg polyline").all()
        texts = (one.get_attribute("points").replace(",", " ") for one in drawn)
        return [np.array(text.split(), float).reshape(-1, 2) for text in texts]

    def picture(self) -> np.ndarray:
        """Return the viewport as RGB, (rows, columns, 3)."""
        shot = PIL.Image.open(io.BytesIO(self._pane.screenshot())).convert("RGB")
        return np.asarray(shot, np.int16)

    def image(self, columns: int, rows: int) -> np.ndarray:
        """Return the part of the viewport that an image of a size fills."""
        picture = self.picture()
        first, last = self.place([(0, 0), (columns, rows)], columns, rows).astype(int)
        return picture[max(first[1], 0) : last[1], max(first[0], 0) : last[0]]

    def place(self, points, columns: int, rows: int) -> np.ndarray:
        """Return where (column, row) of an image are drawn, fitted and centred."""
        box = self._pane.bounding_box()
        size = np.array([box["width"], box["height"]])
        scale = min(size / (columns, rows))
        return (np.array(points) - np.array([columns, rows]) / 2) * scale + size / 2

    def save(self, path: Path) -> None:
        """Keep the page as a small picture."""
        shot = PIL.Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        shot.resize((1200, 675)).save(path, quality=88, optimize=True)
