"""What `pip install` brings: the wheel's content and what it asks for."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_string
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

HEAVY = {"captum", "torch", "monai", "lightning", "onnx", "onnxscript", "onnxruntime"}


@pytest.fixture(scope="module")
def wheel(repository, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(build, cwd=repository, check=True, capture_output=True)
    (path,) = folder.glob("medcnn_imaging-*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def metadata(wheel):
    (name,) = [n for n in wheel.namelist() if n.endswith(".dist-info/METADATA")]
    return message_from_string(wheel.read(name).decode())


@pytest.fixture(scope="module")
def project(repository):
    return tomllib.loads((repository / "pyproject.toml").read_text())["project"]


def names(requirements):
    return {re.sub(r"[-_.]+", "-", Requirement(r).name).lower() for r in requirements}


def imported(folder, *, leave_out=()):
    """Top-level names that the modules in a folder import, anywhere in them."""
    found = set()
    for path in folder.rglob("*.py"):
        if path.relative_to(folder).parts[0] in leave_out:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"medcnn"}


def distributions(modules):
    owners = packages_distributions()
    return {re.sub(r"[-_.]+", "-", owners[name][0]).lower() for name in modules}


def test_the_base_install_has_no_deep_learning_library(metadata):
    base = [r for r in metadata.get_all("Requires-Dist") if "extra ==" not in r]
    assert len(base) > 10
    assert not names(base) & HEAVY


def test_the_wheel_is_called_as_promised(metadata, wheel):
    assert metadata["Name"] == "medcnn-imaging"
    assert metadata["License-Expression"] == "Apache-2.0"
    (scripts,) = [n for n in wheel.namelist() if n.endswith("entry_points.txt")]
    assert "medcnn = medcnn.cli:main" in wheel.read(scripts).decode()


def test_the_wheel_carries_every_file_of_the_package(wheel, repository):
    listed = subprocess.run(
        ["git", "ls-files", "medcnn"], cwd=repository, capture_output=True, check=True
    )
    tracked = {n for n in listed.stdout.decode().split() if (repository / n).exists()}
    assert tracked - set(wheel.namelist()) == set()


@pytest.mark.parametrize("part", ["medcnn/models/chest-xray/", "medcnn/report/"])
def test_the_wheel_carries_what_is_no_python(wheel, part):
    others = [n for n in wheel.namelist() if n.startswith(part) and n[-3:] != ".py"]
    assert others


def test_the_wheel_carries_the_viewers_client_as_slicer_has_it(wheel, repository):
    root = repository / "plugins" / "slicer" / "MedCNN"
    files = list((root / "MedCNNLib" / "client").glob("*.py"))
    assert len(files) > 10
    for path in files:
        name = path.relative_to(root).as_posix()
        assert wheel.read(name) == path.read_bytes(), name


def test_the_client_in_the_wheel_needs_nothing_else_of_it(wheel, tmp_path):
    """Alone in a folder, in a Python that sees NumPy and no medcnn."""
    names = [n for n in wheel.namelist() if n.startswith("MedCNNLib/client/")]
    wheel.extractall(tmp_path, ["MedCNNLib/__init__.py", *names])
    numpy = Path(np.__file__).parents[1]
    code = f"import sys; sys.path += [{str(tmp_path)!r}, {str(numpy)!r}]\n"
    code += "from MedCNNLib.client import Worker, WorkerError\n"
    code += "import MedCNNLib; print(MedCNNLib.__file__, *sorted(sys.modules))"
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    origin, *loaded = told.stdout.split()
    assert origin == str(tmp_path / "MedCNNLib" / "__init__.py")
    assert not {"medcnn", "torch"} & set(loaded)
    own = {n for n in loaded if n.startswith("MedCNNLib.")}
    assert all(n.startswith("MedCNNLib.client") for n in own)


def test_what_reads_and_predicts_imports_only_the_base(project, repository):
    optional = ("gradients", "networks", "training", "engines", "cli", "pacs", "worker")
    used = distributions(imported(repository / "medcnn", leave_out=optional))
    assert used - names(project["dependencies"]) == set()


def test_every_import_is_declared_by_the_base_or_an_extra(project, repository):
    extras = project["optional-dependencies"]
    declared = names(
        [
            *project["dependencies"],
            *extras["dicomweb"],
            *extras["explain"],
            *extras["train"],
            *extras["onnxruntime"],
            *extras["serve"],
        ]
    )
    assert distributions(imported(repository / "medcnn")) - declared == set()


def test_every_dependency_is_pinned_within_its_bounds(project, repository):
    lines = (repository / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    pinned = {re.sub(r"[-_.]+", "-", pin.name).lower(): pin for pin in pins}
    wanted = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        wanted += [r for r in extra if not r.startswith("medcnn")]
    for requirement in map(Requirement, wanted):
        (name,) = names([str(requirement)])
        version = next(iter(pinned[name].specifier)).version
        assert requirement.specifier.contains(version), f"{requirement} but {version}"
    assert str(pinned["torch"].specifier) == "==2.13.0"
    assert all("@" not in line and "://" not in line for line in lines)
