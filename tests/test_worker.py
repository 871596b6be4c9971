"""The worker over real HTTP, asked by its client and by people who mean harm."""

import ast
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from bundles import make_bundle
from MedCNNLib.client import Image, Remote, Worker, WorkerError

from medcnn.errors import ServiceError
from medcnn.worker import Address, Settings, read_token, serve, server
from medcnn.worker.guard import Limits
from medcnn.worker.leftovers import new_folder

TOKEN = "t" * 32
CLIENT = Path("plugins/slicer/MedCNN/MedCNNLib/client")
AFFINE = np.array([[0, 0, -2.5, 9], [-0.7, 0.1, 0, 5], [0.1, 0.7, 0, 1], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    make_bundle(folder / "films")
    make_bundle(folder / "volumes", dims=3, shape=(16, 16, 16))
    make_bundle(folder / "long", dims=3, shape=(160, 160, 160))
    return folder


LONG = {"model": "own/long", "method": "occlusion"}
"""What takes many seconds on any machine: it is cancelled long before its end."""


@pytest.fixture(scope="module")
def worker(models, phantoms):
    with Worker(models=models, folders=[phantoms], device="cpu") as started:
        yield started


@pytest.fixture(scope="module")
def port(worker):
    return int(worker.wire.url.port)


def request(port, method="GET", path="/v1/info", body=None, **heads):
    """Ask without the client; return status, headers and JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    names = {name.replace("_", "-"): value for name, value in heads.items()}
    connection.request(method, path, body, names)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), json.loads(content)


def volume(seed=0):
    array = np.random.default_rng(seed).normal(0, 100, (20, 18, 16))
    return Image(array.astype(np.float32), AFFINE)


# ------------------------------------------------------------------ who may ask


def test_only_the_right_token_opens_and_health_needs_none(worker, port):
    assert request(port, path="/v1/health")[2] == {"medcnn": "worker", "api": 1}
    for heads in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
        status, _, told = request(port, **heads)
        assert (status, told["error"]["kind"]) == (401, "token")
        assert told["error"]["hint"]
    right = f"Bearer {worker.wire.token}"
    assert request(port, Authorization=right)[2]["api"] == 1


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", ""])
def test_a_name_that_a_web_page_bound_to_this_address_is_refused(worker, port, host):
    right = f"Bearer {worker.wire.token}"
    status, heads, told = request(port, Host=host, Authorization=right)
    assert (status, told["error"]["kind"]) == (403, "host")
    assert not [name for name in heads if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:9999", "127.0.0.1", "[::1]:1"]
)
def test_names_of_loopback_are_taken_with_a_tunnels_port_too(worker, port, host):
    right = f"Bearer {worker.wire.token}"
    assert request(port, Host=host, Authorization=right)[0] == 200


def test_no_web_page_is_let_in(worker, port):
    heads = {
        "Origin": "https://evil.example",
        "Authorization": f"Bearer {worker.wire.token}",
    }
    _, answered, _ = request(port, **heads)
    assert "access-control-allow-origin" not in {name.lower() for name in answered}
    asked = {**heads, "Access_Control_Request_Method": "POST"}
    assert request(port, "OPTIONS", "/v1/jobs", **asked)[0] == 405


def test_the_routes_are_described_and_the_description_is_of_use(worker):
    told = worker.ask("GET", "/openapi.json")
    assert {"/v1/jobs", "/v1/images", "/v1/models"} <= set(told["paths"])
    post = told["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]
    kinds = post["application/json"]["schema"]["discriminator"]["mapping"]
    assert set(kinds) == {"load", "classify", "evaluate", "plan", "train"}


def test_the_token_is_on_no_command_line_and_in_no_childs_environment(worker):
    process = psutil.Process(worker.pid)
    assert worker.wire.token not in " ".join(process.cmdline())
    assert worker.wire.token not in worker.process.said("stdout") + worker.process.said(
        "stderr"
    )
    worker.load(Path("sample_data/chest_nodule.png").resolve())
    children = process.children(recursive=True)
    assert children
    assert not any("MEDCNN_WORKER_TOKEN" in one.environ() for one in children)


# ------------------------------------------------------------------ how much


def test_five_gigabytes_are_refused_before_they_are_read(worker, port):
    before = psutil.Process(worker.pid).memory_info().rss
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        head = "POST /v1/images HTTP/1.1\r\nHost: localhost\r\n"
        head += f"Authorization: Bearer {worker.wire.token}\r\n"
        head += "Content-Type: application/x-npz\r\nContent-Length: 5368709120\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 1000)
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"kind": "large"' in answer
    assert psutil.Process(worker.pid).memory_info().rss - before < 20 << 20


def read_all(connection):
    pieces = []
    try:
        while piece := connection.recv(65536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


@pytest.mark.parametrize(
    ("heads", "status", "kind"),
    [
        ({"Content_Encoding": "gzip"}, 415, "type"),
        ({"Content_Type": "text/plain"}, 415, "type"),
        ({"Content_Type": "application/x-npz"}, 400, "request"),
        ({"Content_Type": "application/octet-stream"}, 422, "image"),
    ],
)
def test_other_uploads_are_refused(worker, port, heads, status, kind):
    asked = {"Authorization": f"Bearer {worker.wire.token}", **heads}
    got, _, told = request(port, "POST", "/v1/images", b"nothing", **asked)
    assert (got, told["error"]["kind"]) == (status, kind)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "paint"},
        {"kind": "classify"},
        {"kind": "classify", "image": "a", "path": "b"},
        {"kind": "load", "path": "a", "extra": 1},
        {"kind": "train", "data": "a", "name": 5},
    ],
)
def test_a_request_that_is_none_is_refused_by_name(worker, body):
    with pytest.raises(WorkerError) as refused:
        worker.ask("POST", "/v1/jobs", body)
    assert (refused.value.status, refused.value.kind) == (400, "request")
    assert "docs/worker.md" in refused.value.hint


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/nothing"),
        ("GET", "/v1/images/none"),
        ("GET", "/v1/jobs/none"),
        ("DELETE", "/v1/jobs/none"),
        ("GET", "/v1/card?model=none"),
        ("GET", "/docs"),
    ],
)
def test_what_is_not_there_is_404(worker, method, path):
    with pytest.raises(WorkerError) as refused:
        worker.ask(method, path)
    assert (refused.value.status, refused.value.kind) == (404, "missing")


@pytest.fixture(scope="module")
def impatient(models):
    """A worker in this process that waits half a second, and takes a megabyte."""
    heard, servers, done = [], [], threading.Event()
    limits = Limits(upload_bytes=1 << 20, silence_seconds=0.5, headers_seconds=0.5)
    settings = Settings(token=TOKEN, models=models, limits=limits, queue=1)

    class Kept(server._Server):
        def __init__(self, *parts):
            super().__init__(*parts)
            servers.append(self)

    def announce(line):
        heard.append(json.loads(line))
        done.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "_Server", Kept)
        thread = threading.Thread(target=serve, args=(settings, announce))
        thread.start()
        assert done.wait(120)
    yield heard[0]["port"]
    servers[0].should_exit = True
    thread.join(60)
    assert not thread.is_alive()


HEAD = f"Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\n".encode()
SLOW = {
    "nothing": b"",
    "half a line": b"GET /v1/in",
    "no end of the headers": b"GET /v1/info HTTP/1.1\r\n" + HEAD,
    "no end of an upload": b"POST /v1/images HTTP/1.1\r\n"
    + HEAD
    + b"Content-Type: application/x-npz\r\nContent-Length: 1000\r\n\r\nab",
    "no end of a request": b"POST /v1/jobs HTTP/1.1\r\n"
    + HEAD
    + b"Content-Length: 1000\r\n\r\n{",
}


@pytest.mark.slow
def test_connections_that_hold_on_without_speaking_are_closed(impatient):
    held = {}
    for name, words in SLOW.items():
        held[name] = socket.create_connection(("127.0.0.1", impatient), timeout=60)
        held[name].sendall(words)
    answers = {name: read_all(one) for name, one in held.items()}
    for one in held.values():
        one.close()
    assert answers["nothing"] == answers["half a line"] == b""
    assert b" 408 " in answers["no end of an upload"][:20]
    assert b" 408 " in answers["no end of a request"][:20]


@pytest.mark.slow
def test_a_body_of_unknown_length_is_counted(impatient):
    with socket.create_connection(("127.0.0.1", impatient), timeout=60) as connection:
        head = b"POST /v1/images HTTP/1.1\r\n" + HEAD
        head += b"Content-Type: application/x-npz\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head)
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        try:
            for _ in range(64):
                connection.sendall(chunk)
        except OSError:
            pass  # it hung up, as it should
        assert b" 413 " in read_all(connection)[:20]


@pytest.mark.slow
def test_the_queue_is_bounded(impatient):
    remote = Remote(f"http://127.0.0.1:{impatient}", TOKEN)
    sent = remote.upload(volume())
    first = remote.submit_classify(sent, **LONG)
    with pytest.raises(WorkerError) as refused:
        remote.submit_classify(sent, "own/volumes")
    assert (refused.value.status, refused.value.kind) == (503, "busy")
    assert refused.value.hint
    first.cancel()
    assert first.wait().state == "cancelled"
    assert remote.classify(sent, "own/volumes").heatmaps


def test_the_client_refuses_an_image_that_is_too_large_without_sending_it(impatient):
    remote = Remote(f"http://127.0.0.1:{impatient}", TOKEN)
    with pytest.raises(WorkerError, match="takes 1,048,576") as refused:
        remote.upload(Image(np.zeros((100, 100, 100))))
    assert refused.value.kind == "large"


# ------------------------------------------------------------------ what it does


def test_a_heatmap_comes_back_on_the_grid_of_the_image_in_every_order(worker):
    image = volume()
    told = []
    result = worker.classify(
        image, "own/volumes", progress=lambda *now: told.append(now)
    )
    heat = result.heatmaps[result.label]

    assert heat.shape == image.shape == (20, 18, 16)
    np.testing.assert_array_equal(heat.affine, AFFINE)
    np.testing.assert_allclose(heat.peak_ras, (AFFINE @ [*heat.peak, 1])[:3])
    assert heat.array[heat.peak] == heat.array.max()
    turned = Image(image.kji(), AFFINE, axes="kji")
    again = worker.classify(turned, "own/volumes")
    np.testing.assert_array_equal(again.heatmaps[result.label].array, heat.array)
    assert again.probabilities == result.probabilities


def test_probabilities_and_heatmap_are_those_of_the_command_line(
    worker, medcnn, models, phantoms
):
    path = (phantoms / "chest_nodule.dcm").resolve()
    told = medcnn("predict", path, "--model", models / "films", "--json", "--quiet")
    (expected,) = json.loads(told.stdout)["images"]

    by_path = worker.classify(path, "own/films")
    by_file = worker.classify(worker.upload_file(path), "own/films")
    by_array = worker.classify(worker.load(path), "own/films", labels=["all"])

    for result in (by_path, by_file, by_array):
        assert result.probabilities == expected["probabilities"]
        assert result.bands.get("abnormal") == expected["band"]
        assert result.out_of_scope == expected["out_of_scope"]
    assert list(by_array.heatmaps) == list(by_array.labels)


def test_an_image_is_kept_until_it_is_forgotten(worker):
    image = volume()
    sent = worker.upload(image)
    kept = worker.image(sent)
    np.testing.assert_array_equal(kept.ijk(), image.ijk())
    np.testing.assert_array_equal(kept.affine, AFFINE)
    worker.forget(sent)
    with pytest.raises(WorkerError, match="no such image"):
        worker.classify(sent, "own/volumes")


def test_a_classification_is_cancelled_by_a_function_or_an_event(worker):
    event = threading.Event()
    event.set()
    for cancel in (event, lambda: True):
        with pytest.raises(WorkerError, match="cancelled") as stopped:
            worker.classify(volume(), **LONG, cancel=cancel)
        assert stopped.value.kind == "stopped"


@pytest.mark.parametrize(
    ("image", "model", "kind", "words"),
    [
        (volume(), "own/films", "image", "takes 2-D images"),
        (volume(), "own/none", "missing", "There is no model"),
        ("/etc/passwd", "own/films", "folder", "outside the folders"),
        (Image(np.full((9, 9, 9), np.nan)), "own/volumes", "data", "not finite"),
    ],
)
def test_what_cannot_be_classified_is_told_in_a_sentence(
    worker, image, model, kind, words
):
    with pytest.raises(WorkerError, match=words) as refused:
        worker.classify(image, model)
    assert refused.value.kind == kind
    assert refused.value.hint


def test_a_result_before_its_time_is_refused(worker):
    job = worker.submit_classify(volume(), **LONG)
    with pytest.raises(WorkerError, match="not finished"):
        job.result()
    with pytest.raises(WorkerError) as refused:
        worker.ask_bytes("GET", f"/v1/jobs/{job.id}/heatmaps")
    assert refused.value.status == 409
    with pytest.raises(WorkerError, match="not finished after"):
        job.wait(timeout=0)
    assert job.wait().state == "cancelled"
    assert job.id in {one["id"] for one in worker.jobs()}


QUICK = {
    "labels": ["blob"],
    "network.name": "basic_cnn",
    "network.arguments": {"width": 8, "depth": 3},
    "input.shape": [32, 32],
    "optimiser.epochs": 1,
    "report.baselines": False,
}


@pytest.mark.slow
def test_a_model_trained_by_the_worker_is_listed_classifies_and_is_measured(tmp_path):
    from trainings import write_blobs

    table = write_blobs(tmp_path, count=80)
    own = tmp_path / "models"
    with Worker(models=own, folders=[tmp_path], device="cpu") as worker:
        made = worker.train(table, "blobs", settings=QUICK)
        assert made["id"] in {one["id"] for one in worker.models()}
        result = worker.classify(tmp_path / "1.png", made["id"])
        found = worker.submit_evaluate(table, made["id"])
        measured = found.wait().result()
        report = worker.download(found.id, "report.html", tmp_path / "got")
        with pytest.raises(WorkerError, match="already"):
            worker.train(table, "blobs", settings=QUICK)

    assert made["name"] == "blobs"
    assert (own / "blobs" / "bundle.json").is_file()
    assert 0 <= result.probabilities["blob"] <= 1
    label = measured["evaluation"]["labels"]["blob"]
    assert 0 <= label["auroc"]["value"] <= 1
    assert label["roc"]["x"][0] == 0
    assert report.read_bytes().lower().startswith(b"<!doctype html>")


def children_of(worker):
    found = []
    for one in psutil.Process(worker.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            if "medcnn.service.child" in " ".join(one.cmdline()):
                found.append(one)
    return found


def runs(pid):
    """Whether a process runs; one that nobody has buried yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["evaluate", "plan", "train"])
def test_what_runs_in_a_child_is_cancelled_and_leaves_no_process(
    worker, phantoms, kind
):
    given = {
        "evaluate": {"model": "own/films"},
        "plan": {},
        "train": {"name": "never"},
    }[kind]
    job = worker.submit(kind, data=str(phantoms), **given)
    until = time.monotonic() + 60
    while not children_of(worker) and time.monotonic() < until:
        time.sleep(0.02)
    assert children_of(worker)

    job.cancel()
    assert job.wait(timeout=60).state == "cancelled"
    assert job.facts["error"]["kind"] == "stopped"
    assert not children_of(worker)


# ------------------------------------------------------------------ start and end


KEEPER = """
import sys, time
sys.path.insert(0, {lib!r})
from MedCNNLib.client import Worker
worker = Worker(device="cpu", models={models!r})
print(worker.pid, flush=True)
time.sleep(1000)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_worker_ends_within_five_seconds_of_its_viewers_death(models, tmp_path):
    assert server._LOOK_SECONDS + 2 * server._GRACE_SECONDS < 5
    code = KEEPER.format(lib=str(CLIENT.parents[1].resolve()), models=str(models))
    keeper = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    )
    pid = int(keeper.stdout.readline())
    assert psutil.pid_exists(pid)
    keeper.send_signal(signal.SIGKILL)
    keeper.wait()
    keeper.stdout.close()
    until = time.monotonic() + 60  # a busy machine needs longer
    while runs(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not runs(pid)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_killed_worker_takes_its_child_along(models, phantoms):
    with Worker(models=models, folders=[phantoms], device="cpu") as worker:
        worker.submit_plan(phantoms)
        until = time.monotonic() + 60
        while not (started := children_of(worker)) and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(worker.pid, signal.SIGKILL)
        gone, alive = psutil.wait_procs(started, timeout=60)
    assert gone
    assert not alive


@pytest.mark.skipif(sys.platform == "win32", reason="a script of the shell")
def test_a_viewer_need_not_wait_for_the_start(models, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 1000\n")
    python.chmod(0o755)
    with Worker(python, wait=False) as worker:
        assert not worker.ready()

    with Worker(models=models, device="cpu", wait=False) as worker:
        while not worker.ready():
            time.sleep(0.02)
        assert worker.info()["api"] == 1
        folder, pid = worker.process.folder, worker.pid
    assert not psutil.pid_exists(pid)
    assert not Path(folder).exists()


def test_a_worker_that_is_killed_is_told_with_what_to_do(models):
    with Worker(models=models, device="cpu") as worker:
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(WorkerError, match=r"ended \(exit status -9\)") as told:
            worker.models()
    assert told.value.kind == "connection"
    assert "Start it again" in told.value.hint


def test_what_a_killed_worker_left_is_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = {
        f"medcnn-serve-{dead.pid}-abc": False,
        f"medcnn-client-{dead.pid}-abc": False,
        f"medcnn-serve-{os.getpid()}-abc": True,
        f"medcnn-client-{os.getpid()}-abc": True,
        f"medcnn-view-{dead.pid}-abc": True,
        "medcnn-serve-notes": True,
    }
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "upload").touch()
    made = new_folder()
    assert {name: (tmp_path / name).exists() for name in names} == names
    assert made.is_dir()
    assert made.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("python", "words"),
    [
        ("/no/such/python", "cannot be started"),
        ("/bin/true", "did not start|no worker"),
        ("/bin/echo", "did not start|No worker"),
    ],
)
def test_a_python_that_starts_no_worker_is_told_with_what_to_do(python, words):
    with pytest.raises(WorkerError, match=words) as refused:
        Worker(python)
    assert refused.value.kind == "start"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Unknown option: -P", "older than 3.11"),
        ("/usr/bin/python3: No module named medcnn", "has no medcnn"),
    ],
)
def test_a_python_that_cannot_serve_is_named_by_what_it_lacks(tmp_path, said, words):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 2\n")
    python.chmod(0o755)
    with pytest.raises(WorkerError, match=words) as refused:
        Worker(python)
    assert "pip install" in refused.value.hint


def test_a_module_in_the_current_folder_is_not_taken_for_medcnn(
    models, tmp_path, monkeypatch
):
    (tmp_path / "medcnn.py").write_text("raise SystemExit('taken')")
    monkeypatch.chdir(tmp_path)
    with Worker(models=models, device="cpu") as worker:
        assert worker.info()["api"] == 1


def test_plain_http_beyond_loopback_is_refused_by_both_and_the_tunnel_is_named(medcnn):
    with pytest.raises(WorkerError, match="unencrypted") as refused:
        Remote("http://gpu-box:8891", TOKEN)
    assert "ssh -L" in refused.value.hint
    for host in ("0.0.0.0", "192.168.1.5", "::"):  # noqa: S104 - refused
        done = medcnn("worker", "--host", host)
        assert done.returncode == 1
        assert "unencrypted" in done.stderr
        assert "ssh -L" in done.stderr


def test_a_token_others_can_read_or_guess_is_refused(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o644)
    with pytest.raises(ServiceError, match="Others may read") as refused:
        read_token(file)
    assert "chmod 600" in refused.value.hint
    file.chmod(0o600)
    assert read_token(file) == TOKEN
    surroundings = {"MEDCNN_WORKER_TOKEN": "short"}
    with pytest.raises(ServiceError, match="has 5 characters"):
        read_token(None, surroundings)
    assert surroundings == {}
    with pytest.raises(ServiceError, match="cannot be read"):
        read_token(tmp_path / "none")
    assert read_token(None, {}) is None


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gpu-box:8891", True),
        ("GPU-BOX", True),
        ("10.0.0.5", True),
        ("localhost", False),
        ("gpu-box.evil.example", False),
        ("[::1]", False),
    ],
)
def test_beyond_loopback_it_is_called_by_its_address_and_names(
    tmp_path, header, accepted
):
    for name in ("cert", "key"):
        (tmp_path / name).touch()
    address = Address("10.0.0.5", 0, ("gpu-box",), tmp_path / "cert", tmp_path / "key")
    assert address.accepts(header) is accepted
    assert address.url(8891) == "https://10.0.0.5:8891"


def test_half_a_certificate_and_a_missing_one_are_refused(tmp_path):
    with pytest.raises(ServiceError, match="needs its key"):
        Address("10.0.0.5", 0, (), tmp_path / "cert")
    with pytest.raises(ServiceError, match="is no file"):
        Address("10.0.0.5", 0, (), tmp_path / "cert", tmp_path / "key")


def test_a_port_in_use_is_told(medcnn):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = medcnn("worker", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "cannot be listened on" in done.stderr
    assert "--port 0" in done.stderr


@pytest.mark.slow
def test_over_tls_the_certificate_is_checked(models, tmp_path, tool):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    openssl = [tool("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048"]
    files = ["-nodes", "-keyout", key, "-out", cert, "-days", "1"]
    subprocess.run([*openssl, *files, *name], check=True, capture_output=True)
    command = [sys.executable, "-m", "medcnn", "worker", "--models", models, "--stdin"]
    process = subprocess.Popen(
        [*command, "--tls-cert", cert, "--tls-key", key],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "MEDCNN_WORKER_TOKEN": TOKEN},
        text=True,
    )
    try:
        told = json.loads(process.stdout.readline())
        assert told["url"].startswith("https://")
        assert told["token_file"] is None
        url = f"https://localhost:{told['port']}"
        with pytest.raises(WorkerError, match="not trusted"):
            Remote(url, TOKEN)
        assert Remote(url, TOKEN, ca_file=str(cert)).models()
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


# ------------------------------------------------------------------ the client alone


def test_the_client_needs_nothing_but_the_standard_library_and_numpy(repository):
    files = sorted((repository / CLIENT).glob("*.py"))
    trees = [ast.parse(path.read_text(), feature_version=(3, 9)) for path in files]
    names = {
        node.module if isinstance(node, ast.ImportFrom) else alias.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    foreign = {n for n in names if n.split(".")[0] not in sys.stdlib_module_names}
    own = {f"MedCNNLib.client.{path.stem}" for path in files}
    assert len(files) > 10
    assert foreign - own == {"numpy", "MedCNNLib.client"}  # nothing beside the folder


def test_an_image_of_wrong_axes_is_refused_before_it_is_sent():
    with pytest.raises(WorkerError, match="cannot have 2 axes"):
        Image(np.zeros((4, 4)))
    with pytest.raises(WorkerError, match="axes 'xyz'"):
        Image(np.zeros((4, 4, 4)), axes="xyz")


def test_an_image_is_turned_without_a_copy():
    array = np.zeros((4, 3, 2))
    image = Image(array, axes="kji")
    assert image.shape == (2, 3, 4)
    assert image.ijk().shape == (2, 3, 4)
    assert np.shares_memory(image.ijk(), array)
    colour = Image(np.zeros((3, 5, 4, 1)), axes="cijk")
    assert colour.kji().shape == (1, 4, 5, 3)


def test_another_servers_answer_is_not_taken_for_a_workers():
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer():
            connection, _ = other.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(WorkerError, match="no medcnn worker"):
            Remote(url, TOKEN)


def test_another_version_is_refused_with_what_to_do(monkeypatch, worker):
    monkeypatch.setattr("MedCNNLib.client.handshake.API", 2)
    with pytest.raises(WorkerError, match="speaks version 1") as refused:
        worker.info()
    assert refused.value.kind == "version"
