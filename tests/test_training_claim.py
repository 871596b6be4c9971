"""medcnn.training.claim: one training at a time in a folder, and always the same."""

import subprocess
import sys
from pathlib import Path

import pytest

from medcnn.errors import OutputError
from medcnn.training import Recipe
from medcnn.training.claim import claim

HOLD = """
import sys
from pathlib import Path
from medcnn.training import Recipe
from medcnn.training.claim import claim

with claim(Path(sys.argv[1]), Recipe(), "data"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    output = tmp_path / "model"
    command = [sys.executable, "-c", HOLD, str(output)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout.readline() == "held\n"
        with (
            pytest.raises(OutputError, match="in use by another medcnn train"),
            claim(output, Recipe(), "data"),
        ):
            pass
        first.kill()
    with claim(output, Recipe(), "data") as work:
        assert work == tmp_path / "model.work"


def test_another_training_is_refused(tmp_path):
    with claim(tmp_path / "model", Recipe(), "data"):
        pass
    with (
        pytest.raises(OutputError, match="another recipe or other data"),
        claim(tmp_path / "model", Recipe(), "other data"),
    ):
        pass
    with (
        pytest.raises(OutputError, match="another recipe or other data"),
        claim(tmp_path / "model", Recipe(seed=1), "data"),
    ):
        pass


def test_what_somebody_put_in_the_output_meanwhile_is_not_removed(tmp_path):
    output = tmp_path / "model"
    with claim(output, Recipe(), "data"):
        pass
    output.mkdir()
    (output / "notes.txt").write_text("mine")
    with (
        pytest.raises(OutputError, match="exists and holds something else"),
        claim(output, Recipe(), "data"),
    ):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": 1}'])
def test_a_damaged_note_is_one_sentence(tmp_path, text):
    output = tmp_path / "model"
    with claim(output, Recipe(), "data") as work:
        pass
    (work / "run.json").write_text(text)
    with pytest.raises(OutputError), claim(output, Recipe(), "data"):
        pass


@pytest.mark.parametrize("output", [".", "/"])
def test_an_output_without_a_name_is_refused(output):
    with (
        pytest.raises(OutputError, match="no name of its own"),
        claim(Path(output), Recipe(), "data"),
    ):
        pass
