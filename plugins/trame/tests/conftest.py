"""The viewer in a process of its own, and a real browser that looks at it."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PLUGINS = ROOT / "plugins"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

OWN = ("trame", "slicer/MedCNN", "contract")

sys.path[:0] = [*(str(PLUGINS / each) for each in OWN), str(Path(__file__).parent)]


@pytest.fixture(scope="session")
def real_python():
    python = os.environ.get("MEDCNN_PYTHON", "")
    if not Path(python).is_file():
        pytest.skip("MEDCNN_PYTHON names no Python with medcnn")
    return python


@pytest.fixture
def viewer(real_python, tmp_path):
    """Start medcnn view; give a function of its arguments that returns the address."""
    started = []

    def start(*given, python=None):
        log = (tmp_path / f"log{len(started)}").open("w+")
        command = [real_python, "-m", "medcnn", "view", "--python", sys.executable]
        surroundings = os.environ | {"PYTHONUNBUFFERED": "1"}
        if python is not None:  # another one for the worker than medcnn view would name
            command = [sys.executable, "-m", "medcnn_trame", "--medcnn-python", python]
            paths = [*(str(PLUGINS / each) for each in OWN), str(ROOT)]
            surroundings["PYTHONPATH"] = os.pathsep.join(paths)
        command += ["--no-browser", "--port", "0", *map(str, given)]
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=ROOT, env=surroundings
        )
        started.append((process, log))
        until = time.monotonic() + 180
        while time.monotonic() < until and process.poll() is None:
            log.seek(0)
            found = re.search(r"http://127\.0\.0\.1:(\d+)/", log.read())
            if found and found.group(1) != "0":
                return found.group(0)
            time.sleep(0.1)
        log.seek(0)
        pytest.fail(f"the viewer did not start: {log.read()[-2000:]}")
        return ""

    yield start
    for process, log in started:
        process.terminate()
        process.wait(60)
        log.close()


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium here (Debian package chromium)")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    """A page that notes every address beyond this machine that it asks for."""
    opened = browser.new_page(viewport={"width": 1300, "height": 900})
    opened.set_default_timeout(90_000)
    opened.abroad = []

    def note(request):
        if not request.url.startswith(("http://127.0.0.1", "data:", "blob:")):
            opened.abroad.append(request.url)

    opened.on("request", note)
    yield opened
    opened.close()
