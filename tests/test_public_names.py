"""What `import medcnn` offers, and what it does not load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import medcnn
from medcnn.errors import MissingDependencyError

PROMISED = (
    "Geometry",
    "Heatmap",
    "Image",
    "MedcnnError",
    "Model",
    "Prediction",
    "SafeReader",
    "Study",
    "explain",
    "load",
    "load_study",
    "screen",
    "train",
)


def in_a_new_process(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_importing_medcnn_loads_nothing_heavy():
    told = in_a_new_process("import sys, medcnn; print(' '.join(sys.modules))")

    assert not {"torch", "openvino", "numpy", "pydantic", "pydicom"} & set(told.split())


@pytest.mark.slow
def test_reading_predicting_and_screening_load_no_torch():
    told = in_a_new_process(
        "import sys, medcnn\n"
        "for name in medcnn.__all__:\n"
        "    if name != 'train': getattr(medcnn, name)\n"
        "print(' '.join(sys.modules))"
    )

    assert "numpy" in told.split()
    assert not {"torch", "monai", "lightning", "onnx"} & set(told.split())


def test_promised_names_are_public():
    assert set(PROMISED) <= set(medcnn.__all__)


@pytest.mark.parametrize("name", medcnn.__all__)
def test_every_public_name_is_there_and_documented(name):
    if name == "train":
        pytest.importorskip("lightning")

    assert getattr(medcnn, name).__doc__
    assert name in dir(medcnn)


def test_explain_stays_a_function_whatever_else_is_imported():
    told = in_a_new_process(
        "import medcnn, medcnn.explanation.cam, medcnn.screening.run\n"
        "print(callable(medcnn.explain), callable(medcnn.screen))"
    )

    assert told.split() == ["True", "True"]


def test_type_checkers_see_the_names_that_are_there():
    tree = ast.parse(Path(medcnn.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]

    seen = {
        alias.asname: node.module for node in block.body for alias in node.names
    }  # fmt: skip
    assert seen == medcnn._HOME


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = medcnn.nothing


def test_a_missing_library_is_named_with_the_command_that_adds_it(monkeypatch):
    monkeypatch.setitem(medcnn._HOME, "train", "medcnn_test_needs_torch")
    monkeypatch.delitem(vars(medcnn), "train", raising=False)

    with pytest.raises(MissingDependencyError, match=r"pip install .*\[train\]"):
        _ = medcnn.train
