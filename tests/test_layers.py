"""The layers of docs/architecture.md hold, and the guard notices if they do not."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

COMMAND = [Path(sys.executable).parent / "lint-imports", "--no-logo", "--no-cache"]


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    # COLUMNS keeps rich from breaking names at 80 characters.
    return subprocess.run(
        COMMAND,
        cwd=root,
        env={**os.environ, "COLUMNS": "400", "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def copy_of_the_code(repository, tmp_path_factory):
    root = tmp_path_factory.mktemp("layers")
    shutil.copy(repository / "pyproject.toml", root)
    sources = shutil.ignore_patterns("__pycache__", "models")
    shutil.copytree(repository / "medcnn", root / "medcnn", ignore=sources)
    return root


@pytest.mark.slow
def test_every_contract_is_kept(repository):
    found = lint_imports(repository)
    assert found.returncode == 0, found.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("results", "import medcnn.cli", "Imports point down BROKEN"),
        ("utils", "", "medcnn.utils"),
        (
            "io/nifti/write",
            "import medcnn.io.raster",
            "Readers do not know each other BROKEN",
        ),
        ("metrics/roc", "import torch", "need no deep-learning library BROKEN"),
        (
            "bundle",
            "import torch",
            "torch belongs to networks, gradients and training BROKEN",
        ),
        ("gate", "import pydicom", "Only a reader touches its format's library BROKEN"),
    ],
)
def test_a_planted_fault_is_found(copy_of_the_code, module, line, contract):
    path = copy_of_the_code / "medcnn" / f"{module}.py"
    before = path.read_text() if path.exists() else None
    try:
        path.write_text(f"{before or ''}\n{line}\n")
        found = lint_imports(copy_of_the_code)
    finally:
        path.unlink() if before is None else path.write_text(before)
    assert found.returncode != 0
    assert contract in found.stdout


def test_the_page_shows_the_layers_that_hold(repository):
    settings = tomllib.loads((repository / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = (one["layers"] for one in contracts if one["type"] == "layers")
    page = (repository / "docs" / "architecture.md").read_text()
    shown = page.partition("## Who may import whom")[2].split("```")[1]
    assert shown.split("\n")[1:-1] == layers


def test_the_page_names_every_module(repository):
    page = (repository / "docs" / "architecture.md").read_text()
    parts = [
        p.stem for p in (repository / "medcnn").iterdir() if p.name != "__pycache__"
    ]
    assert [name for name in parts if name not in page] == []
