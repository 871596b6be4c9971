"""Files of object stores and servers: the same rows as from a folder."""

import contextlib
import functools
import http.server
import shutil
import socket
import subprocess
import threading
import time

import pytest
from films import write_films
from screens import three_bands, worklist_bytes

import medcnn
from medcnn.errors import MissingDependencyError, ReadError
from medcnn.screening.fetch import fetched, file_system, is_remote, local_path
from medcnn.screening.options import Options
from medcnn.screening.remote import RemoteSource
from medcnn.worklist import read_errors, read_run

fsspec = pytest.importorskip("fsspec", reason="needs fsspec: pip install fsspec")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path):
    """A folder of films, and the address at which a server on loopback has it."""
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install aiohttp")
    write_films(tmp_path / "films/ward3", 5)
    write_films(tmp_path / "films", 2, first=5)
    (tmp_path / "films/broken.dcm").write_bytes(b"no image at all")
    handler = functools.partial(_Quiet, directory=tmp_path / "films")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield tmp_path / "films", f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("text", "remote"),
    [("s3://a/b", True), ("gs://a", True), ("a/b", False), ("C:/a", False)],
)
def test_what_is_a_url_and_what_a_path(text, remote):
    assert is_remote(text) == remote


def test_a_file_url_is_a_path_of_this_machine(tmp_path):
    assert local_path((tmp_path / "a b").as_uri()) == str(tmp_path / "a b")


@pytest.fixture
def store():
    """Files in the memory of this process, which fsspec calls memory://."""
    files = fsspec.filesystem("memory")
    files.pipe({"/films/a/2.dcm": b"22", "/films/1.dcm": b"1", "/films/.x": b"hidden"})
    yield files
    files.rm("/films", recursive=True)


def test_files_are_listed_in_order_with_names_below_the_url(store):
    source = RemoteSource("memory://films/", retries=False)

    assert source.count() == 2
    assert source.root == "memory:///films"
    assert source.names == ["memory:///films"]


def test_a_file_is_fetched_whole_and_its_copy_goes_away(store):
    with fetched("memory://films/a/2.dcm") as copy:
        assert copy.read_bytes() == b"22"
        assert copy.suffix == ".dcm"
    assert not copy.exists()


def test_what_cannot_be_fetched_or_found_is_told(store):
    with (
        pytest.raises(ReadError, match="cannot be fetched: FileNotFoundError"),
        fetched("memory://films/none.dcm"),
    ):
        pass
    with pytest.raises(ReadError, match="No files were found in memory:///nothing"):
        RemoteSource("memory://nothing", retries=False)
    with pytest.raises(ReadError, match="no file system that is known"):
        file_system("nonsense://a")


def test_a_url_is_screened_alone(tmp_path):
    with pytest.raises(ReadError, match="a URL is screened alone; got 2 places"):
        medcnn.screen(["s3://a", tmp_path], output=tmp_path / "out")


def test_a_file_system_that_is_not_installed_is_named(monkeypatch):
    def absent(url):
        msg = "Install s3fs to access S3"
        raise ImportError(msg)

    monkeypatch.setattr("fsspec.core.url_to_fs", absent)
    with pytest.raises(MissingDependencyError, match="Install s3fs") as caught:
        file_system("s3://bucket")
    assert caught.value.hint == "Add it: pip install fsspec s3fs"


@pytest.mark.parametrize(
    "options", [{"address": "auto"}, {"cluster": "dask"}], ids=["address", "kind"]
)
def test_a_cluster_that_makes_no_sense_is_refused(options):
    with pytest.raises(ValueError, match="cluster"):
        Options(**options)


def screen(place, output, model):
    """Screen with one reader and return the run's record."""
    return medcnn.screen(place, model=model, output=output, workers=1).run()


@pytest.mark.slow
def test_a_server_gives_the_same_worklist_as_the_folder(tmp_path, served):
    folder, url = served
    model = three_bands(tmp_path / "model")
    screen(folder, tmp_path / "near", model)
    screen(url, tmp_path / "far", model)

    near = worklist_bytes(tmp_path / "near").replace(f"{folder}/".encode(), b"")
    assert worklist_bytes(tmp_path / "far") == near  # errors do not name places
    (error,) = read_errors(tmp_path / "far/errors.csv")
    assert error.path == "broken.dcm"
    assert error.error.startswith("broken.dcm holds no image")
    again = screen(url, tmp_path / "far", model)
    assert len(again.sessions) == 1  # nothing was left to do
    assert read_run(tmp_path / "far/run.json").root == url


@pytest.mark.slow
def test_two_places_in_one_output_do_not_take_each_others_rows(tmp_path, served):
    folder, url = served
    model = three_bands(tmp_path / "model")
    for place in (f"{url}/ward3", url, folder):
        record = screen(place, tmp_path / "out", model)
    assert record.counts.images == 5 + 3 + 8  # the ward's films are the same ones
    assert record.root == f"{url}/ward3"


@pytest.mark.slow
def test_a_file_url_is_screened_like_its_folder(tmp_path):
    write_films(tmp_path / "a b", 2)
    model = three_bands(tmp_path / "model")
    screen(tmp_path / "a b", tmp_path / "near", model)
    record = screen((tmp_path / "a b").as_uri(), tmp_path / "far", model)

    assert worklist_bytes(tmp_path / "far") == worklist_bytes(tmp_path / "near")
    assert record.root == str(tmp_path / "a b")


@pytest.mark.slow
def test_a_file_that_is_lost_costs_its_row(tmp_path, served):
    folder, url = served
    model = three_bands(tmp_path / "model")
    run = medcnn.screen(url, model=model, output=tmp_path / "out", workers=1)
    (folder / "ward3/film0002.dcm").unlink()  # it was listed
    assert run.run().counts.error == 2

    errors = {row.path: row for row in read_errors(tmp_path / "out/errors.csv")}
    lost = errors["ward3/film0002.dcm"]
    assert lost.stage == "open"
    assert lost.error == "it cannot be fetched: FileNotFoundError."


@pytest.mark.slow
def test_a_server_that_is_gone_ends_the_run_and_leaves_no_row(tmp_path, served):
    folder, url = served
    model = three_bands(tmp_path / "model")
    run = medcnn.screen(url, model=model, output=tmp_path / "out", workers=1)
    folder.rename(tmp_path / "away")
    with pytest.raises(ReadError, match=f"{url} cannot be reached any more"):
        run.run()

    (tmp_path / "away").rename(folder)
    assert screen(url, tmp_path / "out", model).counts.error == 1


@pytest.fixture
def s3(tmp_path, monkeypatch):
    """An S3 server on loopback, from a package that stands for Amazon's."""
    s3fs = pytest.importorskip("s3fs", reason="needs s3fs: pip install s3fs")
    program = shutil.which("moto_server")
    if program is None:
        pytest.skip("needs moto_server: pip install 'moto[s3,server]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    server = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)])
    try:
        yield _answering(s3fs.S3FileSystem())
    finally:
        server.terminate()
        server.wait()


def _answering(files):
    """Return a file system once its server answers."""
    for _ in range(100):
        with contextlib.suppress(Exception):
            files.mkdir("films")
            return files
        time.sleep(0.2)
    pytest.fail("the server does not answer")


@pytest.mark.slow
def test_an_object_store_gives_the_same_worklist_as_the_folder(tmp_path, s3):
    write_films(tmp_path / "films", 4)
    write_films(tmp_path / "films/ward 3", 2, first=4)
    s3.put(f"{tmp_path}/films/", "s3://films/2026", recursive=True)
    model = three_bands(tmp_path / "model")
    screen(tmp_path / "films", tmp_path / "near", model)
    record = screen("s3://films/2026", tmp_path / "far", model)

    assert worklist_bytes(tmp_path / "far") == worklist_bytes(tmp_path / "near")
    assert record.root == "s3://films/2026"
    run = medcnn.screen("s3://films/2026", model=model, output=tmp_path / "new")
    s3.rm("s3://films/2026/film0001.dcm")
    assert run.run().counts.error == 1
    (lost,) = read_errors(tmp_path / "new/errors.csv")
    assert lost.error == "it cannot be fetched: FileNotFoundError."
