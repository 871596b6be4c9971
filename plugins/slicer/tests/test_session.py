"""One task at a time, moved on by calls that never wait."""

import errno
import time

import workers
from held import Held
from MedCNNLib.client import Image, WorkerError
from MedCNNLib.errors import ViewerError
from MedCNNLib.session import Session, Task

BROKEN = WorkerError("It is damaged.", "Send another.", "image")
GONE = WorkerError("The worker ended.", "Start it again.", "connection")


def session_of(worker):
    failed = []
    session = Session(failed.append, worker.start)
    session.configure("/opt/python", ["/data", ""])
    return session, failed


def classify(done):
    return Task("Asking", lambda c: c.submit_classify("image", "model"), done)


def steps(session):
    taken = 0
    while session.is_busy:
        session.step()
        taken += 1
        assert taken < 50
    return taken


def test_a_task_starts_the_worker_and_ends_with_its_job():
    worker = workers.FakeWorker([workers.FakeJob("found")])
    session, failed = session_of(worker)
    told = []
    assert session.run(classify(told.append))
    assert session.words == "Starting the worker ..."
    steps(session)
    assert [job.result() for job in told] == ["found"]
    assert not failed
    assert worker.started_with == [
        {"wait": False, "python": "/opt/python", "folders": ("/data",)}
    ]


def test_progress_is_told_while_a_job_runs():
    session, _ = session_of(workers.FakeWorker([workers.FakeJob("found", polls=5)]))
    session.run(classify(lambda _: None))
    assert session.share is None
    for _ in range(3):
        session.step()
    assert session.share == 0.25
    assert session.words == "Heatmap of aneurysm"


def test_a_second_task_is_not_taken_while_one_runs():
    session, _ = session_of(workers.FakeWorker([workers.FakeJob("found")]))
    assert session.run(classify(lambda _: None))
    assert not session.run(classify(lambda _: None))


def test_a_job_that_fails_tells_both_sentences_and_keeps_the_worker():
    worker = workers.FakeWorker([workers.FakeJob(BROKEN)])
    session, failed = session_of(worker)
    session.run(classify(lambda _: failed.append("done")))
    steps(session)
    assert failed == ["It is damaged. Send another."]
    assert not worker.closed


def test_a_path_outside_is_told_with_what_to_do_in_the_panel():
    """The worker speaks of its command line, which no user of a panel has."""
    outside = WorkerError("It is outside.", "Start it with --folder.", "folder", 403)
    session, failed = session_of(workers.FakeWorker([workers.FakeJob(outside)]))
    session.run(classify(lambda _: None))
    steps(session)
    assert failed[0].startswith("It is outside. Name that folder")
    assert "Your data" in failed[0]
    assert "--folder" not in failed[0]


def test_a_full_disk_is_told_and_the_session_goes_on():
    session, failed = session_of(workers.FakeWorker([workers.FakeJob("found")]))

    def submit(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    session.run(Task("Asking", submit, lambda _: None))
    steps(session)
    assert failed == [
        "The system refused: No space left on device. Check disk and permissions."
    ]
    assert session.run(classify(lambda _: None))


def test_a_worker_killed_in_between_is_told_and_started_again():
    jobs = [workers.FakeJob(None, error=GONE), workers.FakeJob("found")]
    worker = workers.FakeWorker(jobs)
    session, failed = session_of(worker)
    session.run(classify(lambda _: None))
    steps(session)
    assert failed == ["The worker ended. Start it again."]
    told = []
    session.run(classify(told.append))
    steps(session)
    assert len(told) == 1
    assert len(worker.started_with) == 2


def test_a_worker_that_does_not_start_is_told():
    refuses = WorkerError("That Python has no medcnn.", "pip install it.", "start")
    session, failed = session_of(workers.FakeWorker(refuses=refuses))
    session.run(classify(lambda _: None))
    steps(session)
    assert failed == ["That Python has no medcnn. pip install it."]


def test_a_worker_of_another_version_is_told_and_let_go():
    """Once medcnn is brought up to date, the next question starts the new one."""
    refuses = WorkerError(
        "The worker speaks version 2.", "Bring both to one.", "version"
    )
    worker = workers.FakeWorker(refuses=refuses)
    session, failed = session_of(worker)
    session.run(classify(lambda _: None))
    steps(session)
    assert failed == ["The worker speaks version 2. Bring both to one."]
    assert worker.closed


def test_cancel_stops_a_running_job():
    job = workers.FakeJob("found", polls=1000)
    session, failed = session_of(workers.FakeWorker([job]))
    session.run(classify(lambda _: failed.append("done")))
    for _ in range(5):
        session.step()
    session.cancel()
    steps(session)
    assert job.cancelled
    assert failed == ["Stopped."]


def test_cancel_before_the_worker_is_there_stops_too():
    session, failed = session_of(workers.FakeWorker())
    session.run(classify(lambda _: None))
    session.cancel()
    assert not session.is_busy
    assert failed == ["Stopped."]


def test_what_is_dropped_tells_nobody():
    job = workers.FakeJob("found", polls=1000)
    session, failed = session_of(workers.FakeWorker([job]))
    session.run(classify(lambda _: failed.append("done")))
    for _ in range(5):
        session.step()
    session.drop()
    assert job.cancelled
    assert not session.is_busy
    assert not failed


def test_another_python_ends_the_worker():
    worker = workers.FakeWorker([workers.FakeJob("found")])
    session, _ = session_of(worker)
    session.run(classify(lambda _: None))
    steps(session)
    session.configure("/opt/python", ["/data"])
    assert not worker.closed
    session.configure("/other/python", ["/data"])
    assert worker.closed


def test_what_the_viewer_cannot_show_is_told():
    session, failed = session_of(workers.FakeWorker([workers.FakeJob("found")]))

    def done(_):
        msg = "The volume is gone."
        raise ViewerError(msg, hint="Load it again.")

    session.run(classify(done))
    steps(session)
    assert failed == ["The volume is gone. Load it again."]


def test_a_step_never_waits_for_the_worker(real_python):
    """The longest step of a real classification, starting included."""
    failed, told = [], []
    session = Session(failed.append)
    session.configure(real_python, [])
    image = Image(workers.np.zeros((28, 28, 28), "f4"), workers.np.eye(4))
    ask = Task("", lambda c: c.submit_classify(image, "vessel-3d"), told.append)
    session.run(ask)
    until = time.monotonic() + 150
    with Held() as held:
        while session.is_busy and time.monotonic() < until:
            held(session.step)
            time.sleep(0.02)
    session.close()
    assert not failed
    assert told[0].result().labels
    assert held.longest < 0.3
