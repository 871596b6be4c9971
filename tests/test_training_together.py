"""medcnn.training.together: processes that plan, train and fail as one."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lightning import Fabric
from orthancs import free_port
from trainings import RECIPE, write_blobs

from medcnn.errors import DataError, MedcnnError
from medcnn.training.together import Failures, agree

_PATIENCE = 840
"""Seconds after which each process ends itself and says where it stood."""

SCRIPT = f"""
import faulthandler
faulthandler.dump_traceback_later({_PATIENCE}, exit=True)
"""
SCRIPT += """
import os, sys, time
from pathlib import Path
import trainings  # one thread each
import medcnn.training.planned as planned
import medcnn.training.run as run
import medcnn.training.together as together
from medcnn.errors import RecipeError
from medcnn.training import Recipe, train

me = int(os.environ.get("LOCAL_RANK", 0))
data, output, recipe, what = sys.argv[1:]
together._LOOK_SECONDS, together._GRACE_SECONDS = 0.1, 0.5
parent = os.getppid()

def never(*_, **__):
    raise AssertionError("the second process plans")

def broken(*_):
    raise RecipeError("made to fail", hint="Mend the test.")

if me == 1:
    planned.fingerprint = planned.make_plan = never
    if what == "second fails":
        run._train_one = broken
try:
    wanted = Recipe.model_validate_json(recipe)
    train(Path(data), output=output, recipe=wanted, device="cpu")
except Exception as error:
    sys.stderr.write(f"[{me}] {type(error).__name__}: {error}\\n")
    sys.stderr.flush()
    for _ in range(600 if what == "second fails" and me == 1 else 0):
        if os.getppid() != parent:  # the first has ended, though this one has not
            break
        time.sleep(0.1)
    os._exit(3)
"""


def among_two(path):
    """What both processes have in their environment: one thread, and where they meet.

    The port is one that no connection of this machine is given by chance in between.
    """
    port = str(free_port())
    return {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "MASTER_PORT": port}


def two(tmp_path, what, **more):
    """Train with two processes; return the exit code and what both said."""
    raw = json.loads(json.dumps(RECIPE)) | {"progressive": []}
    raw["network"] = {"name": "basic_cnn", "arguments": {"width": 4, "depth": 2}}
    raw["optimiser"] |= {"epochs": 1}
    raw["report"] = {"baselines": False}
    raw["run"] = {"precision": "32", "devices": 2}
    raw |= more
    blobs = write_blobs(tmp_path, count=40)
    path = f"{Path.cwd()}:{Path(__file__).parent}"
    script = tmp_path / "two.py"
    script.write_text(SCRIPT)
    words = [sys.executable, script, blobs, tmp_path / "model", json.dumps(raw), what]
    done = subprocess.run(
        words,
        env={**os.environ, **among_two(path)},
        stderr=subprocess.PIPE,
        text=True,
        timeout=_PATIENCE + 60,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.slow
def test_only_the_first_process_plans(tmp_path):
    code, said = two(tmp_path, "")
    assert code == 0, said
    assert (tmp_path / "model" / "plan.json").is_file()
    assert "2 processes" in said


@pytest.mark.slow
def test_an_error_of_the_first_reaches_all_before_the_training(tmp_path):
    code, said = two(tmp_path, "", labels=["no such"])
    assert code == 3, said
    assert "[0] DataError" in said
    assert "[1] MedcnnError: process 1 of 2 failed:" in said
    assert said.count("no column 'no such'") == 2
    assert "Traceback" not in said


@pytest.mark.slow
def test_an_error_of_the_second_ends_the_first_that_waits_for_it(tmp_path):
    code, said = two(tmp_path, "second fails")
    assert code == 1, said
    assert "[1] RecipeError: made to fail. Mend the test." in said
    assert "medcnn: process 2 of 2 failed: made to fail" in said
    assert not (tmp_path / "model").exists()


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Return a first of two processes whose watch is quick, and the codes it ends with.

    In the test's own process the end is only noted.
    """
    codes = []
    monkeypatch.setattr("medcnn.training.together.dist.barrier", lambda: None)
    monkeypatch.setattr("medcnn.training.together._GRACE_SECONDS", 0.1)
    monkeypatch.setattr("medcnn.training.together._LOOK_SECONDS", 0.02)
    monkeypatch.setattr("medcnn.training.together.os._exit", codes.append)
    return Failures(tmp_path, 0, 2), codes


def waits(until, seconds=20.0):
    """Wait as one who is stuck in a library would."""
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(until())


def test_a_process_that_waits_for_one_that_failed_is_ended_with_its_sentence(
    watched, capfd
):
    failures, codes = watched
    with failures.shared():
        said = json.dumps({"message": "disk full", "hint": "Make room."})
        (failures.folder / "failed-1.json").write_text(said)
        assert waits(lambda: codes)
    assert set(codes) == {1}
    assert "medcnn: process 2 of 2 failed: disk full" in capfd.readouterr().err


def test_the_watch_ends_nobody_else_and_not_after_the_training(watched):
    failures, codes = watched
    with failures.shared():
        own = json.dumps({"message": "an old one of this process", "hint": ""})
        (failures.folder / "failed-0.json").write_text(own)
        assert not waits(lambda: codes, seconds=0.5)
    said = json.dumps({"message": "failed later", "hint": ""})
    (failures.folder / "failed-1.json").write_text(said)
    assert not waits(lambda: codes, seconds=0.5)


def test_what_an_earlier_training_told_is_forgotten(watched):
    failures, _ = watched
    (failures.folder / "failed-0.json").write_text("{}")
    with failures.shared():
        assert list(failures.folder.glob("failed-*")) == []


def test_one_process_alone_raises_what_it_found():
    def fail():
        msg = "wrong"
        raise DataError(msg)

    fabric = Fabric(accelerator="cpu", devices=1)
    assert agree(fabric, lambda: 3) == 3
    with pytest.raises(DataError, match="wrong"):
        agree(fabric, fail)


def test_what_only_the_first_process_runs_into_is_told_to_the_others(monkeypatch):
    class First:
        world_size, is_global_zero = 2, True

    sent = []
    monkeypatch.setattr(
        "medcnn.training.together.dist.broadcast_object_list",
        lambda content, src: sent.append((content, src)),
    )

    def fail():
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        agree(First(), fail)
    words = "OSError: [Errno 28] No space left on device"
    assert sent == [([None, (words, "")], 0)]


def test_a_broken_connection_is_the_others_sentence_or_said_to_be_silence(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("medcnn.training.together.dist.barrier", lambda: None)
    monkeypatch.setattr("medcnn.training.together._GRACE_SECONDS", 0.2)
    monkeypatch.setattr("medcnn.training.together._LOOK_SECONDS", 0.1)

    def break_off():
        msg = "gloo: Connection closed by peer"
        with Failures(tmp_path, 0, 2).shared():
            raise RuntimeError(msg)

    with pytest.raises(MedcnnError, match="another of 2 processes has ended"):
        break_off()
    said = {"message": "no space left", "hint": ""}
    (tmp_path / "failed-1.json").write_text(json.dumps(said))
    with pytest.raises(MedcnnError, match="process 2 of 2 failed: no space left"):
        break_off()


def test_an_error_of_ones_own_is_told_and_raised_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("medcnn.training.together.dist.barrier", lambda: None)
    for error, match in (
        (OSError("disk gone"), "disk gone"),
        (RuntimeError("shapes differ"), "shapes differ"),
        (DataError("no image", hint="Look."), "no image"),
    ):
        failures = Failures(tmp_path, 1, 2)
        with pytest.raises(type(error), match=match), failures.shared():
            raise error
        told = json.loads((tmp_path / "failed-1.json").read_text())
        assert match in told["message"]
