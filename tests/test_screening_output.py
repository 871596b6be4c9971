"""A full disk, a locked folder: one clear sentence, and nothing finished is lost."""

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import chain
from pathlib import Path

import pytest
from dicoms import picture, save
from films import film_pixels, write_films
from screens import ROOT, begin, three_bands, worklist_bytes

import medcnn
from medcnn.errors import MedcnnError, OutputError, ReadError
from medcnn.io import Found, discover
from medcnn.isolation import process as process_module
from medcnn.screening import republish, source
from medcnn.worklist import read_errors, read_run, read_worklist

pytestmark = pytest.mark.slow

NOBODY = 65534


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return three_bands(tmp_path_factory.mktemp("models") / "three")


@pytest.fixture
def tmpfs(tmp_path):
    """A function that mounts a file system of so many bytes, or changes its size."""
    folder = tmp_path / "small"
    folder.mkdir()

    def mount(size, *, again=False):
        options = f"{'remount,' if again else ''}size={size}"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
        return folder

    yield mount
    subprocess.run(["umount", str(folder)], capture_output=True, check=False)


def _as_nobody():
    """Return a command prefix that runs a process as another user, or skip."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv to act as another user")
    who = f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"
    return ("setpriv", *who)


def _nobody_starts_python():
    """Say whether another user may start this interpreter a second time."""
    again = "import subprocess as s, sys; s.run([sys.executable, '-c', ''], check=True)"
    command = [*_as_nobody(), sys.executable, "-c", again]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def open_folder(bundle):
    """A folder that other users reach, with a copy of the model in it.

    pytest's own folders are for their owner alone.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(bundle, folder / "model")
        for path in folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        folder.chmod(0o755)
        yield folder


@pytest.mark.parametrize("size", ["100k", "300k", "600k"])
def test_a_full_disk_is_said_so_and_the_run_goes_on_when_there_is_room(
    bundle, tmp_path, tmpfs, size
):
    write_films(tmp_path / "films", 150)
    options = {"model": bundle, "heatmaps": "all", "report": False}
    medcnn.screen(tmp_path / "films", output=tmp_path / "oracle", **options).run()
    small = tmpfs(size)
    with pytest.raises(
        OutputError, match="cannot be written: the disk is full"
    ) as told:
        medcnn.screen(tmp_path / "films", output=small / "out", **options).run()
    assert str(small) in told.value.message
    assert "Free some space" in told.value.hint
    assert not (small / "out" / "worklist.csv").exists()
    assert not list(small.rglob("*.tmp"))
    tmpfs("20m", again=True)
    record = medcnn.screen(tmp_path / "films", output=small / "out", **options).run()
    assert record.counts.images == 150
    assert worklist_bytes(small / "out") == worklist_bytes(tmp_path / "oracle")


def test_a_disk_that_fills_up_late_loses_nothing_that_was_safe(
    bundle, tmp_path, tmpfs, monkeypatch
):
    # however fast the machine, something is committed before the disk is full
    monkeypatch.setattr("medcnn.screening.flow._MOST_OF_A_BURST", 8)
    write_films(tmp_path / "films", 300)
    small = tmpfs("1500k")
    options = {"model": bundle, "output": small / "out", "heatmaps": "all"}
    safe = []
    with pytest.raises(OutputError, match="the disk is full"):
        safe.extend(medcnn.screen(tmp_path / "films", **options))
    assert 0 < len(safe) < 300
    tmpfs("50m", again=True)
    cases = list(medcnn.screen(tmp_path / "films", **options))
    assert cases[: len(safe)] == safe
    sessions = read_run(small / "out" / "run.json").sessions
    assert sum(session.files for session in sessions) == len(cases) == 300


def test_an_output_that_is_a_file_is_refused_and_left_alone(bundle, tmp_path):
    write_films(tmp_path / "films", 1)
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="a file is where a folder is needed"):
        medcnn.screen(tmp_path / "films", model=bundle, output=tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_an_output_that_may_not_be_written_is_refused(open_folder):
    films, output = open_folder / "films", open_folder / "out"
    write_films(films, 1)
    output.mkdir(mode=0o755)
    process = begin(films, open_folder / "model", output, before=_as_nobody())
    _, complaints = process.communicate(timeout=60)
    last = complaints.strip().splitlines()[-1]
    assert "OutputError" in last
    assert f"{output} cannot be written: this user may not write there" in last
    assert list(output.iterdir()) == []


_UNREADABLE = """
import sys, medcnn
from medcnn.errors import MedcnnError
try:
    medcnn.screen(sys.argv[1], model=sys.argv[2], output=sys.argv[3]).run()
except MedcnnError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def _screen_as_nobody(open_folder):
    """Screen its films as another user; return exit status and complaints."""
    output = open_folder / "out"
    output.mkdir()
    output.chmod(0o777)
    process = begin(
        open_folder / "films",
        open_folder / "model",
        output,
        script=_UNREADABLE,
        before=_as_nobody(),
    )
    _, complaints = process.communicate(timeout=60)
    return process.returncode, complaints


def test_a_folder_that_may_not_be_read_is_refused(open_folder):
    write_films(open_folder / "films", 1)
    (open_folder / "films").chmod(0o700)
    status, complaints = _screen_as_nobody(open_folder)
    assert status == 1
    assert complaints.startswith(ReadError.__name__)
    assert "films gives nothing to screen: the folder cannot be read" in complaints


def test_what_may_not_be_read_inside_a_folder_is_a_row_until_it_may(open_folder):
    if not _nobody_starts_python():
        pytest.skip("other users may not start this interpreter")
    films, output = open_folder / "films", open_folder / "out"
    write_films(films, 2)
    write_films(films / "ward", 3)
    (films / "ward").chmod(0o700)
    (films / "film0001.dcm").chmod(0o600)
    assert _screen_as_nobody(open_folder) == (0, "")
    errors = {row.path: row for row in read_errors(output / "errors.csv")}
    assert set(errors) == {"ward", "film0001.dcm"}
    assert "may not be read" in errors["film0001.dcm"].error
    assert "cannot be read: Permission denied" in errors["ward"].error
    assert all(row.hint for row in errors.values())
    (films / "ward").chmod(0o755)
    options = {"model": open_folder / "model", "output": output}
    again = medcnn.screen(films, **options, retry_errors=True)
    assert again.run().counts.error == 0
    assert len(list(read_worklist(output / "worklist.csv"))) == 5


def test_a_file_that_may_not_be_read_is_a_row(bundle, open_folder, monkeypatch):
    if os.geteuid() != 0:
        pytest.skip("needs root to act as another user")
    films = open_folder / "films"
    write_films(films, 2)
    (films / "film0001.dcm").chmod(0o600)
    program = (
        "import os; from medcnn.isolation.worker import main\n"
        "from medcnn.screening.reader import load\n"
        f"load({str(films / 'film0000.dcm')!r})  # so that all is imported\n"
        f"os.setgroups([]); os.setuid({NOBODY}); main()"
    )
    monkeypatch.setattr(
        process_module, "WORKER_COMMAND", (sys.executable, "-c", program)
    )
    good, bad = medcnn.screen(films, model=bundle, output=open_folder / "out")
    assert (good.stage, bad.stage) == ("", "open")
    assert "film0001.dcm may not be read by this user" in bad.reason


def test_a_folder_that_could_not_be_read_is_a_row_until_it_can(
    bundle, tmp_path, monkeypatch
):
    films, output = tmp_path / "films", tmp_path / "out"
    write_films(films, 2)
    write_films(films / "ward", 3)
    locked = Found(films / "ward", "ward", "the folder cannot be read: locked")

    def partly(paths, **_options):
        inside = (f for f in discover(paths) if "ward" not in f.path.parts)
        return chain(inside, [locked])

    options = {"model": bundle, "output": output}
    with monkeypatch.context() as patched:
        patched.setattr(source, "discover", partly)
        for _ in range(2):
            assert medcnn.screen(films, **options).run().counts.images == 3
        (row,) = read_errors(output / "errors.csv")
        assert (row.path, row.stage) == ("ward", "folder")
    assert medcnn.screen(films, **options).run().counts.error == 0
    assert len(list(read_worklist(output / "worklist.csv"))) == 5


def test_a_stored_run_can_be_published_again_without_its_model(bundle, tmp_path):
    films, output = tmp_path / "films", tmp_path / "out"
    write_films(films, 4)
    medcnn.screen(films, model=bundle, output=output).run()
    before = worklist_bytes(output)
    for name in ("worklist.csv", "errors.csv", "run.json", "report.html"):
        (output / name).unlink()
    program = (
        "import sys; from medcnn.screening import republish; republish(sys.argv[1])"
    )
    program += "; assert not {'torch', 'openvino'} & set(sys.modules)"
    command = [sys.executable, "-c", program, str(output)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert worklist_bytes(output) == before
    assert read_run(output / "run.json").counts.images == 4
    assert (output / "report.html").stat().st_size > 1000


def test_the_report_offers_what_headers_say_as_subgroups(bundle, tmp_path):
    (tmp_path / "films").mkdir()
    for number, maker in enumerate(("Acme", "Acme", "Best")):
        one = picture(film_pixels(number), BodyPartExamined="CHEST", Manufacturer=maker)
        save(one, tmp_path / f"films/{number}.dcm")
    medcnn.screen(tmp_path / "films", model=bundle, output=tmp_path / "out").run()

    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    groups = {group["name"]: group["values"] for group in data["groups"]}
    assert groups == {"Device": ["Acme", "Best"]}  # all else is the same for all
    devices = {row[1]: groups["Device"][row[9][0]] for row in data["rows"]}
    assert devices == {"0.dcm": "Acme", "1.dcm": "Acme", "2.dcm": "Best"}


@pytest.mark.parametrize("name", ["report.html", "worklist.csv", "run.json"])
def test_a_final_file_that_was_deleted_comes_back(bundle, tmp_path, name):
    write_films(tmp_path / "films", 2)
    options = {"model": bundle, "output": tmp_path / "out"}
    medcnn.screen(tmp_path / "films", **options).run()
    (tmp_path / "out" / name).unlink()
    medcnn.screen(tmp_path / "films", **options).run()
    assert (tmp_path / "out" / name).is_file()


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EWOULDBLOCK, "is in use"), (errno.ENOLCK, "cannot be locked: No locks")],
)
def test_a_file_system_without_locks_is_told_from_a_second_run(
    bundle, tmp_path, monkeypatch, number, words
):
    write_films(tmp_path / "films", 1)

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(OutputError, match=words):
        medcnn.screen(tmp_path / "films", model=bundle, output=tmp_path / "out")


def test_a_disk_without_room_for_a_lock_is_said_so(bundle, tmp_path, tmpfs):
    write_films(tmp_path / "films", 1)
    small = tmpfs("16k")
    (small / "out").mkdir()
    with pytest.raises(OSError, match="No space"):
        (small / "rest").write_bytes(bytes(1 << 20))
    with pytest.raises(OutputError, match="the disk is full"):
        medcnn.screen(tmp_path / "films", model=bundle, output=small / "out")


def test_without_a_temporary_folder_the_run_ends_with_a_reason(
    bundle, tmp_path, monkeypatch
):
    write_films(tmp_path / "films", 3)
    run = medcnn.screen(tmp_path / "films", model=bundle, output=tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
        with pytest.raises(MedcnnError, match="temporary folder") as told:
            run.run()
    assert "TMPDIR" in told.value.hint
    assert run.run().counts.images == 3


def test_a_folder_without_a_run_cannot_be_published(tmp_path):
    with pytest.raises(OutputError, match="holds no screening run"):
        republish(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_locked_folder_does_not_keep_others_from_being_screened(
    bundle, tmp_path, monkeypatch
):
    write_films(tmp_path / "open", 1)
    (tmp_path / "locked").mkdir()
    look = os.scandir

    def refuse(folder):
        if str(folder).endswith("locked"):
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return look(folder)

    monkeypatch.setattr("os.scandir", refuse)
    for order in (("locked", "open"), ("open", "locked")):
        paths = [tmp_path / name for name in order]
        run = medcnn.screen(paths, model=bundle, output=tmp_path / order[0] / ".out")
        found = {case.path: case.stage for case in run}
        assert found == {"locked": "folder", "open/film0000.dcm": ""}
