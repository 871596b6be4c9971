"""The suite of all viewers about what goes wrong, for the page in a real browser."""

import os

import pytest
from adapter_contract import SAMPLES, Dialogue, FileOrder
from processes import below, said

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
        ends = ".busy, .answer" if self.words() else ".busy, .answer, .error-text"
        self.page.click(".classify")  # which takes the last error away
        self.page.wait_for_selector(ends, timeout=WAIT)

    def probability(self):
        return float(self.page.inner_text(".answer-probability >> nth=0"))

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
        (pid,) = [pid for pid in below(os.getpid()) if " medcnn worker " in said(pid)]
        return pid


@pytest.fixture
def desk(viewer, page, tmp_path):
    return Browser(viewer, page, tmp_path)


class TestBrowser(Dialogue, FileOrder):
    @pytest.fixture
    def axes(self):
        return "turned and left-handed"
