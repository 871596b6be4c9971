"""A Python with medcnn is found, made from a folder of wheels, and deleted again."""

import sys
import time
import zipfile

import pytest
from held import Held
from MedCNNLib import environment
from MedCNNLib.environment import Making, find_python, python_in, remove
from MedCNNLib.errors import ViewerError

NAME = "medcnn_imaging-9.9"


@pytest.fixture
def wheels(tmp_path):
    """A folder with a wheel of medcnn's name that holds nearly nothing."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    info = f"{NAME}.dist-info"
    about = "Metadata-Version: 2.1\nName: medcnn-imaging\nVersion: 9.9\n"
    about += "Provides-Extra: serve\nProvides-Extra: train\n"
    kind = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
    kind += "Tag: py3-none-any\n"
    files = {
        "medcnn/__init__.py": "",
        "medcnn/service.py": "",
        f"{info}/METADATA": about,
        f"{info}/WHEEL": kind,
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / f"{NAME}-py3-none-any.whl", "w") as wheel:
        for name, text in (files | {f"{info}/RECORD": record}).items():
            wheel.writestr(name, text)
    return folder


def follow(making):
    shares = [making.share]
    with Held() as held:
        while not making.finished:
            held(making.step)
            shares.append(making.share)
            time.sleep(0.02)
    return shares, held.longest


def test_one_is_made_of_a_folder_of_wheels_and_deleted(tmp_path, wheels):
    folder = tmp_path / "python"
    making = Making(sys.executable, folder, extras="serve,train", wheels=str(wheels))
    shares, longest = follow(making)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert longest < 0.3
    assert python_in(folder).is_file()
    assert find_python(str(python_in(folder))) == str(python_in(folder))
    remove(folder)
    assert not folder.exists()


def test_wheels_that_lack_it_are_told_and_nothing_is_left(tmp_path):
    empty = tmp_path / "wheels"
    empty.mkdir()
    folder = tmp_path / "python"
    with pytest.raises(ViewerError, match="pip could not install medcnn") as told:
        follow(Making(sys.executable, folder, wheels=str(empty)))
    assert "folder of wheels" in told.value.hint
    assert not folder.exists()


def test_the_error_of_pip_is_told_and_not_its_notice(tmp_path):
    """Pip's last line may be that there is a newer pip."""
    python = tmp_path / "base"
    python.write_text(
        "#!/bin/sh\ncase $2 in *version_info*) exit 0;; esac\n"
        "echo 'ERROR: no space left'; echo '[notice] there is a newer pip'; exit 1\n"
    )
    python.chmod(0o755)
    with pytest.raises(ViewerError, match="ERROR: no space left"):
        follow(Making(str(python), tmp_path / "python"))


def test_a_base_that_is_no_python_is_told(tmp_path):
    with pytest.raises(ViewerError, match="cannot be started"):
        follow(Making(str(tmp_path / "none"), tmp_path / "python"))


def test_a_base_that_fails_is_told(tmp_path):
    with pytest.raises(ViewerError, match=r"older than Python 3\.11"):
        follow(Making("/bin/false", tmp_path / "python"))


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ViewerError, match="is not empty"):
        Making(sys.executable, tmp_path)
    with pytest.raises(ViewerError, match="was not made by this extension"):
        remove(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ViewerError, match="cannot be written") as told:
        Making(sys.executable, tmp_path / "file" / "python")
    assert "let yourself write there" in told.value.hint


def test_stopping_leaves_nothing(tmp_path, wheels):
    making = Making(sys.executable, tmp_path / "python", wheels=str(wheels))
    making.step()
    making.step()
    making.stop()
    assert making.finished
    assert not (tmp_path / "python").exists()


def test_slicer_variables_do_not_reach_the_other_python(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    making = Making(sys.executable, tmp_path / "python")
    making.step()
    while making.share == 0:
        making.step()
    making.stop()


def test_the_python_named_by_the_environment_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDCNN_PYTHON", sys.executable)
    assert find_python(str(tmp_path / "gone")) == sys.executable


def test_without_any_nothing_is_found(tmp_path, monkeypatch):
    monkeypatch.delenv("MEDCNN_PYTHON", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(environment, "default_folder", lambda: tmp_path / "none")
    assert find_python() == ""
    assert environment.base_pythons() == []
