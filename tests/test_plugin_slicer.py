"""The Slicer extension's files, as far as they can be judged without Slicer."""

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from packaging.requirements import Requirement

from medcnn.explanation.overlay import colour_scale

ROOT = Path(__file__).parents[1]
PLUGIN = ROOT / "plugins/slicer"
MODULE = PLUGIN / "MedCNN"
LIBRARY = MODULE / "MedCNNLib"
PINS = ROOT.parent / "shared/design/constraints-v5.12.3.txt"

SCRIPTS = sorted([*MODULE.glob("*.py"), *LIBRARY.rglob("*.py")])
IN_SLICER = {"ctk", "numpy", "qt", "slicer", "vtk"}
NAME = "medcnn-imaging"
CATEGORIES = {"Quantification", "Analysis"}


def cmake_list(name):
    """Return the files of a list in the module's CMakeLists.txt."""
    text = (MODULE / "CMakeLists.txt").read_text()
    body = re.search(rf"set\({name}\n(.*?)\)", text, re.DOTALL).group(1)
    return {line.strip().replace("${MODULE_NAME}", "MedCNN") for line in body.split()}


def below(pattern, *suffixes):
    found = {p.relative_to(MODULE).as_posix() for p in MODULE.rglob(pattern)}
    return {p for p in found if Path(p).suffix in suffixes}


def test_every_script_is_packaged():
    assert cmake_list("MODULE_PYTHON_SCRIPTS") == below("*", ".py")


def test_every_resource_is_packaged():
    found = below("*", ".nii", ".png", ".ui")
    assert cmake_list("MODULE_PYTHON_RESOURCES") == found
    assert len([name for name in found if "SampleData" in name]) == 4


def test_sample_data_are_the_phantoms_and_their_checksums_are_right():
    """Slicer compares them at each load; tests of the phantoms say what they are."""
    tree = ast.parse((LIBRARY / "samples.py").read_text())
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    samples = [c for c in calls if ast.unparse(c.func) == "Sample"]
    told = {c.args[1].value: c.args[2].value for c in samples}
    files = {
        path.name: path for path in (MODULE / "Resources/SampleData").glob("*.nii")
    }
    assert set(told) == set(files)
    for name, path in files.items():
        content = path.read_bytes()
        assert content == (ROOT / "sample_data" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == told[name]


def test_the_extension_is_named_alike_everywhere():
    root = (ROOT / "CMakeLists.txt").read_text()
    assert re.search(r"^project\(MedCNN\)$", root, re.MULTILINE)
    for name in ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "DEPENDS"):
        assert re.search(rf'^set\(EXTENSION_{name} ".+"\)$', root, re.MULTILINE)
    assert (PLUGIN / "MedCNN.json").is_file()


def test_addresses_in_the_metadata_lead_to_files_that_exist():
    root = (ROOT / "CMakeLists.txt").read_text()
    for address in re.findall(r"https://medcnn\.example/(\S+?\.png)", root):
        assert (ROOT / address).is_file(), address


def test_the_index_entry_is_what_the_index_takes():
    entry = json.loads((PLUGIN / "MedCNN.json").read_text())
    assert "v1.0.2" in entry["$schema"]
    assert set(entry) == {
        "$schema",
        "build_dependencies",
        "build_subdirectory",
        "category",
        "scm_revision",
        "scm_url",
        "tier",
    }
    assert entry["category"] in CATEGORIES
    assert entry["build_subdirectory"] == "."


def imports_at_file_scope(path):
    """Return the packages that a file imports when it is imported."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_only_what_slicer_brings_is_imported(path):
    own = {"MedCNN", "MedCNNLib"}
    foreign = imports_at_file_scope(path) - own - IN_SLICER - sys.stdlib_module_names
    assert not foreign


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_nothing_runs_or_is_installed_at_import(path):
    tree = ast.parse(path.read_text())
    run = [n for n in tree.body if isinstance(n, ast.Expr) and not _is_text(n.value)]
    assert not run
    called = {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    assert not {name for name in called if "pip_install" in name}


def _is_text(value):
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def test_the_client_alone_needs_no_slicer():
    files = list((LIBRARY / "client").glob("*.py"))
    assert len(files) > 10
    imported = set().union(*map(imports_at_file_scope, files))
    assert not imported & {"slicer", "vtk", "qt"}


def widgets():
    """Return the widgets of the .ui file: name to class."""
    tree = ET.parse(MODULE / "Resources/UI/MedCNN.ui")  # noqa: S314 - ours
    return {w.get("name"): w.get("class") for w in tree.iter("widget")}


def test_every_widget_that_the_code_names_is_in_the_panel():
    named = set()
    for path in SCRIPTS:
        text = path.read_text()
        named |= set(re.findall(r"\bui\.([a-zA-Z]+)\b", text))
        named |= set(re.findall(r'"(\w+(?:Button|Check|Selector))"', text))
    assert len(named) > 20
    assert named <= set(widgets())


def test_the_panel_hands_its_scene_to_every_node_selector():
    tree = ET.parse(MODULE / "Resources/UI/MedCNN.ui")  # noqa: S314 - ours
    told = {
        c.findtext("receiver")
        for c in tree.iter("connection")
        if c.findtext("signal") == "mrmlSceneChanged(vtkMRMLScene*)"
    }
    assert told == {n for n, kind in widgets().items() if kind == "qMRMLNodeComboBox"}


def test_bound_widgets_name_parameters_that_exist():
    tree = ET.parse(MODULE / "Resources/UI/MedCNN.ui")  # noqa: S314 - ours
    bound = {
        p.findtext("string")
        for p in tree.iter("property")
        if p.get("name") == "SlicerParameterName"
    }
    code = ast.parse((MODULE / "MedCNN.py").read_text())
    node = next(n for n in code.body if getattr(n, "name", "") == "MedCNNParameterNode")
    kept = {n.target.id for n in node.body if isinstance(n, ast.AnnAssign)}
    assert bound == {"inputVolume", "opacity", "threshold"}
    assert bound <= kept


def test_heatmaps_have_the_colours_of_the_reports():
    spec = importlib.util.spec_from_file_location("colours", LIBRARY / "colours.py")
    colours = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(colours)
    assert np.abs(colours.COLOURS * 255 - colour_scale()).max() < 2


@pytest.fixture
def bundled():
    """What Slicer 5.12.3 has in its own Python: name to version."""
    if not PINS.is_file():
        pytest.skip("no list of what Slicer 5.12.3 bundles is at hand")
    lines = [line.split(";")[0].strip() for line in PINS.read_text().splitlines()]
    return dict(line.lower().split("==") for line in lines if "==" in line)


@pytest.mark.shared_data
def test_slicer_brings_all_that_the_extension_imports(bundled):
    imported = set().union(*map(imports_at_file_scope, SCRIPTS))
    packages = imported - sys.stdlib_module_names - {"MedCNNLib"}
    assert packages - {"ctk", "qt", "slicer", "vtk"} <= set(bundled)


@pytest.mark.shared_data
def test_medcnn_inside_slicer_would_move_what_slicer_bundles(bundled):
    """Why it lives in another Python."""
    needs = [Requirement(text) for text in importlib.metadata.requires(NAME) or []]
    both = [n for n in needs if n.marker is None and n.name.lower() in bundled]
    moved = {n.name for n in both if bundled[n.name.lower()] not in n.specifier}
    assert {"numpy", "pydicom", "scipy"} <= {n.name for n in both} - moved
    assert moved == {"highdicom"}


# ------------------------------------------------------------------ asked of pip itself


def resolve(*wanted):
    """Ask pip what it would install into Slicer's Python 3.12; nothing is installed.

    Returns:
        Its exit status, what it would install (name to version), what it said.
    """
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--ignore-installed",
    ]
    command += ["--python-version", "3.12", "--only-binary=:all:", "--quiet"]
    command += ["--disable-pip-version-check", "--report", "-", *map(str, wanted)]
    with tempfile.TemporaryDirectory() as folder:  # pip wants to be told one
        command += ["--target", folder]
        told = subprocess.run(command, capture_output=True, check=False, text=True)
    if told.returncode:
        return told.returncode, {}, told.stdout + told.stderr
    installs = json.loads(told.stdout)["install"]
    found = {each["metadata"]["name"].lower(): each for each in installs}
    versions = {name: each["metadata"]["version"] for name, each in found.items()}
    return 0, versions, told.stderr


@pytest.fixture(scope="module")
def index():
    """An index of packages; without one there is nobody to ask."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--retries", "0", "--timeout", "10", "--dest"]
    with tempfile.TemporaryDirectory() as folder:
        told = subprocess.run(
            [*command, folder, "iniconfig"], capture_output=True, check=False
        )
    if told.returncode:
        pytest.skip("no index of packages can be reached")


def needs_of(extra):
    """Return what medcnn with an extra needs, as pyproject.toml says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project["dependencies"] + project["optional-dependencies"][extra]


@pytest.mark.slow
@pytest.mark.shared_data
def test_pip_moves_nothing_in_slicer_for_what_the_extension_imports(bundled, index):
    imported = set().union(*map(imports_at_file_scope, SCRIPTS))
    wanted = imported - sys.stdlib_module_names - {"MedCNNLib", "ctk", "qt"}
    wanted -= {"slicer", "vtk"}
    status, found, said = resolve("-c", PINS, *wanted)
    assert status == 0, said
    assert found == {"numpy": bundled["numpy"]}


@pytest.mark.slow
@pytest.mark.shared_data
def test_pip_finds_medcnn_for_a_python_of_its_own_and_refuses_it_in_slicer(
    bundled, index
):
    needs = needs_of("serve")
    assert {"fastapi", "uvicorn"} <= {Requirement(each).name for each in needs}
    status, found, said = resolve(*needs)
    assert status == 0, said
    assert {"openvino", "pydicom", "fastapi"} <= set(found)
    assert "torch" not in found
    status, _, said = resolve("-c", PINS, *needs)
    assert status
    assert "highdicom" in said
