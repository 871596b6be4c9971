"""A run survives being killed, and ends in the same bytes as an unbroken one.

MEDCNN_KILLS=100 makes it the long test.
"""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest
from films import write_films
from screens import begin, folder_bytes, three_bands, worklist_bytes

import medcnn
from medcnn.errors import OutputError
from medcnn.io import Found
from medcnn.screening import Screening, run, source
from medcnn.screening.flow import failed
from medcnn.screening.store import Fingerprint, Finished, Store
from medcnn.screening.wire import Failure, Reading
from medcnn.worklist import read_run, read_worklist

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("MEDCNN_KILLS", "5"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return three_bands(tmp_path_factory.mktemp("models") / "three")


def _unbroken(films, bundle, output):
    run = {"model": bundle, "output": output, "heatmaps": "all", "report": False}
    medcnn.screen(films, **run).run()


def _kill_after(process, lines):
    """Kill a run with -9 once it has said that so many cases are safe."""
    for _ in range(lines):
        process.stdout.readline()
    process.kill()
    process.communicate()
    return process.returncode


def _assert_same(output, oracle, count):
    assert worklist_bytes(output) == worklist_bytes(oracle)
    assert len(list(read_worklist(output / "worklist.csv"))) == count
    for pictures in ("heatmaps", "thumbnails"):
        assert folder_bytes(output / pictures) == folder_bytes(oracle / pictures)
    assert not list(output.rglob("*.tmp"))


def test_a_run_killed_at_random_moments_ends_in_the_same_bytes(bundle, tmp_path):
    films, output, oracle = (tmp_path / name for name in ("films", "out", "oracle"))
    write_films(films, 60)
    _unbroken(films, bundle, oracle)
    rng = random.Random(1)  # noqa: S311 - moments, not secrets
    broken = 0
    while broken < KILLS:
        process = begin(films, bundle, output)
        time.sleep(rng.uniform(0.6, 2.2))
        process.kill()
        process.communicate()
        broken += 1
        if process.returncode == 0:  # it was faster: begin anew
            shutil.rmtree(output)
    _unbroken(films, bundle, output)
    _assert_same(output, oracle, 60)


def test_500_radiographs_killed_twice_end_in_the_same_bytes(bundle, tmp_path):
    films, output, oracle = (tmp_path / name for name in ("films", "out", "oracle"))
    write_films(films, 500)
    _unbroken(films, bundle, oracle)
    killed = []
    for lines in (20, 250):
        process = begin(films, bundle, output, in_step=True)
        killed.append(_kill_after(process, lines))
    assert killed == [-signal.SIGKILL] * 2
    assert not (output / "worklist.csv").exists()
    _unbroken(films, bundle, output)
    _assert_same(output, oracle, 500)
    sessions = read_run(output / "run.json").sessions
    assert [s.ended for s in sessions] == ["broken off", "broken off", "done"]
    assert sum(session.files for session in sessions) == 500


_COUNTING = """
import sys, medcnn
folder, model, output = sys.argv[1:4]
def tell(done, _found):
    print(str(done).ljust(WIDTH), flush=True)
medcnn.screen(folder, model=model, output=output, heatmaps="all", report=False,
              progress=tell).run()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_soon_and_it_can_go_on(bundle, tmp_path, number):
    films, output, oracle = (tmp_path / name for name in ("films", "out", "oracle"))
    write_films(films, 300)
    _unbroken(films, bundle, oracle)
    process = begin(films, bundle, output, script=_COUNTING, in_step=True)
    said = process.stdout.readline()
    while int(said) == 0:
        said = process.stdout.readline()
    process.send_signal(number)
    said += process.communicate(timeout=120)[0]
    assert process.returncode == -number
    assert not (output / "worklist.csv").exists()
    _unbroken(films, bundle, output)
    _assert_same(output, oracle, 300)
    first, second = read_run(output / "run.json").sessions
    assert (first.ended, second.ended) == ("stopped", "done")
    assert int(said.split()[-1]) == first.files < 300


def test_handlers_of_signals_are_as_before_after_a_run(bundle, tmp_path):
    write_films(tmp_path / "films", 2)
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    medcnn.screen(tmp_path / "films", model=bundle, output=tmp_path / "a").run()
    cases = iter(medcnn.screen(tmp_path / "films", model=bundle, output=tmp_path / "b"))
    next(cases)
    now = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    cases.close()
    assert now == before == [signal.getsignal(n) for n in (2, 15)]


def test_two_runs_into_one_folder_are_refused(bundle, tmp_path):
    write_films(tmp_path / "films", 5)
    options = {"model": bundle, "output": tmp_path / "out"}
    first = iter(medcnn.screen(tmp_path / "films", **options))
    next(first)
    with pytest.raises(OutputError, match=r"in use by another .*process \d+") as caught:
        medcnn.screen(tmp_path / "films", **options)
    assert "choose another --output" in caught.value.hint
    assert len(list(first)) == 4
    assert len(list(medcnn.screen(tmp_path / "films", **options))) == 5


def test_a_run_in_another_process_holds_the_folder_until_it_dies(bundle, tmp_path):
    write_films(tmp_path / "films", 200)
    process = begin(tmp_path / "films", bundle, tmp_path / "out", in_step=True)
    process.stdout.readline()
    options = {"model": bundle, "output": tmp_path / "out", "heatmaps": "all"}
    with pytest.raises(OutputError, match=f"process {process.pid}"):
        medcnn.screen(tmp_path / "films", **options)
    process.kill()
    process.communicate()
    assert isinstance(medcnn.screen(tmp_path / "films", **options), Screening)


def test_what_is_yielded_is_safe_already(bundle, tmp_path):
    write_films(tmp_path / "films", 30)
    options = {"model": bundle, "output": tmp_path / "out"}
    cases = iter(medcnn.screen(tmp_path / "films", **options))
    first = next(cases)
    cases.close()  # as a kill would, nothing is tidied up in the store after a yield
    again = list(medcnn.screen(tmp_path / "films", **options))
    assert first in again
    assert len(again) == 30


def test_a_store_that_is_no_store_is_refused(bundle, tmp_path):
    write_films(tmp_path / "films", 1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "screening.sqlite").write_bytes(b"something else" * 100)
    with pytest.raises(OutputError, match="cannot be used: file is not a database"):
        medcnn.screen(tmp_path / "films", model=bundle, output=tmp_path / "out")


def test_a_script_without_a_main_guard_can_screen(bundle, tmp_path):
    write_films(tmp_path / "films", 3)
    process = begin(tmp_path / "films", bundle, tmp_path / "out")
    said, complaints = process.communicate(timeout=60)
    assert said.split() == [f"film{n:04d}.dcm" for n in range(3)]
    assert (process.returncode, complaints) == (0, "")


class _InstantCrew:
    """Says of every file at once that it cannot be read."""

    started = False

    def __init__(self, *_):
        self._numbers = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._numbers = []

    def submit(self, number, _path):
        self._numbers.append(number)

    def poll(self, _timeout_s):
        numbers, self._numbers = self._numbers, []
        return [(n, Reading(failure=Failure("format", "no image"))) for n in numbers]


def test_a_hundred_thousand_files_need_no_more_memory(bundle, tmp_path, monkeypatch):
    count = 100_000

    def found(_paths, **_options):
        return (Found(tmp_path / f"{n:06d}", f"{n:06d}") for n in range(count))

    monkeypatch.setattr(source, "discover", found)
    monkeypatch.setattr(run, "Crew", _InstantCrew)
    options = {"model": bundle, "output": tmp_path / "out", "report": False}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    most_ahead = 0
    for number, case in enumerate(medcnn.screen(tmp_path, **options)):
        most_ahead = max(most_ahead, int(case.path) - number)
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert number == count - 1
    assert most_ahead == 0
    assert grown_kb < 60_000
    assert read_run(tmp_path / "out" / "run.json").counts.error == count


def _finished_run(films, bundle, output, count):
    """Write empty files, and the store of a run that could read none of them."""
    for number in range(count):
        folder = films / f"{number // 1000:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:06d}.dcm").touch()
    medcnn.screen(films, model=bundle, output=output)  # claims the folder
    paths = sorted(films.rglob("*.dcm"))
    states = [Fingerprint(0, path.stat().st_mtime_ns) for path in paths]
    names = [path.relative_to(films).as_posix() for path in paths]
    cases = [failed(name, Failure("open", "it is empty")) for name in names]
    with Store(output) as store:
        session = store.begin_session("2026-01-01T00:00:00+00:00")
        store.commit(map(Finished, cases, states), session, 1.0)
        store.end_session(session, "done", 1.0)
    medcnn.screen(films, model=bundle, output=output).run()  # the final files


def _cheapest_s(work, times=3):
    """Return the least processor time that some work takes, in seconds."""
    spent = []
    for _ in range(times):
        before = time.process_time()
        work()
        spent.append(time.process_time() - before)
    return min(spent)


def test_a_finished_run_is_started_again_at_little_more_than_looking_at_its_files(
    bundle, tmp_path
):
    films, output, count = tmp_path / "films", tmp_path / "out", 20_000
    _finished_run(films, bundle, output, count)
    published = worklist_bytes(output), (output / "worklist.csv").stat().st_mtime_ns

    def again():
        run = medcnn.screen(films, model=bundle, output=output, progress=lambda *_: 0)
        assert run.run().counts.error == count

    def look():
        for folder, _, names in os.walk(films):
            for name in sorted(names):
                os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118 - the least

    # docs/screening.md: 20 looks at the most, or, where the system looks quicker than
    # Python computes, the 5 s for 100,000 files that these are elsewhere
    most_s = max(20 * _cheapest_s(look), 5 * count / 100_000)
    assert _cheapest_s(again) < most_s
    after = worklist_bytes(output), (output / "worklist.csv").stat().st_mtime_ns
    assert after == published


def test_readers_end_when_the_run_is_killed(bundle, tmp_path):
    write_films(tmp_path / "films", 200)
    process = begin(tmp_path / "films", bundle, tmp_path / "out", in_step=True)
    process.stdout.readline()
    readers = _children(process.pid)
    assert readers
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and any(_is_alive(pid) for pid in readers):
        time.sleep(0.05)
    assert not any(_is_alive(pid) for pid in readers)


def _children(pid):
    if sys.platform != "linux":
        pytest.skip("needs /proc")
    command = ["ps", "-o", "pid=", "--ppid", str(pid)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def _is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
