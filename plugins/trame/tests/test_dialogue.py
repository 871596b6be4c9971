"""The suite of all viewers about what goes wrong, for the page in a real browser."""

import os
from pathlib import Path

import pytest
from adapter_contract import SAMPLES, Dialogue

WAIT = 90_000


class Browser:
    """The page; its long question is an evaluation."""

    def __init__(self, viewer, page, folder):
        self.start, self.page = viewer, page
        self.table = folder / "test.csv"
        lines = ["path,aneurysm"]
        for name, ill in (("vessel_aneurysm", 1), ("vessel", 0)):
            (folder / f"{name}.nii").write_bytes((SAMPLES / f"{name}.nii").read_bytes())
            lines.append(f"{name}.nii,{ill}")
        self.table.write_text("\n".join(lines) + "\n")

    def open(self, path, model):
        self.page.goto(self.start(path, "--model", model, "--data", self.table))
        self.page.wait_for_selector(".classify:not([disabled])", timeout=WAIT)

    def begin(self):
        self.page.click(".classify")
        self.page.wait_for_selector(".busy, .answer, .error-text", timeout=WAIT)

    def begin_long(self):
        self.page.click(".evaluate")
        self.page.wait_for_selector(".cancel", timeout=WAIT)

    def cancel(self):
        self.page.click(".cancel")

    def wait(self):
        self.page.wait_for_selector(".busy", state="detached", timeout=WAIT)

    def words(self):
        found = self.page.query_selector(".error-text")
        return found.inner_text() if found else ""

    def has_answer(self):
        return self.page.is_visible(".answer, .roc")

    def worker_pid(self):
        (pid,) = [pid for pid in _below(os.getpid()) if " medcnn worker " in _said(pid)]
        return pid


def _below(pid):
    """Return the processes that a process started, and those that they did."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    own = [int(each) for path in threads for each in path.read_text().split()]
    return own + [far for each in own for far in _below(each)]


def _said(pid):
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


@pytest.fixture
def desk(viewer, page, tmp_path):
    return Browser(viewer, page, tmp_path)


class TestBrowser(Dialogue):
    pass
