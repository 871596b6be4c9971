"""Images and heatmaps in steps: the same as at once, and nobody stands still."""

import io
import os
import signal
import socket
import sys
import threading
import time
import zipfile
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest
from bundles import make_bundle
from held import Held
from MedCNNLib.client import Client, Image, Job, Worker, WorkerError, jobs, sockets
from MedCNNLib.client.arrays import reading
from MedCNNLib.client.wire import Wire

AFFINE = np.array([[0, 0, -2.5, 9], [-0.7, 0.1, 0, 5], [0.1, 0.7, 0, 1], [0, 0, 0, 1]])
BUSY = 0.1
"""Seconds of one step, by the processor's clock: other programs do not count."""


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    models = tmp_path_factory.mktemp("models")
    make_bundle(models / "volumes", dims=3, shape=(16, 16, 16))
    with Worker(models=models, device="cpu") as started:
        yield started


def finish(steps, seconds=60):
    """Take steps until the last; return what it gives, all shares, the longest step."""
    shares, longest = [], 0.0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        before = time.thread_time()
        try:
            shares.append(next(steps))
        except StopIteration as end:
            return end.value, shares, max(longest, time.thread_time() - before)
        longest = max(longest, time.thread_time() - before)
        if shares[-1] is None:
            time.sleep(0.002)
    pytest.fail("the steps did not end")
    return None, shares, longest


def values(shape, dtype="i2"):
    return np.random.default_rng(5).integers(0, 99, shape).astype(dtype)


ORDERS = {
    "as C holds them": lambda a: a,
    "as VTK holds them": np.asfortranarray,
    "every second": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "backwards": lambda a: a[::-1, :, ::-1],
    "the other end first": lambda a: a.astype(a.dtype.newbyteorder(">")),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8"])
def test_an_image_sent_in_steps_arrives_as_it_is(worker, order, dtype):
    array = ORDERS[order](values((7, 6, 5), dtype))
    image = Image(
        array, AFFINE, name="a", unit="HU", modality="CT", facts={"view": "x"}
    )

    back = worker.image(finish(worker.uploading(image))[0])

    np.testing.assert_array_equal(back.ijk(), array)
    np.testing.assert_allclose(back.affine, AFFINE)
    assert (back.unit, back.modality) == ("HU", "CT")
    assert back.facts == {"view": "x"}


def test_an_image_without_a_place_is_sent_in_steps(worker):
    image = Image(values((3, 4, 5, 2)), axes="kjic")
    back = worker.image(finish(worker.uploading(image))[0])
    assert back.affine is None
    assert back.shape == (5, 4, 3)


def test_a_file_is_sent_in_steps(worker, phantoms):
    path = phantoms / "vessel.nii"
    by_steps = worker.image(finish(worker.uploading_file(path))[0])
    at_once = worker.image(worker.upload_file(path))
    np.testing.assert_array_equal(by_steps.array, at_once.array)


def test_a_file_that_cannot_be_read_is_called_by_its_own_name(worker, tmp_path):
    (tmp_path / "letter.nii").write_text("Dear colleague")
    with pytest.raises(WorkerError, match=r"^letter\.nii holds no image") as told:
        finish(worker.uploading_file(tmp_path / "letter.nii"))
    assert "upload" not in str(told.value)


def test_a_file_that_is_not_there_is_told(worker, tmp_path):
    with pytest.raises(WorkerError, match="cannot be read"):
        finish(worker.uploading_file(tmp_path / "none.nii"))


def asked(worker, image):
    steps = worker.submitting("classify", image=image, model="own/volumes")
    job, _, _ = finish(steps)
    while not job.finished:
        finish(job.polling())
        time.sleep(0.02)
    return job


def test_heatmaps_fetched_in_steps_are_those_fetched_at_once(worker):
    array = values((24, 20, 16), "f4")
    at_once = worker.classify(Image(array, AFFINE), "own/volumes")

    job = asked(worker, finish(worker.uploading(Image(array, AFFINE)))[0])
    finish(job.fetching())
    found = job.result()

    assert found.probabilities == at_once.probabilities
    assert set(found.heatmaps) == set(at_once.heatmaps)
    for label, heat in found.heatmaps.items():
        np.testing.assert_array_equal(heat.array, at_once.heatmaps[label].array)
        np.testing.assert_allclose(heat.affine, at_once.heatmaps[label].affine)
        assert heat.array.T.flags.c_contiguous  # as VTK wants it: nothing is turned


def test_what_failed_is_told_by_its_result(worker):
    picture = finish(worker.uploading(Image(values((8, 8, 1)))))[0]
    job = asked(worker, picture)
    finish(job.fetching())
    with pytest.raises(WorkerError, match="takes 3-D"):
        job.result()


def test_an_image_on_the_workers_machine_is_fetched_in_steps(phantoms):
    with Worker(folders=[phantoms], device="cpu") as worker:
        job = worker.submit_load(phantoms / "vessel.nii").wait()
        finish(job.fetching())
        at_once = worker.image(job.result().id)
    np.testing.assert_array_equal(job.result().ijk(), at_once.ijk())
    np.testing.assert_allclose(job.result().affine, at_once.affine)


def test_a_job_is_cancelled_in_steps_and_says_so(worker):
    image = finish(worker.uploading(Image(values((24, 20, 16), "f4"), AFFINE)))[0]
    request = {"image": image, "model": "own/volumes", "method": "occlusion"}
    job = finish(worker.submitting("classify", **request))[0]
    finish(job.cancelling())
    while not job.finished:
        finish(job.polling())
    with pytest.raises(WorkerError) as told:
        job.result()
    assert told.value.kind == "stopped"


def test_a_worker_ends_in_steps_and_is_gone():
    worker = Worker(device="cpu")
    pid = worker.pid
    _, shares, longest = finish(worker.ending())
    assert not psutil.pid_exists(pid)
    assert set(shares) <= {None}
    assert longest < BUSY
    with pytest.raises(WorkerError, match="is closed"):
        worker.ready()


def test_a_worker_lives_as_long_as_a_job_of_it_is_held(phantoms):
    worker = Worker(folders=[phantoms], device="cpu")
    pid, job = worker.pid, worker.submit_load(phantoms / "vessel.nii")
    del worker
    assert min(job.wait().result().shape) > 1
    del job
    assert not psutil.pid_exists(pid)


@pytest.mark.slow
def test_no_step_of_a_large_volume_takes_long(worker):
    """31 MB up and 31 MB of heatmap down."""
    array = np.asfortranarray(values((256, 256, 120), "f4"))

    image, shares, longest_up = finish(worker.uploading(Image(array, AFFINE)))
    job = asked(worker, image)
    _, down, longest_down = finish(job.fetching())

    assert longest_up < BUSY
    assert longest_down < BUSY
    for told in (shares, down):
        known = [share for share in told if share is not None]
        assert len(known) > 30
        assert all(0 <= share <= 1 for share in known)
    assert job.result().heatmaps["abnormal"].array.shape == array.shape


def test_steps_that_are_given_up_leave_no_connection(worker):
    def count():
        return len(psutil.Process().net_connections("tcp"))

    before = count()
    steps = worker.uploading(Image(values((200, 200, 200))))
    while count() == before:
        next(steps)
    steps.close()
    assert count() == before
    assert worker.models()


def test_a_refusal_is_told_though_the_body_is_not_sent(worker, monkeypatch):
    monkeypatch.setattr(worker.wire, "token", "another")
    with pytest.raises(WorkerError) as refused:
        finish(worker.uploading(Image(values((128, 128, 128)))))
    assert refused.value.kind == "token"


def test_what_is_too_large_is_refused_before_it_is_sent(worker, monkeypatch):
    monkeypatch.setattr(worker.wire, "limit", 1000)
    with pytest.raises(WorkerError, match="the worker takes 1,000") as refused:
        finish(worker.uploading(Image(values((20, 20, 20)))))
    assert refused.value.kind == "large"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_worker_that_is_killed_in_between_is_told():
    with Worker(device="cpu") as worker:
        steps = worker.uploading(Image(values((200, 200, 200))))
        while next(steps) is not None:
            pass
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(WorkerError, match="ended") as told:
            finish(steps)
    assert told.value.kind == "connection"


def test_asking_whether_a_worker_is_ready_never_waits():
    turns = []
    with Worker(device="cpu", wait=False) as worker, Held() as held:
        while not turns or not held(worker.ready):
            before = time.monotonic()
            worker.ready()
            turns.append(time.monotonic() - before)
            time.sleep(0.005)
    assert np.median(turns) < 0.005
    assert held.longest < 0.3


def test_what_waits_is_seen_to_wait():
    with Held() as held:
        held(lambda: time.sleep(2))
    assert held.longest > 0.3


# ------------------------------------------------------------------ strange answers


@pytest.fixture
def strange():
    """Give a client of something that answers these bytes, then closes, or waits."""
    opened = []

    def answering(content, *, wait=False):
        listener = socket.create_server(("127.0.0.1", 0))
        opened.append(listener)

        def serve():
            try:
                connection, _ = listener.accept()
            except OSError:  # closed at the end of a test that never connected
                return
            opened.append(connection)
            connection.recv(4096)
            connection.sendall(content)
            if not wait:
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        return Client(Wire(urlsplit(f"http://127.0.0.1:{listener.getsockname()[1]}")))

    yield answering
    for each in opened:
        each.close()


def test_an_answer_without_a_length_is_read_to_its_end(strange):
    client = strange(b'HTTP/1.1 200 OK\r\n\r\n{"models": []}')
    assert finish(client.asking("GET", "/v1/models"))[0] == {"models": []}


def test_an_answer_that_is_cut_off_is_told(strange):
    client = strange(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
    with pytest.raises(WorkerError, match="IncompleteRead"):
        finish(client.asking("GET", "/v1/models"))


def test_no_answer_is_told_in_time(strange, monkeypatch):
    monkeypatch.setattr(sockets, "ANSWER_SECONDS", 0.1)
    with pytest.raises(WorkerError, match="does not answer"):
        finish(strange(b"", wait=True).asking("GET", "/v1/models"))


def test_a_file_of_a_job_is_saved_in_steps(strange, tmp_path):
    content = bytes(values((1 << 21,), "u1"))
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n"
    client = strange(head.encode() + content)
    path, shares, _ = finish(client.downloading("1", "report.html", tmp_path / "new"))
    assert path == tmp_path / "new/report.html"
    assert path.read_bytes() == content
    assert len([share for share in shares if share]) > 2
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]


def test_a_file_named_outside_its_folder_is_refused(strange, tmp_path):
    with pytest.raises(WorkerError, match="outside the folder"):
        finish(strange(b"").downloading("1", "../report.html", tmp_path / "new"))


def test_a_worker_that_hangs_is_told_before_a_minute_is_over(strange, monkeypatch):
    assert jobs.JOB_SECONDS < 60
    monkeypatch.setattr(jobs, "JOB_SECONDS", 0.1)
    facts = {"id": "1", "kind": "plan", "error": None, "state": "running"}
    client = strange(b"", wait=True)
    with pytest.raises(WorkerError, match="does not answer"):
        finish(Job(client.wire, facts).polling())
    with pytest.raises(WorkerError, match="does not answer"):
        Job(client.wire, facts).poll()


def test_what_is_no_json_is_no_worker(strange):
    client = strange(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    with pytest.raises(WorkerError, match="no medcnn worker"):
        finish(client.asking("GET", "/v1/models"))


def packed(array, *, short=0):
    """Return an .npz of one array, whose data lack so many bytes."""
    raw = io.BytesIO()
    np.save(raw, array)
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        content = raw.getvalue()
        archive.writestr("a.npy", content[: len(content) - short])
    whole.seek(0)
    return whole


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("shape", [(5,), (3, 4), (70, 60, 50), (0, 2, 3)])
def test_arrays_are_read_in_steps_as_numpy_reads_them(shape, order):
    array = np.array(values(shape, "f4"), order=order)
    found = finish(reading(packed(array)))[0]
    np.testing.assert_array_equal(found["a"], array)


def test_an_array_that_is_cut_off_is_refused():
    with pytest.raises(ValueError, match="cut off"):
        finish(reading(packed(values((4, 4)), short=3)))


def test_heatmaps_that_are_broken_are_told(strange):
    content = packed(values((4, 4)), short=3).getvalue()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n"
    client = strange(head.encode() + content)
    facts = {"id": "1", "kind": "classify", "error": None, "state": "done"}
    job = Job(client.wire, facts | {"result": {"heatmaps": [{"label": "a"}]}})
    with pytest.raises(WorkerError, match="is broken"):
        finish(job.fetching())
