"""Reader processes die, hang and burst; the run goes on and blames the right file."""

import json
import os
import sys
import time

import pytest
from films import write_films
from screens import three_bands

import medcnn
from medcnn.errors import MedcnnError
from medcnn.isolation import process as process_module
from medcnn.results import Status
from medcnn.screening import Limits
from medcnn.screening.crew import Crew

pytestmark = pytest.mark.slow

_HOSTILE = """
import ctypes, os, signal, sys, time
import numpy as np
from medcnn.screening import reader
load = reader.load
def hostile(path, **options):
    name = path.name
    if "segv" in name: ctypes.string_at(0)
    if "exit" in name: os._exit(7)
    if "kill" in name: os.kill(os.getpid(), signal.SIGKILL)
    if "hang" in name: time.sleep(1000)
    if "bomb" in name: np.ones(1 << 33, np.uint8)
    if "deep" in name: hostile(path, **options)
    if "raise" in name: raise ValueError("Doe^John")
    if "print" in name: print("noise" * 5000); os.write(1, b"noise" * 5000)
    return load(path, **options)
reader.load = hostile
from medcnn.isolation.worker import main
main()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return medcnn.Model.open(three_bands(tmp_path_factory.mktemp("models") / "three"))


@pytest.fixture
def hostile(monkeypatch):
    command = (sys.executable, "-P", "-c", _HOSTILE)
    monkeypatch.setattr(process_module, "WORKER_COMMAND", command)


def _films_among(folder, *names):
    """Write ten films, and films of these names between them."""
    films = write_films(folder, 10)
    for place, name in enumerate(names):
        (folder / f"film{place:04d}_{name}.dcm").write_bytes(films[0].read_bytes())


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("workers", [1, 3])
def test_whatever_a_reader_dies_of_costs_one_row(model, tmp_path, workers):
    names = {"segv": "SIGSEGV", "exit": "exit status 7", "kill": "SIGKILL"}
    names |= {"raise": "failed with ValueError", "deep": "failed with RecursionError"}
    _films_among(tmp_path / "films", *names)
    run = {"model": model, "output": tmp_path / "out", "workers": workers}
    cases = {case.path: case for case in medcnn.screen(tmp_path / "films", **run)}
    wrong = {p: c for p, c in cases.items() if c.status is not Status.OK}
    assert len(cases) == 15
    assert len(wrong) == 5
    for place, (name, words) in enumerate(names.items()):
        case = wrong[f"film{place:04d}_{name}.dcm"]
        assert words in case.reason
        assert case.stage == ("decode" if name in {"raise", "deep"} else "crash")
        assert "Doe" not in json.dumps([case.reason, case.hint])


@pytest.mark.usefixtures("hostile")
def test_a_file_that_takes_too_long_is_ended_and_named(model, tmp_path):
    _films_among(tmp_path / "films", "hang", "ok", "hang")
    limits = Limits(timeout_s=8.0)  # a busy machine reads the others in it
    run = {"model": model, "output": tmp_path / "out", "limits": limits, "workers": 2}
    began = time.monotonic()
    cases = list(medcnn.screen(tmp_path / "films", **run))
    late = [case.path for case in cases if case.stage == "timeout"]
    assert late == ["film0000_hang.dcm", "film0002_hang.dcm"]
    assert sum(case.status is Status.OK for case in cases) == 11
    assert "longer than 8 s" in next(c for c in cases if c.stage == "timeout").reason
    assert time.monotonic() - began < 500  # the two would take 2000


@pytest.mark.usefixtures("hostile")
def test_a_file_that_wants_too_much_memory_is_refused_and_named(model, tmp_path):
    _films_among(tmp_path / "films", "ok", "bomb")
    limits = Limits(memory_bytes=512 << 20)
    run = {"model": model, "output": tmp_path / "out", "limits": limits}
    cases = list(medcnn.screen(tmp_path / "films", **run))
    (bomb,) = [case for case in cases if case.status is not Status.OK]
    assert (bomb.path, bomb.stage) == ("film0001_bomb.dcm", "memory")


@pytest.mark.usefixtures("hostile")
def test_what_a_library_prints_does_not_get_between_the_answers(model, tmp_path):
    _films_among(tmp_path / "films", "print")
    run = {"model": model, "output": tmp_path / "out"}
    cases = list(medcnn.screen(tmp_path / "films", **run))
    assert [case.status for case in cases] == [Status.OK] * 11


def test_readers_that_cannot_start_end_the_run_with_their_last_words(
    model, tmp_path, monkeypatch
):
    write_films(tmp_path / "films", 1)
    program = "import sys; sys.exit('no numpy here')"
    monkeypatch.setattr(
        process_module, "WORKER_COMMAND", (sys.executable, "-c", program)
    )
    run = medcnn.screen(tmp_path / "films", model=model, output=tmp_path / "out")
    with pytest.raises(MedcnnError, match="cannot be started: no numpy here"):
        run.run()


def test_a_reader_that_sends_nonsense_is_a_crash(model, tmp_path, monkeypatch):
    write_films(tmp_path / "films", 3)
    program = (
        "from medcnn.isolation import worker as w\n"
        "w.send = lambda out, *_: out.write(b'\\xff' * 64) and out.flush()\n"
        "w.main()"
    )
    monkeypatch.setattr(
        process_module, "WORKER_COMMAND", (sys.executable, "-c", program)
    )
    run = {"model": model, "output": tmp_path / "out", "workers": 1}
    cases = list(medcnn.screen(tmp_path / "films", **run))
    assert [case.stage for case in cases] == ["crash"] * 3


def test_readers_load_neither_torch_nor_an_engine(model, tmp_path, monkeypatch):
    write_films(tmp_path / "films", 1)
    program = (
        "import sys; from medcnn.screening import reader\n"
        "load = reader.load\n"
        "def watch(path, **options):\n"
        "    heavy = {'torch', 'monai', 'openvino', 'onnxruntime', 'jinja2'}\n"
        "    assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "    return load(path, **options)\n"
        "reader.load = watch\n"
        "from medcnn.isolation.worker import main; main()"
    )
    monkeypatch.setattr(
        process_module, "WORKER_COMMAND", (sys.executable, "-c", program)
    )
    (case,) = medcnn.screen(tmp_path / "films", model=model, output=tmp_path / "out")
    assert case.status is Status.OK, case.reason


def test_no_process_is_left_when_a_consumer_stops_early(model, tmp_path):
    write_films(tmp_path / "films", 20)
    cases = iter(medcnn.screen(tmp_path / "films", model=model, output=tmp_path / "o"))
    next(cases)
    cases.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_crew_closes_while_a_file_hangs(model, tmp_path, hostile):
    _films_among(tmp_path / "films", "hang")
    with Crew(1, model.spec, Limits()) as crew:
        crew.submit(0, tmp_path / "films" / "film0000_hang.dcm")
        crew.submit(1, tmp_path / "films" / "film0001.dcm")
        assert crew.poll(1.5) == []
    assert not crew.started
