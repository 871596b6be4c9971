"""`export`: a bundle in a form that other programs, or faster ones, can run."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial as partial_run
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medcnn.assessment import Run
from medcnn.bundle import CARD, GRAPH, SPEC, Bundle, open_bundle
from medcnn.engines.contract import need
from medcnn.engines.torch import network_of
from medcnn.errors import DataError, OutputError
from medcnn.exporting.areas import compare_areas
from medcnn.exporting.monai_bundle import write_monai_bundle
from medcnn.exporting.verifying import Agreement, verify
from medcnn.model import Model
from medcnn.outputs import cannot_write

__all__ = ["AGREEMENT", "FORMS", "Form", "Way", "export"]

Form = Literal["onnx", "openvino", "torch-export", "monai-bundle"]

AGREEMENT = "export.json"
"""How far the exported network's answers are from the model's."""

_TRAIN = "medcnn-imaging[train]"
_PROGRAM = "model.pt2"

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Way:
    """How one form is written, and run to see that it answers the same.

    Attributes:
        write: A bundle and an empty folder in, the network's file below it out.
        run: That file and tensors (C, ...) in, logits (images, labels) out.
        libraries: Whose versions matter.
    """

    write: Callable[[Bundle, Path], str]
    run: Callable[[Path, Sequence[Logits]], Logits]
    libraries: tuple[str, ...]


_README = """A network of medcnn, for other programs.

{file} takes one tensor, {shape} of float32, prepared as bundle.json says under
"preprocessing". It gives logits{more}, one for each of
{labels}; they become probabilities by "calibration" there.
export.json says how far its answers were from the model's, CARD.md what it must not be
used for. For research use only.
"""


def export(
    model: str | Path,
    *,
    form: Form,
    output: str | Path,
    data: str | Path | None = None,
    split: str | None = None,
    run: Run | None = None,
) -> Path:
    """Write a model's network for another program, with what it takes to use it.

    Args:
        model: A shipped model's name, or a bundle's directory.
        form: "onnx" for model.onnx, which holds its weights; "openvino" for model.xml
            and model.bin; "torch-export" for model.pt2, a program of torch.export;
            "monai-bundle" for a folder that `python -m monai.bundle run` runs.
        output: The new folder; there must be none yet.
        data: Labelled images, to measure what changes in area under the ROC curve.
        split: Of them, or "all"; None: val, else test, else all.
        run: How they are read.

    Returns:
        The folder: the network, bundle.json, CARD.md, README.txt, and in export.json
        how far its answers are from the model's.

    Raises:
        DataError: If it is a detector, whose answer is not in its graph, or the form
            cannot do what its preprocessing does, or loses more than 0.005 of area on
            the data, or these cannot tell it.
        EngineError: If the network answers otherwise in that form, or it does not fit.
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
        way = FORMS[form]
        name = way.write(bundle, partial)
        runner = partial_run(way.run, partial / name)
        found = verify(bundle, runner, form=form, libraries=way.libraries)
        if data is not None:
            here = Model.open(bundle.path, device="cpu")
            areas = compare_areas(here, runner, data, split=split, run=run or Run())
            found = replace(found, areas=areas.to_json())
        _write_facts(bundle, partial, name, found)
        partial.replace(folder)
    except OSError as error:
        told = cannot_write(folder, error)
        raise told from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _onnx(bundle: Bundle, folder: Path) -> str:
    networks: Any = need("medcnn.networks.whole", package="onnx", install=_TRAIN)
    (folder / "model.onnx").write_bytes(networks.whole_graph(bundle.path / GRAPH))
    return "model.onnx"


def _openvino(bundle: Bundle, folder: Path) -> str:
    library: Any = need("openvino", package="openvino", install="openvino")
    from medcnn.engines.openvino import read_graph

    graph = read_graph(bundle)
    library.save_model(graph, folder / "model.xml", compress_to_fp16=False)
    return "model.xml"


def _torch_export(bundle: Bundle, folder: Path) -> str:
    shape = (bundle.spec.input.channels, *bundle.spec.input.shape)
    network = network_of(bundle)
    program = _programs().program_of(network, shape, with_features=True)
    (folder / _PROGRAM).write_bytes(program)
    return _PROGRAM


def _run_openvino(path: Path, tensors: Sequence[Logits]) -> Logits:
    from medcnn.engines.openvino import run_graph

    return run_graph(path, tensors)


def _run_onnxruntime(path: Path, tensors: Sequence[Logits]) -> Logits:
    from medcnn.engines.onnxruntime import run_graph

    return run_graph(path, tensors)


def _onnx_way() -> Way:
    """Run an ONNX file where others will, if ONNX Runtime is there; else here."""
    if find_spec("onnxruntime") is None:
        return Way(_onnx, _run_openvino, ("onnx", "openvino"))
    return Way(_onnx, _run_onnxruntime, ("onnx", "onnxruntime", "openvino"))


def _run_program(path: Path, tensors: Sequence[Logits]) -> Logits:
    return np.asarray(_programs().run_program(path, list(tensors)))


def _programs() -> Any:
    return need("medcnn.networks.programs", package="torch", install=_TRAIN)


FORMS: dict[Form, Way] = {
    "onnx": _onnx_way(),
    "openvino": Way(_openvino, _run_openvino, ("openvino",)),
    "torch-export": Way(_torch_export, _run_program, ("openvino", "torch")),
    "monai-bundle": Way(
        write_monai_bundle, _run_program, ("monai", "openvino", "torch")
    ),
}
"""Each form, how it is written, and how it is run."""


def _write_facts(bundle: Bundle, folder: Path, name: str, found: Agreement) -> None:
    """Write what somebody needs to know to use the graph, and how far it agrees."""
    text = json.dumps(found.to_json(), indent=2) + "\n"
    (folder / AGREEMENT).write_text(text, encoding="utf-8")
    spec = bundle.spec
    facts = spec.model_dump(mode="json", exclude={"files"})
    text = json.dumps(facts, indent=2) + "\n"
    (folder / SPEC).write_text(text, encoding="utf-8")
    (folder / CARD).write_text(bundle.card(), encoding="utf-8")
    shape = (1, spec.input.channels, *spec.input.shape)
    more = "" if name.startswith("models/") else " and then the last feature map"
    labels = ", ".join(spec.labels)
    words = _README.format(file=name, shape=shape, labels=labels, more=more)
    (folder / "README.txt").write_text(words, encoding="utf-8")
