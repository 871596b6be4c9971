"""SafeReader: what medcnn.load says, from a process that may die of it."""

import dataclasses
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import pytest
from dicoms import picture, save
from films import write_films

import medcnn
from medcnn.errors import DecodeError, IsolationError, MedcnnError, ReadError
from medcnn.geometry import Geometry
from medcnn.image import Identity, Image
from medcnn.io import Cells, ReadOptions, describe_study
from medcnn.isolation import Limits, Message, SafeReader, pack, unpack
from medcnn.isolation import process as process_module
from medcnn.isolation.values import error_facts, error_of, image_message, image_of

_HOSTILE = """
import ctypes, os, sys, tempfile, time
import numpy as np
from medcnn.isolation.worker import main
def hostile(event, details):
    if event != "open" or not str(details[0]).endswith(".dcm"): return
    number = os.open(details[0], os.O_RDONLY)
    words = os.read(number, 4)
    os.close(number)
    if words == b"SEGV": ctypes.string_at(0)
    if words == b"HANG": time.sleep(1000)
    if words == b"BOMB": np.ones(1 << 33, np.uint8)
    if words == b"LEAK":
        tempfile.mkdtemp(prefix="leak-")
        print("Doe^John" * 99999, file=sys.stderr)
        ctypes.string_at(0)
    if words == b"ODD!": raise ZeroDivisionError("Doe^John")
is_busy = False
def once(event, details):
    global is_busy
    if is_busy: return
    is_busy = True
    try: hostile(event, details)
    finally: is_busy = False
sys.addaudithook(once)
main()
"""


PATIENCE_S = 8.0
"""Time for one file: also a busy machine reads the good ones in it."""

SOON_S = 30.0
"""Half of what a file may take, and little beside the 1000 s of one that hangs."""


@pytest.fixture
def hostile(monkeypatch):
    """Files that begin with SEGV, HANG, BOMB or ODD! are so in the worker."""
    command = (sys.executable, "-P", "-c", _HOSTILE)
    monkeypatch.setattr(process_module, "WORKER_COMMAND", command)


@pytest.fixture(scope="module")
def reader():
    with SafeReader() as one:
        yield one


def _volume() -> Image:
    """Return an image in which nothing is left at its default."""
    affine = np.array([[0, 0.1, 2.0, -7], [0, 1, 0.3, 1 / 3], [1.5, 0, 0, 5], [0] * 4])
    affine[3, 3] = 1
    values = np.random.default_rng(0).normal(0, 1, (6, 5, 4, 2)).astype(np.float32)
    return Image(
        values.transpose(3, 2, 1, 0)[:1],
        geometry=Geometry((4, 5, 6), affine),
        unit="HU",
        modality="CT",
        facts={"body_part": "CHEST"},
        identity=Identity("P\udcff", None, "1.2", "3"),
        provenance=("one", "two"),
        warnings=("odd",),
        padding=np.arange(120).reshape(4, 5, 6) % 3 == 0,
        source=Path("a\udcff\n/b.dcm"),
    )


def _assert_same(one: Image, other: Image) -> None:
    for part in dataclasses.fields(Image):
        left, right = getattr(one, part.name), getattr(other, part.name)
        if part.name == "geometry" and left is not None:
            assert left.shape == right.shape
            assert (left.affine == right.affine).all()
            assert left.frame is right.frame
        elif isinstance(left, np.ndarray):
            assert left.dtype == right.dtype
            assert left.tobytes() == right.tobytes()
        else:
            assert left == right, part.name


def test_an_image_travels_with_everything_it_has():
    image = _volume()
    message = image_message(image)
    parts = [bytes(part) for part in message.parts]
    _assert_same(image, image_of(Message(message.facts, parts)))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
@pytest.mark.parametrize("step", [1, 2, -1])
def test_an_array_lies_in_memory_as_before_and_is_not_copied(order, step):
    array = np.arange(2 * 3 * 4 * 5, dtype=">i2").reshape(2, 3, 4, 5)
    seen = array.transpose(order)[..., ::step]
    facts, part = pack(seen)
    again = unpack(facts, part)
    assert (again == seen).all()
    assert again.dtype == seen.dtype
    if step == 1:
        assert np.shares_memory(np.frombuffer(part, np.uint8), array)
        assert again.strides == seen.strides


@pytest.mark.parametrize("kind", ["O", "|O", "<U4", "<m8", "<f3", "V8", "i2,i2"])
def test_only_plain_numbers_are_made_of_what_a_worker_sends(kind):
    with pytest.raises(ValueError, match="an array of"):
        unpack({"dtype": kind, "shape": [1], "order": [0]}, bytes(8))


def test_only_errors_of_medcnn_are_made_of_what_a_worker_sends():
    facts = error_facts(DecodeError("broken", path=Path("a"), hint="copy it"))
    assert isinstance(error_of(facts), DecodeError)
    for name in ("SystemExit", "Path", "__all__"):
        with pytest.raises(KeyError):
            error_of(facts | {"kind": name})


def test_files_of_every_kind_are_as_in_process(reader, tmp_path):
    rng = np.random.default_rng(1)
    save(picture(rng.integers(0, 4096, (40, 30), "<u2")), tmp_path / "a.dcm")
    cv2.imwrite(str(tmp_path / "b.png"), rng.integers(0, 255, (9, 7, 3), np.uint8))
    volume = rng.normal(0, 1, (5, 6, 7)).astype(np.float32)
    nib.save(nib.Nifti1Image(volume, np.diag([1, 2, 3, 1])), tmp_path / "c.nii.gz")
    for path in sorted(tmp_path.iterdir()):
        _assert_same(medcnn.load(path), reader.load(path))
        _assert_same(
            medcnn.load_study(path).images[0], reader.load_study(path).images[0]
        )
    (tmp_path / "d.dcm").write_text("no image")
    ours, theirs = reader.load_study(tmp_path), medcnn.load_study(tmp_path)
    assert ours.problems == theirs.problems
    for one, other in zip(ours.images, theirs.images, strict=True):
        _assert_same(one, other)
    assert reader.describe_study(tmp_path) == describe_study(tmp_path)


def test_choices_reach_the_reader_and_wrong_ones_are_said_at_once(reader, phantoms):
    folder = phantoms / "ct_lesion"
    _assert_same(medcnn.load(folder, part=1), reader.load(folder, part=1))
    with pytest.raises(ValueError, match="part counts from 1"):
        reader.load(folder, part=0)
    with pytest.raises(TypeError, match="colour"):
        reader.load(folder, colour=True)
    with pytest.raises(ReadError, match="holds no series 1"):
        reader.load(folder, series="1")
    with pytest.raises(TypeError):
        reader.load(np.zeros((3, 3)))


def test_errors_are_those_of_the_process_itself(reader, tmp_path):
    write_films(tmp_path / "two", 2)
    (tmp_path / "text.dcm").write_text("nothing")
    (tmp_path / "empty.dcm").touch()
    for name in ("two", "text.dcm", "empty.dcm", "none.dcm"):
        with pytest.raises(ReadError) as here:
            medcnn.load(tmp_path / name)
        with pytest.raises(ReadError) as there:
            reader.load(tmp_path / name)
        assert type(here.value) is type(there.value)
        assert vars(here.value) == vars(there.value)


def test_relative_paths_mean_the_folder_of_the_caller(reader, tmp_path, monkeypatch):
    write_films(tmp_path / "here", 1)
    monkeypatch.chdir(tmp_path / "here")
    assert reader.load("film0000.dcm").source == Path("film0000.dcm")
    (problem,) = reader.load_study(".").problems or (None,)
    assert problem is None


def test_limits_and_workers_must_make_sense():
    with pytest.raises(ValueError, match="workers must be at least 1"):
        SafeReader(workers=0)
    with pytest.raises(ValueError, match="timeout_s"):
        SafeReader(Limits(timeout_s=0))


@pytest.mark.slow
@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize(
    ("words", "stage", "told"),
    [
        ("SEGV", "crash", "SIGSEGV"),
        ("HANG", "timeout", f"{PATIENCE_S:g} s"),
        ("BOMB", "memory", "memory"),
    ],
)
def test_what_ends_a_worker_is_an_error_and_the_next_file_is_read(
    tmp_path, words, stage, told
):
    bad = tmp_path / "bad.dcm"
    bad.write_text(words)
    (good,) = write_films(tmp_path, 1)
    timeout_s = PATIENCE_S if words == "HANG" else 60.0
    with SafeReader(Limits(timeout_s=timeout_s, memory_bytes=1 << 30)) as one:
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(IsolationError, match=told) as caught:
                one.load(bad)
            assert time.monotonic() - began < SOON_S
            assert (caught.value.stage, caught.value.path) == (stage, bad)
            assert caught.value.hint
            _assert_same(one.load(good), medcnn.load(good))


@pytest.mark.slow
@pytest.mark.usefixtures("hostile")
def test_a_folder_names_the_files_that_end_a_worker_and_keeps_the_others(tmp_path):
    films = write_films(tmp_path, 4)
    for name, words in {"a_segv": "SEGV", "film0001_hang": "HANG", "z": "SEGV"}.items():
        (tmp_path / f"{name}.dcm").write_text(words)
    (tmp_path / "odd.dcm").write_text("ODD!")
    with SafeReader(Limits(timeout_s=PATIENCE_S)) as one:
        with pytest.raises(DecodeError, match="ZeroDivisionError") as caught:
            one.load(tmp_path / "odd.dcm")
        assert "Doe" not in str(caught.value)
        (tmp_path / "odd.dcm").unlink()
        study = one.load_study(tmp_path)
        found, broken = one.describe_study(tmp_path)
    assert [image.source for image in study.images] == films
    assert [description.source for description in found] == films
    reasons = {path.name: reason for path, reason in study.problems}
    assert dict(study.problems) == dict(broken)
    assert set(reasons) == {"a_segv.dcm", "film0001_hang.dcm", "z.dcm"}
    assert "SIGSEGV" in reasons["a_segv.dcm"]
    assert "longer than 8 s" in reasons["film0001_hang.dcm"]


@pytest.mark.slow
def test_a_worker_that_was_killed_while_idle_is_replaced(tmp_path):
    (film,) = write_films(tmp_path, 1)
    with SafeReader() as one:
        one.load(film)
        process = one._crew._members[0]._process
        process.kill()
        while not process.has_ended:
            time.sleep(0.01)
        _assert_same(one.load(film), medcnn.load(film))


@pytest.mark.slow
@pytest.mark.usefixtures("hostile")
def test_a_worker_that_dies_leaves_nothing_in_the_temporary_folder(
    tmp_path, monkeypatch
):
    (tmp_path / "bad.dcm").write_text("LEAK")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    with SafeReader() as one:
        with pytest.raises(IsolationError, match="SIGSEGV"):
            one.load(tmp_path / "bad.dcm")
        assert not list((tmp_path / "temporary").rglob("leak-*"))
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.slow
def test_several_threads_share_a_reader(tmp_path):
    films = write_films(tmp_path, 12)
    seen: dict[Path, Image] = {}

    def read(one, paths):
        for path in paths:
            seen[path] = one.load(path)

    with SafeReader(workers=2) as one:
        threads = [
            threading.Thread(target=read, args=(one, films[n::3])) for n in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for path in films:
        _assert_same(seen[path], medcnn.load(path))


@pytest.mark.slow
def test_a_reader_that_was_closed_starts_again_and_leaves_no_process(tmp_path):
    (film,) = write_films(tmp_path, 1)
    one = SafeReader()
    for _ in range(2):
        one.load(film)
        process = one._crew._members[0]._process
        assert not process.has_ended
        one.close()
        assert process.has_ended


@pytest.mark.slow
@pytest.mark.usefixtures("hostile")
def test_a_reader_that_is_closed_meanwhile_does_not_wait_for_ever(tmp_path):
    (tmp_path / "hang.dcm").write_text("HANG")
    told = []

    def read(one):
        with pytest.raises(MedcnnError, match="was closed") as caught:
            one.load(tmp_path / "hang.dcm")
        told.append(caught.value)

    with SafeReader() as one:
        threads = [threading.Thread(target=read, args=(one,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(1)
    for thread in threads:
        thread.join(timeout=SOON_S)
    assert len(told) == 4


def test_workers_that_cannot_start_are_said_so_each_time(monkeypatch, tmp_path):
    command = (sys.executable, "-c", "import sys; sys.exit('no numpy here')")
    monkeypatch.setattr(process_module, "WORKER_COMMAND", command)
    with SafeReader() as one:
        for _ in range(2):
            with pytest.raises(MedcnnError, match="cannot be started: no numpy here"):
                one.load(tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("hostile")
def test_ctrl_c_ends_a_reading_at_once(tmp_path):
    (tmp_path / "hang.dcm").write_text("HANG")
    program = (
        "import sys\n"
        "from medcnn.isolation import SafeReader, process\n"
        f"process.WORKER_COMMAND = {process_module.WORKER_COMMAND!r}\n"
        "with SafeReader() as one:\n"
        "    print('ready', flush=True)\n"
        f"    one.load({str(tmp_path / 'hang.dcm')!r})\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        time.sleep(0.5)
        began = time.monotonic()
        child.send_signal(signal.SIGINT)
        _, words = child.communicate(timeout=SOON_S)
    assert b"KeyboardInterrupt" in words
    assert time.monotonic() - began < SOON_S


def test_options_of_the_reader_are_all_carried():
    from medcnn.isolation.reading import _options

    cells = Cells((6, 7), 2, keeps_aspect=True)
    options = ReadOptions(
        "1.2", 3, (4, 5), values=True, resample_tilt=True, allow_gaps=True, cells=cells
    )
    told = json.loads(json.dumps(dataclasses.asdict(options)))
    assert _options(told) == options
