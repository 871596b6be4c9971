"""`export`: a bundle in a form that other programs, or faster ones, can run."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from medcnn.bundle import CARD, GRAPH, SPEC, Bundle, open_bundle
from medcnn.engines.contract import need
from medcnn.errors import DataError, OutputError
from medcnn.outputs import cannot_write

__all__ = ["FORMS", "Form", "export"]

Form = Literal["onnx", "openvino"]

_README = """A network of medcnn, for other programs.

{file} takes one tensor, {shape} of float32, prepared as bundle.json says under
"preprocessing". It gives "logits", one for each of {labels}, which become probabilities
by "calibration" there, and "features", the last feature map. CARD.md says what it must
not be used for. For research use only.
"""


def export(model: str | Path, *, form: Form, output: str | Path) -> Path:
    """Write a model's network for another program, with what it takes to use it.

    Args:
        model: A shipped model's name, or a bundle's directory.
        form: "onnx" for model.onnx, which holds its weights; "openvino" for model.xml
            and model.bin.
        output: The new folder; there must be none yet.

    Returns:
        The folder: the graph, bundle.json, CARD.md and README.txt.

    Raises:
        DataError: If it is a detector, whose answer is not in its graph.
        OutputError: If it is there already or cannot be written.
        MissingDependencyError: If what writes that form is not installed.
    """
    bundle, folder = open_bundle(model), Path(output)
    if bundle.spec.detector is not None:
        msg = f"{bundle.spec.name} is a detector: its graph alone gives no score"
        raise DataError(msg, hint="Use it with medcnn predict, screen or worker.")
    if folder.exists():
        msg = f"{folder} is there already"
        raise OutputError(msg, hint="Choose another --output, or delete it first.")
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        name = FORMS[form](bundle, partial)
        _write_facts(bundle, partial, name)
        partial.replace(folder)
    except OSError as error:
        told = cannot_write(folder, error)
        raise told from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _onnx(bundle: Bundle, folder: Path) -> str:
    extra = "medcnn-imaging[train]"
    networks: Any = need("medcnn.networks.whole", package="onnx", install=extra)
    (folder / "model.onnx").write_bytes(networks.whole_graph(bundle.path / GRAPH))
    return "model.onnx"


def _openvino(bundle: Bundle, folder: Path) -> str:
    library: Any = need("openvino", package="openvino", install="openvino")
    from medcnn.engines.openvino import read_graph

    graph = read_graph(bundle)
    library.save_model(graph, folder / "model.xml", compress_to_fp16=False)
    return "model.xml"


FORMS: dict[str, Callable[[Bundle, Path], str]] = {
    "onnx": _onnx,
    "openvino": _openvino,
}
"""Each form and what writes it: a bundle and a folder in, the graph's name out."""


def _write_facts(bundle: Bundle, folder: Path, name: str) -> None:
    """Write what somebody needs to know to use the graph."""
    spec = bundle.spec
    facts = spec.model_dump(mode="json", exclude={"files"})
    text = json.dumps(facts, indent=2) + "\n"
    (folder / SPEC).write_text(text, encoding="utf-8")
    (folder / CARD).write_text(bundle.card(), encoding="utf-8")
    shape = (1, spec.input.channels, *spec.input.shape)
    words = _README.format(file=name, shape=shape, labels=", ".join(spec.labels))
    (folder / "README.txt").write_text(words, encoding="utf-8")
