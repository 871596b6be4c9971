"""medcnn view: what is started, and what is said if it cannot be."""

import json
import socket
import sys

import pytest
from typer.testing import CliRunner

from medcnn.cli import app

LISTED = "os.listdir(os.environ['PYTHONPATH'])"


def run(*given):
    return CliRunner().invoke(app, ["view", *map(str, given)])


@pytest.fixture
def python(tmp_path):
    """A Python with trame-slicer, which writes down what it is asked for."""
    told = tmp_path / "told.json"
    script = tmp_path / "python"
    script.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        "if sys.argv[1] == '-c': sys.exit(0)\n"
        f"told = open({str(told)!r}, 'w')\n"
        "json.dump([sys.argv[1:], os.environ['PYTHONPATH']], told)\n"
        "sys.exit(7)\n"
    )
    script.chmod(0o755)
    return script, told


def test_without_trame_slicer_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["medcnn.cli.view"], "find_spec", lambda _: None)
    answer = run()
    assert answer.exit_code == 1
    assert "this Python has no trame-slicer" in answer.output
    assert "pip install" in answer.output


def test_a_named_python_without_it_is_named(tmp_path):
    answer = run("--python", "/bin/false")
    assert answer.exit_code == 1
    assert "/bin/false has no trame-slicer" in answer.output


def test_a_named_python_that_is_none_is_named(tmp_path):
    answer = run("--python", tmp_path / "none")
    assert answer.exit_code == 1
    assert "cannot be started" in answer.output


def test_a_path_that_is_not_there_is_named(tmp_path, python):
    answer = run(tmp_path / "gone.dcm", "--python", python[0])
    assert answer.exit_code == 1
    assert "gone.dcm does not exist" in answer.output


def test_a_port_in_use_is_told(python):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = run("--python", python[0], "--port", taken.getsockname()[1])
    assert answer.exit_code == 1
    assert "cannot be listened on" in answer.output
    assert "Leave --port out" in answer.output
    assert not python[1].exists()


def test_the_viewer_gets_path_model_and_this_python(tmp_path, python):
    image = tmp_path / "a.nii"
    image.touch()
    script, told = python
    answer = run(image, "--python", script, "--model", "vessel-3d", "--no-browser")
    assert answer.exit_code == 7  # the viewer's own
    command, path = json.loads(told.read_text())
    assert command[:2] == ["-m", "medcnn_trame"]
    assert command[command.index("--medcnn-python") + 1] == sys.executable
    assert command[command.index("--model") + 1] == "vessel-3d"
    assert command[-2:] == ["--", str(image)]
    assert "plugins/trame" in path


def test_installed_it_shows_another_python_the_viewer_alone(python, monkeypatch):
    view = sys.modules["medcnn.cli.view"]
    plugins = view._PLUGINS
    monkeypatch.syspath_prepend(plugins / "trame")
    monkeypatch.syspath_prepend(plugins / "slicer/MedCNN")
    monkeypatch.setattr(view, "_PLUGINS", plugins / "not there")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    script, told = python
    text = script.read_text()
    script.write_text(text.replace("os.environ['PYTHONPATH']", LISTED))
    assert run("--python", script).exit_code == 7
    found = json.loads(told.read_text())[1]
    assert sorted(found) == ["MedCNNLib", "medcnn_trame"]
