"""Screening on Ray: real nodes on this machine, one of them killed; hostile files."""

import os
import shutil
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pytest
from films import write_films
from screens import ROOT, folder_bytes, three_bands, worklist_bytes

import medcnn
from medcnn.screening import cluster as clustering
from medcnn.worklist import read_errors, read_run

ray = pytest.importorskip(
    "ray", reason="needs ray: pip install 'medcnn-imaging[ray]'", exc_type=ImportError
)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

COUNT = 40

HOSTILE = """
import ctypes, sys

def crash(event, arguments):
    if event == "open" and "segv" in str(arguments[0]):
        ctypes.string_at(0)

sys.addaudithook(crash)
"""
"""What a decoder with a fault does to the process that opens such a file."""


def started():
    """Start a cluster; a crowded machine may need longer than Ray waits for it."""
    from ray.cluster_utils import Cluster

    few = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
    for left in (2, 1, 0):
        made = Cluster()
        try:
            made.add_node(num_cpus=0, **few)
            return made, [made.add_node(num_cpus=1, **few) for _ in range(2)]
        except Exception:
            made.shutdown()
            if not left:
                raise
    return None


@pytest.fixture
def nodes(monkeypatch):
    """A head that runs nothing and two nodes that work."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(clustering, "_BLOCK", 4)
    made, workers = started()
    yield made, workers
    ray.shutdown()
    made.shutdown()


def busy_nodes():
    """Return the nodes on which workers are alive."""
    actors = ray._private.state.actors().values()
    return {a["Address"]["NodeID"] for a in actors if a["State"] == "ALIVE"}


def kill_a_busy_node(made, workers, cases, told):
    """Kill the first node on which a worker lives, as soon as one does."""
    for _ in range(2000):
        busy = busy_nodes() if ray.is_initialized() else set()
        victim = next((node for node in workers if node.node_id in busy), None)
        if victim is not None:
            told.append(len(cases))
            made.remove_node(victim, allow_graceful=False)
            return
        time.sleep(0.05)


def left_behind():
    """Return the folders of workers and clusters that lie about."""
    return set(Path(tempfile.gettempdir()).glob("medcnn-[rw]*"))


def pictures(output):
    """Return all thumbnails and heatmaps of a run."""
    return [folder_bytes(output / kind) for kind in ("thumbnails", "heatmaps")]


def test_a_killed_node_changes_nothing_in_the_result(tmp_path, nodes):
    made, workers = nodes
    write_films(tmp_path / "films", COUNT)
    (tmp_path / "films/broken.dcm").write_bytes(b"no image at all")
    model = three_bands(tmp_path / "model")
    medcnn.screen(tmp_path / "films", model=model, output=tmp_path / "one").run()

    run = medcnn.screen(
        tmp_path / "films",
        model=model,
        output=tmp_path / "many",
        workers=2,
        cluster="ray",
        address=made.address,
    )
    cases, told = [], []
    killer = threading.Thread(
        target=kill_a_busy_node, args=(made, workers, cases, told), daemon=True
    )
    killer.start()
    for case in run:
        cases.append(case.path)  # noqa: PERF401 - as each arrives
    killer.join()

    assert told
    assert told[0] <= COUNT  # in the midst of the work
    assert cases == sorted(cases)
    assert len(cases) == COUNT + 1
    assert worklist_bytes(tmp_path / "many") == worklist_bytes(tmp_path / "one")
    assert pictures(tmp_path / "many") == pictures(tmp_path / "one")


def test_a_file_that_crashes_its_reader_costs_its_row_and_no_more(
    tmp_path, monkeypatch
):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(textwrap.dedent(HOSTILE))
    write_films(tmp_path / "films", 6)
    write_films(tmp_path / "films/segv", 1, first=6)
    shutil.copy(tmp_path / "films/film0000.dcm", tmp_path / "films/twin.dcm")
    monkeypatch.chdir(tmp_path)  # workers have another folder; the path is relative
    paths = os.pathsep.join((str(tmp_path / "site"), str(ROOT)))
    monkeypatch.setenv("PYTHONPATH", paths)  # of Ray's workers
    monkeypatch.syspath_prepend(tmp_path / "site")  # of our readers
    model = three_bands(tmp_path / "model")
    told, before = [], left_behind()

    for name, options in (("one", {}), ("ray", {"cluster": "ray"})):
        medcnn.screen(
            "films",
            model=model,
            output=name,
            workers=1,
            progress=lambda done, _found: told.append(done),
            **options,
        ).run()

    assert not ray.is_initialized()
    assert left_behind() <= before
    assert worklist_bytes(tmp_path / "ray") == worklist_bytes(tmp_path / "one")
    assert pictures(tmp_path / "ray") == pictures(tmp_path / "one")
    assert b"a copy of film0000.dcm" in worklist_bytes(tmp_path / "ray")
    (error,) = read_errors(tmp_path / "ray/errors.csv")
    assert (error.path, error.stage) == ("segv/film0006.dcm", "crash")
    assert "SIGSEGV" in error.error
    assert read_run(tmp_path / "ray/run.json").options["cluster"] == "ray"
    assert told[-1] == 8
    again = medcnn.screen("films", model=model, output="ray", workers=1).run()
    assert len(again.sessions) == 1  # what a cluster did is done
