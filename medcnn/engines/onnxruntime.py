"""ONNX Runtime: the alternative on a CPU, where OpenVINO does not run."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.bundle import GRAPH, Bundle
from medcnn.engines.contract import Outputs, does_not_fit, need

__all__ = ["OnnxRuntimeEngine"]


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
        library: Any = need(
            "onnxruntime",
            package="onnxruntime",
            install="medcnn-imaging[onnxruntime]",
        )
        options = library.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = library.InferenceSession(
                str(bundle.path / GRAPH), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            told = does_not_fit(
                f"ONNX Runtime cannot open {bundle.path / GRAPH}", error
            )
            raise told from error
        self._graph = bundle.path / GRAPH
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
