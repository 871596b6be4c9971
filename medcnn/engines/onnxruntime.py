"""ONNX Runtime: the alternative on a CPU, where OpenVINO does not run."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.bundle import GRAPH, Bundle
from medcnn.engines.contract import Outputs, does_not_fit, need

__all__ = ["OnnxRuntimeEngine", "run_graph"]


class OnnxRuntimeEngine:
    """A bundle's graph in an ONNX Runtime session.

    Args:
        bundle: A checked bundle.
        threads: Most CPU threads; None takes them all.

    Raises:
        EngineError: If the session cannot be made.
        MissingDependencyError: If ONNX Runtime is not installed.
    """

    name = "onnxruntime"
    device = "cpu"

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        self._graph = bundle.path / GRAPH
        self._session = _session(self._graph, threads)
        self._input = self._session.get_inputs()[0].name

    def stream(self, tensors: Iterable[npt.NDArray[np.float32]]) -> Iterator[Outputs]:
        """Yield the outputs of each (C, ...) tensor, in order.

        Raises:
            EngineError: If the graph does not take them.
        """
        for tensor in tensors:
            try:
                logits, features = self._session.run(None, {self._input: tensor[None]})
            except Exception as error:
                told = does_not_fit(f"ONNX Runtime cannot run {self._graph}", error)
                raise told from error
            yield Outputs(logits[0], features[0])


def run_graph(
    path: Path, tensors: Sequence[npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """Return the logits that a graph's file gives, (images, labels).

    Args:
        path: .onnx; its first output are logits.
        tensors: (C, ...) each.

    Raises:
        EngineError: If the graph cannot be opened or does not take them.
        MissingDependencyError: If ONNX Runtime is not installed.
    """
    session = _session(path, None)
    name = session.get_inputs()[0].name
    try:
        found = [session.run(None, {name: tensor[None]})[0][0] for tensor in tensors]
    except Exception as error:
        told = does_not_fit(f"ONNX Runtime cannot run {path}", error)
        raise told from error
    return np.stack(found)


def _session(path: Path, threads: int | None) -> Any:
    library: Any = need(
        "onnxruntime", package="onnxruntime", install="medcnn-imaging[onnxruntime]"
    )
    options = library.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return library.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        told = does_not_fit(f"ONNX Runtime cannot open {path}", error)
        raise told from error
