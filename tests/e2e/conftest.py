"""Browsers for the tests of pages."""

import shutil
from contextlib import contextmanager

import pytest

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


SOFTWARE_GL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")


@contextmanager
def chromium(*flags):
    """Start Debian's Chromium, or skip where it is missing."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("needs Chromium (Debian package chromium)")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs playwright: pip install playwright"
    )
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, args=list(flags))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def browser():
    """A browser that draws no WebGL."""
    with chromium(*FLAGS) as opened:
        yield opened


@pytest.fixture(scope="module")
def drawing_browser():
    """A browser that draws WebGL, by the processor."""
    with chromium(*(f for f in FLAGS if f != "--disable-gpu"), *SOFTWARE_GL) as opened:
        yield opened
