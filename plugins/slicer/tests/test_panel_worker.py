"""The panel on the stand-in with a real worker: what goes wrong, ROC, a training."""

import functools
import os
import signal
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
import slicer
from vtk.util import numpy_support

sys.path.insert(0, str(Path(__file__).parents[2] / "contract"))

pytest.importorskip("standin", reason="PySide6 is not installed here")

from adapter_contract import SAMPLES, VOLUME, Dialogue, FileOrder
from MedCNNLib.client import Worker
from MedCNNLib.volumes import node_from_image
from test_panel import Panel, module  # noqa: F401 - a fixture
from test_worker import read

LIMIT = 150


class Slicer:
    """The panel as a user has it, below it real MRML and a real worker."""

    def __init__(self, module, scene, python, folder):  # noqa: F811
        models = folder / "models"
        start = functools.partial(Worker, models=models, device="cpu")
        self.panel = Panel(module, scene, types.SimpleNamespace(start=start))
        self.ui, self.scene = self.panel.ui, scene
        self.session = self.panel.widget.logic.session
        self.ui.pythonPath.setCurrentPath(python)
        self.ui.folderPath.setCurrentPath(str(folder))

    def press(self, name):
        self.panel.click(name)

    def until(self, reached):
        until = time.monotonic() + LIMIT
        while not reached():
            assert time.monotonic() < until, self.words()
            self.panel.widget.onTimer()
            time.sleep(0.05)

    def choose(self, model):
        self.press("refreshButton")
        self.wait()
        ids = self.models()
        self.ui.modelSelector.setCurrentIndex(ids.index(model))

    def models(self):
        box = self.ui.modelSelector.wrapped
        return [box.itemText(n) for n in range(box.count())]

    def open(self, path, model):
        self.panel.widget.parameters.inputVolume = read(self.scene, path)
        self.choose(model)

    def begin(self):
        self.ui.methodSelector.setCurrentText("auto")
        self.press("classifyButton")

    def begin_long(self):
        self.ui.methodSelector.setCurrentText("occlusion")
        self.press("classifyButton")
        self.until(lambda: "Heatmap by occlusion" in self.words())

    def cancel(self):
        self.press("cancelButton")

    def wait(self):
        self.until(lambda: not self.panel.widget.isBusy)

    def words(self):
        return self.ui.statusLabel.text

    def has_answer(self):
        return self.ui.answerTable.wrapped.rowCount() > 0

    def probability(self):
        return float(self.panel.texts("answerTable")[0][1])

    def worker_pid(self):
        return self.session._worker.pid


@pytest.fixture
def desk(module, scene, real_python, tmp_path):  # noqa: F811
    opened = Slicer(module, scene, real_python, tmp_path)
    yield opened
    opened.panel.widget.cleanup()


class TestPanel(Dialogue, FileOrder):
    pass


def write_vessels(folder):
    """Write a table of six vessels, no two alike; return it and the truth by file."""
    truth = {}
    for name, ill in (("vessel_aneurysm", 1), ("vessel", 0)):
        for n in range(3):
            volume = bytearray((SAMPLES / f"{name}.nii").read_bytes())
            volume[400 + n] = 1
            (folder / f"{name}{n}.nii").write_bytes(volume)
            truth[f"{name}{n}.nii"] = ill
    table = folder / "test.csv"
    lines = [f"{file},{ill}" for file, ill in truth.items()]
    table.write_text("\n".join(["path,aneurysm", *lines]) + "\n")
    return table, truth


def area(scores, truth):
    """Return the share of pairs in the right order: what the area means."""
    ill = np.array([s for s, t in zip(scores, truth, strict=True) if t])
    healthy = np.array([s for s, t in zip(scores, truth, strict=True) if not t])
    pairs = ill[:, None] - healthy[None]
    return float((pairs > 0).mean() + 0.5 * (pairs == 0).mean())


def test_an_evaluation_becomes_a_chart_a_table_and_a_report(
    desk, scene, tmp_path, real_python
):
    table, truth = write_vessels(tmp_path)
    desk.choose("vessel-3d")
    desk.ui.evaluatePath.setCurrentPath(str(table))
    desk.press("evaluateButton")
    desk.wait()

    row = desk.panel.texts("evaluateTable")[0]
    with Worker(real_python, folders=[tmp_path], device="cpu") as worker:
        asked = [worker.classify(tmp_path / f, "vessel-3d") for f in truth]
    scores = [each.probabilities["aneurysm"] for each in asked]
    assert row[:2] == ["aneurysm", "3 / 3"]
    assert row[2].startswith(f"{area(scores, truth.values()):.3f} (")
    chart = scene.GetFirstNodeByClass("vtkMRMLPlotChartNode")
    assert f"AUC {area(scores, truth.values()):.3f}" in chart.GetTitle()
    curve = next(
        node for node in nodes(scene, "vtkMRMLPlotSeriesNode")
        if chart.HasPlotSeriesNodeID(node.GetID())
    )  # fmt: skip
    x = curve.GetTableNode().GetTable().GetColumnByName(curve.GetXColumnName())
    y = curve.GetTableNode().GetTable().GetColumnByName(curve.GetYColumnName())
    x, y = (numpy_support.vtk_to_numpy(each) for each in (x, y))
    assert np.trapezoid(y, x) == pytest.approx(area(scores, truth.values()))
    address = desk.ui.evaluateLabel.text.split('href="file://')[1].split('"')[0]
    assert Path(address).read_text("utf-8").lower().startswith("<!doctype html>")


def nodes(scene, kind):
    count = scene.GetNumberOfNodesByClass(kind)
    return [scene.GetNthNodeByClass(n, kind) for n in range(count)]


SETTINGS = {
    "network.name": "basic_cnn",
    "network.arguments": '{"width": 8, "depth": 3}',
    "input.shape": "[32, 32]",
    "optimiser.epochs": "1",
    "report.baselines": "false",
}


def write_blobs(folder):
    """Write 80 small pictures, every second with a bright spot, and their table."""
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :36]
    lines = ["path,patient_id,split,blob"]
    for n in range(80):
        at = rng.uniform(10, 26, 2)
        spot = 55 * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / 24)
        picture = rng.normal(90, 20, y.shape) + spot * (n % 2)
        image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / f"{n}.png")
        part = {8: "val", 9: "val", 6: "test", 7: "test"}.get(n % 10, "train")
        lines.append(f"{n}.png,p{n},{part},{n % 2}")
    table = folder / "blobs.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def test_a_plan_is_shown_and_a_trained_model_is_in_the_list_and_answers(
    desk, scene, tmp_path
):
    table = write_blobs(tmp_path)
    desk.choose("vessel-3d")
    desk.ui.trainPath.setCurrentPath(str(table))
    desk.ui.settingsEdit.setText("; ".join(f"{k}={v}" for k, v in SETTINGS.items()))
    desk.press("planButton")
    desk.wait()
    assert "80 grey pictures" in desk.ui.planLabel.text
    settings = {row[0]: row[1] for row in desk.panel.texts("planTable")}
    assert settings["network.name"] == "basic_cnn"
    assert settings["optimiser.epochs"] == "1"

    desk.ui.nameEdit.setText("blobs")
    desk.press("trainButton")
    desk.until(lambda: "poch" in desk.words() or not desk.panel.widget.isBusy)
    desk.wait()
    assert "own/blobs is trained" in desk.ui.planLabel.text, desk.words()
    assert "own/blobs" in desk.models()
    assert desk.panel.widget.classifyPanel.model["id"] == "own/blobs"
    assert (tmp_path / "models/blobs/bundle.json").is_file()

    pixels = np.asarray(pytest.importorskip("PIL.Image").open(tmp_path / "1.png"))
    picture = node_from_image(scene, pixels.T[..., None], np.eye(4), name="picture")
    desk.panel.widget.parameters.inputVolume = picture
    desk.begin()
    desk.wait()
    assert desk.panel.texts("answerTable")[0][0] == "blob", desk.words()


def test_a_training_is_cancelled_and_leaves_no_model(desk, tmp_path):
    table = write_blobs(tmp_path)
    desk.ui.trainPath.setCurrentPath(str(table))
    desk.ui.nameEdit.setText("never")
    desk.press("trainButton")
    desk.until(lambda: desk.session._job is not None)
    desk.cancel()
    desk.wait()
    assert desk.words() == "Stopped."
    assert not (tmp_path / "models/never").exists()


class Watch:
    """How long the event loop was held at most, by the clock and the processor's."""

    def __init__(self):
        self.turns = []

    def __call__(self, act):
        before = time.perf_counter(), time.thread_time()
        act()
        after = time.perf_counter(), time.thread_time()
        self.turns.append(tuple(np.subtract(after, before)))

    def longest(self):
        held, busy = np.max(self.turns, axis=0)
        print(f"held for at most {held:.3f} s, of the processor {busy:.3f} s")
        return busy


HUGE = (512, 512, 150)
"""157 MB of 32-bit numbers, up and down."""


def test_a_huge_volume_never_holds_the_panel(desk, scene, tmp_path):
    """Not while it is sent, nor while its heatmap comes, nor at the peak."""
    nibabel = pytest.importorskip("nibabel")
    values = np.zeros(HUGE, np.float32)
    values[100:130, 90:150, 40:60] = 255
    image = nibabel.Nifti1Image(values, np.diag([-0.5, 0.5, 1, 1]))
    nibabel.save(image, tmp_path / "huge.nii")
    volume = read(scene, tmp_path / "huge.nii")  # its last axis is turned
    desk.choose("vessel-3d")
    desk.panel.widget.parameters.inputVolume = volume
    watch, seen = Watch(), set()
    watch(desk.begin)
    while desk.panel.widget.isBusy:
        watch(desk.panel.widget.onTimer)
        seen.add(desk.words())
        time.sleep(0.005)
    assert {"Sending ...", "Fetching the heatmap ..."} <= seen
    heat = desk.panel.widget.parameters.heatVolume
    assert slicer.vtkSlicerVolumesLogic().CompareVolumeGeometry(volume, heat) == ""
    watch(lambda: desk.press("peakButton"))
    assert watch.longest() < 0.1


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_worker_that_hangs_holds_nobody_and_is_ended(desk, monkeypatch):
    """It is stopped as a debugger would: it lives, and answers no more."""
    monkeypatch.setattr("MedCNNLib.session._STOP_SECONDS", 0.5)
    monkeypatch.setattr("MedCNNLib.client.process.ENDING_SECONDS", 0.5)
    desk.open(VOLUME, "vessel-3d")
    desk.begin_long()
    pid, watch = desk.worker_pid(), Watch()
    os.kill(pid, signal.SIGSTOP)
    watch(desk.cancel)
    while desk.panel.widget.isBusy:
        watch(desk.panel.widget.onTimer)
        time.sleep(0.02)
    assert "does not answer, and is ended" in desk.words()
    assert watch.longest() < 0.1
    desk.until(lambda: desk.session.is_idle)
    assert not Path(f"/proc/{pid}").exists()
    desk.begin()
    desk.wait()
    assert desk.has_answer()


def test_asking_and_fetching_hold_nobody(desk, tmp_path):
    """An evaluation and its report, from the click on the button to the end."""
    table, _ = write_vessels(tmp_path)
    desk.choose("vessel-3d")
    desk.ui.evaluatePath.setCurrentPath(str(table))
    watch = Watch()
    watch(lambda: desk.press("evaluateButton"))
    while desk.panel.widget.isBusy:
        watch(desk.panel.widget.onTimer)
        time.sleep(0.005)
    assert "Open the report" in desk.ui.evaluateLabel.text, desk.words()
    assert watch.longest() < 0.1
