"""What is asked of a cluster, and what is said when it cannot do it; without Ray."""

import os
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from films import write_films

from medcnn.errors import EngineError, MissingDependencyError
from medcnn.screening import cluster_worker, ray_cluster
from medcnn.screening.cluster import RayFlow
from medcnn.screening.cluster_worker import is_there
from medcnn.screening.flow import Item, failed
from medcnn.screening.options import Options
from medcnn.screening.ray_cluster import Cluster, connect
from medcnn.screening.store import Fingerprint, case_of, record_of
from medcnn.screening.wire import Failure, Place

SMALL = {"processors": 2, "model_bytes": 10}


class FakeRay:
    """Stands for a Ray that starts at the nth try, and has so many processors."""

    def __init__(self, *, fails=0, processors=2):
        self.fails, self.processors = fails, processors
        self.inits, self.shutdowns = [], 0
        self.context = SimpleNamespace()
        get = SimpleNamespace(get_current=lambda: self.context)
        self.data = SimpleNamespace(DataContext=get)

    def is_initialized(self):
        return False

    def init(self, **options):
        self.inits.append(options | {"TMPDIR": os.environ.get("TMPDIR")})
        if len(self.inits) <= self.fails:
            msg = "The current node timed out during startup.\nMore words."
            raise Exception(msg)  # noqa: TRY002 - as Ray does

    def shutdown(self):
        self.shutdowns += 1

    def cluster_resources(self):
        return {"CPU": self.processors} if self.processors else {}


@pytest.fixture
def ray(monkeypatch):
    fake = FakeRay()
    monkeypatch.setattr(ray_cluster, "_ray", lambda: fake)
    monkeypatch.setattr(os, "environ", {})
    return fake


def test_a_cluster_of_our_own_is_small_says_nothing_and_is_ended(ray):
    with connect(None, **SMALL) as cluster:
        assert cluster.processors == 2
        assert cluster.folder.is_dir()
    assert not cluster.folder.exists()
    (options,) = ray.inits
    assert options["_temp_dir"] == options["TMPDIR"] == str(cluster.folder)
    assert "TMPDIR" not in os.environ
    assert options["address"] == "local"
    assert options["num_cpus"] == 2
    assert options["include_dashboard"] is False
    assert options["object_store_memory"] == 2**28 + 40
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert ray.shutdowns == 1


def test_a_late_start_is_tried_once_more(ray):
    ray.fails = 1
    with connect(None, **SMALL):
        pass
    assert len(ray.inits) == 2
    ray.fails = 9
    with pytest.raises(EngineError, match=r"on this machine: .* during startup\. Look"):
        connect(None, **SMALL)
    assert not Path(ray.inits[-1]["_temp_dir"]).exists()


def test_a_cluster_that_is_not_there_is_named(ray):
    ray.fails = 9
    with pytest.raises(EngineError, match="no Ray cluster can be had on auto"):
        connect("auto", **SMALL)
    assert len(ray.inits) == 1
    with socket.create_server(("127.0.0.1", 0)) as listening:
        free = f"127.0.0.1:{listening.getsockname()[1]}"
    with pytest.raises(EngineError, match=f"can be had on {free}: .*refused"):
        connect(free, **SMALL)
    assert len(ray.inits) == 1  # Ray was not asked, which tries for minutes


def test_ray_that_is_not_installed_is_named(monkeypatch):
    def absent(name):
        msg = f"No module named {name!r}"
        raise ModuleNotFoundError(msg, name="ray")

    monkeypatch.setattr(ray_cluster, "import_module", absent)
    with pytest.raises(MissingDependencyError, match="needs ray, which is") as caught:
        connect(None, **SMALL)
    assert "medcnn-imaging[ray]" in caught.value.hint


def test_a_long_temporary_folder_is_left_to_ray(ray, monkeypatch):
    monkeypatch.setattr(ray_cluster.tempfile, "gettempdir", lambda: "/" + 9 * "long")
    with connect(None, **SMALL) as cluster:
        assert cluster.folder is None
    assert ray.inits[0]["_temp_dir"] is None


def flow_of(tmp_path, ray):
    return RayFlow(
        [],
        Cluster(ray, is_ours=False),
        lambda: None,
        output=tmp_path,
        options=Options(),
    )


def test_files_that_only_this_machine_sees_end_the_run(tmp_path, ray):
    (film,) = write_films(tmp_path / "films", 1)
    case = failed("film0000.dcm", Failure("open", "there is no such file."))
    row = {"is_unseen": True, "record": record_of(case), "digest": ""}
    flow = flow_of(tmp_path, ray)
    with pytest.raises(EngineError, match=r"does not see film0000\.dcm, which is here"):
        flow._keep(0, Item("film0000.dcm", film, Fingerprint()), row)

    film.unlink()  # nobody sees it: that costs its row
    kept = flow._keep(0, Item("film0000.dcm", film, Fingerprint(1, 2)), row)
    assert kept.case == case
    assert kept.fingerprint == Fingerprint(1, 2)


def test_a_cluster_without_machines_ends_the_run_after_a_while(tmp_path, ray):
    flow = flow_of(tmp_path, ray)
    ray.processors = 0
    flow._look_for_machines()  # not at once: others may come
    flow._seen_at -= 100
    with pytest.raises(EngineError, match="no machine left"):
        flow._look_for_machines()


TRACE = """\x1b[36mray::Worker()\x1b[39m (pid=1)
OSError: No space left on device

The above exception was the direct cause of the following exception:

  File "x", line 9, in write_whole
{}
ray.exceptions.UserCodeException: UDF failed to process a data block.
To change retry attempts, configure it.
"""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("medcnn.errors.OutputError: x is full. Free it.", "x is full. Free it."),
        ("", "OSError: No space left on device"),
    ],
)
def test_a_cluster_that_gives_up_says_why(tmp_path, ray, line, words):
    flow = flow_of(tmp_path, ray)
    flow._put(RuntimeError(TRACE.format(line)))
    with pytest.raises(EngineError, match=f"gave up: RuntimeError: {words}"):
        flow._take_in()


def test_another_version_of_medcnn_is_refused(monkeypatch):
    monkeypatch.setattr(cluster_worker, "version_of", lambda _: "0.9")
    with pytest.raises(EngineError, match=r"has medcnn 0\.9, this run medcnn 0\.1"):
        cluster_worker._check_version("0.1")


def test_what_a_killed_worker_left_is_removed_after_a_day(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_worker.tempfile, "gettempdir", lambda: str(tmp_path))
    for name in ("old", "busy"):
        (tmp_path / f"medcnn-worker-{name}/thumbnails").mkdir(parents=True)
    yesterday = time.time() - 90_000
    for name in ("old/thumbnails", "old", "busy"):  # the busy one's thumbnails are new
        os.utime(tmp_path / f"medcnn-worker-{name}", (yesterday, yesterday))
    cluster_worker._sweep()
    assert [one.name for one in tmp_path.iterdir()] == ["medcnn-worker-busy"]


def test_what_is_seen_and_what_is_not(tmp_path):
    (film,) = write_films(tmp_path, 1)
    assert is_there(str(film))
    assert not is_there(str(tmp_path / "none.dcm"))
    assert is_there("s3://anything")  # whoever fetches it finds out


def test_a_case_and_a_place_travel_as_text():
    case = failed("a\\x0ab.dcm", Failure("decode", "ünlesbar", "look"))
    assert case_of(record_of(case)) == case
    assert os.fspath(Place("s3://films/a")) == "s3://films/a"
