"""medcnn.training.together: processes that plan, train and fail as one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from lightning import Fabric
from trainings import RECIPE, write_blobs

from medcnn.errors import DataError, MedcnnError
from medcnn.training.together import Failures, agree

SCRIPT = """
import os, sys, time
from pathlib import Path
from trainings import RECIPE
import medcnn.training.run as run
from medcnn.errors import RecipeError
from medcnn.training import Recipe, train

me = int(os.environ.get("LOCAL_RANK", 0))
data, output, recipe, what = sys.argv[1:]
if what == "second fails" and me == 1:
    def broken(*_):
        raise RecipeError("made to fail", hint="Mend the test.")
    run._train_one = broken
if what == "second counts otherwise" and me == 1:
    import medcnn.training.planned as planned
    def never(*_, **__):
        raise AssertionError("the second process plans")
    planned.fingerprint = planned.make_plan = never
try:
    wanted = Recipe.model_validate_json(recipe)
    train(Path(data), output=output, recipe=wanted, device="cpu")
except Exception as error:
    sys.stderr.write(f"[{me}] {type(error).__name__}: {error}\\n")
    sys.exit(3)
"""


def two(tmp_path, what, **more):
    """Train with two processes; return the exit code and what both said."""
    raw = json.loads(json.dumps(RECIPE)) | {"progressive": []}
    raw["optimiser"] |= {"epochs": 1}
    raw["run"] = {"precision": "32", "devices": 2}
    raw |= more
    blobs = write_blobs(tmp_path, count=60)
    path = f"{Path.cwd()}:{Path(__file__).parent}"
    script = tmp_path / "two.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, blobs, tmp_path / "model", json.dumps(raw), what],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.slow
def test_only_the_first_process_plans(tmp_path):
    code, said = two(tmp_path, "second counts otherwise")
    assert code == 0, said
    assert (tmp_path / "model" / "plan.json").is_file()


@pytest.mark.slow
def test_an_error_of_the_first_reaches_all_before_the_training(tmp_path):
    code, said = two(tmp_path, "", labels=["no such"])
    assert code == 3
    assert "[0] DataError" in said
    assert "[1] MedcnnError: process 1 of 2 failed:" in said
    assert said.count("no column 'no such'") == 2
    assert "Traceback" not in said


@pytest.mark.slow
def test_an_error_of_the_second_reaches_the_first_while_it_trains(tmp_path):
    code, said = two(tmp_path, "second fails")
    assert code == 3
    assert "[1] RecipeError: made to fail Mend the test." in said
    assert "[0] MedcnnError: process 2 of 2 failed: made to fail Mend" in said


def test_one_process_alone_raises_what_it_found():
    def fail():
        msg = "wrong"
        raise DataError(msg)

    fabric = Fabric(accelerator="cpu", devices=1)
    assert agree(fabric, lambda: 3) == 3
    with pytest.raises(DataError, match="wrong"):
        agree(fabric, fail)


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
