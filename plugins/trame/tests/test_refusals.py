"""What the page says when the system refuses: no memory; empty files."""

import sys

import pytest
from test_browser import SAMPLES, WAIT, open_file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="scripts of POSIX")

NO_MEMORY = """#!{python}
import runpy, sys
from medcnn.service import Service
asked = Service.classify
def classify(self, image, *given, **choices):
    if image.array.size > 20_000 and not hasattr(Service, "tried"):
        Service.tried = True
        raise MemoryError
    return asked(self, image, *given, **choices)
Service.classify = classify
sys.argv = sys.argv[sys.argv.index("medcnn") :]
runpy.run_module("medcnn", run_name="__main__")
"""


@pytest.fixture
def script(real_python, tmp_path):
    """Write a Python for the worker that does something else first."""

    def write(text):
        path = tmp_path / "python"
        path.write_text(text.format(python=real_python))
        path.chmod(0o755)
        return path

    return write


def told(page, words):
    page.wait_for_selector(f".error-text >> text={words}", timeout=WAIT)
    page.wait_for_selector(".busy", state="detached", timeout=WAIT)
    return page.inner_text(".error-text")


def test_a_worker_out_of_memory_says_what_to_do_and_goes_on(viewer, page, script):
    given = (SAMPLES / "vessel.nii", "--model", "vessel-3d")
    page.goto(viewer(*given, python=script(NO_MEMORY)))
    page.wait_for_selector(".classify:not([disabled])", timeout=WAIT)
    page.click(".classify")
    words = told(page, "Memory ran out")
    assert "Close other programs, or use a computer with more memory" in words
    assert not page.is_visible(".answer")
    page.click(".classify")
    page.wait_for_selector(".answer", timeout=WAIT)
    assert not page.is_visible(".error-text")


def test_empty_files_are_named(viewer, page, tmp_path):
    for name in ("a.dcm", "b.dcm", "c.dcm", "d.dcm"):
        (tmp_path / name).touch()
    page.goto(viewer("--model", "vessel-3d"))
    page.wait_for_selector(".busy", state="detached", timeout=WAIT)
    open_file(page, tmp_path / "a.dcm")
    wanted = "a.dcm is empty (0 bytes). Copy it again from where it came from."
    assert told(page, "a.dcm is empty") == wanted
    open_file(page, sorted(tmp_path.glob("*.dcm")))
    words = told(
        page, "All 4 files are empty (0 bytes): a.dcm, b.dcm, c.dcm and 1 more"
    )
    assert "Copy it again" in words
    open_file(page, [tmp_path / "a.dcm", SAMPLES / "vessel.nii"])
    page.wait_for_selector("text=28 x 28 x 28", timeout=WAIT)
    words = "left out, as empty (0 bytes): a.dcm"
    assert words in page.inner_text(".image-words")
