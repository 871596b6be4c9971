"""OpenVINO: the default on a CPU."""

import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.bundle import GRAPH, INT8, INT8_WEIGHTS, Bundle, Precision
from medcnn.engines.contract import Outputs, does_not_fit, need

__all__ = ["OpenVinoEngine", "read_graph", "run_graph"]

_TELEMETRY = "openvino_telemetry"


class OpenVinoEngine:
    """A bundle's graph compiled by OpenVINO, one image to a request.

    Args:
        bundle: A checked bundle.
        threads: Most CPU threads; None takes them all.
        precision: Which of its graphs. At "fp32" every number has 32 bits, also where
            the processor could multiply shorter ones faster.
        files: Of the 8-bit network, where it is not in the bundle yet.

    Raises:
        EngineError: If the graph cannot be compiled.
        MissingDependencyError: If OpenVINO is not installed.
    """

    device = "cpu"

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int | None = None,
        precision: Precision = "fp32",
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        self.name = "openvino" if precision == "fp32" else f"openvino {precision}"
        core = _core()
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        path = bundle.path / (GRAPH if precision == "fp32" else INT8)
        try:
            if files is not None:
                model = core.read_model(files[INT8], files[INT8_WEIGHTS])
            else:
                model = read_graph(bundle) if precision == "fp32" else _rounded(path)
            self._compiled = core.compile_model(model, "CPU", settings)
        except RuntimeError as error:
            told = does_not_fit(f"OpenVINO cannot compile {path}", error)
            raise told from error
        wanted = self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._requests = [
            self._compiled.create_infer_request() for _ in range(max(1, int(wanted)))
        ]

    def stream(self, tensors: Iterable[npt.NDArray[np.float32]]) -> Iterator[Outputs]:
        """Yield the outputs of each (C, ...) tensor, in order."""
        free = deque(self._requests)
        busy: deque[Any] = deque()
        try:
            for tensor in tensors:
                if not free:
                    yield self._finish(busy, free)
                request = free.popleft()
                request.start_async([tensor[None]], share_inputs=False)
                busy.append(request)
            while busy:
                yield self._finish(busy, free)
        finally:
            for request in busy:
                request.wait()

    @staticmethod
    def _finish(busy: deque[Any], free: deque[Any]) -> Outputs:
        """Wait for the oldest request and copy its results out."""
        request = busy.popleft()
        request.wait()
        logits = np.array(request.get_output_tensor(0).data[0], np.float32)
        features = np.array(request.get_output_tensor(1).data[0], np.float32)
        free.append(request)
        return Outputs(logits, features)


def read_graph(bundle: Bundle) -> Any:
    """Read a bundle's graph for one image at a time.

    Raises:
        MissingDependencyError: If OpenVINO is not installed.
    """
    model = _core().read_model(bundle.path / GRAPH)
    spec = bundle.spec.input
    model.reshape([1, spec.channels, *spec.shape])
    return model


def run_graph(
    path: Path, tensors: Sequence[npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """Return the logits that a graph's file gives, (images, labels).

    Args:
        path: .onnx or .xml; its first output are logits.
        tensors: (C, ...) each.

    Raises:
        EngineError: If the graph cannot be compiled or does not take them.
        MissingDependencyError: If OpenVINO is not installed.
    """
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    try:
        compiled = _core().compile_model(path, "CPU", exact)
        found = [np.array(compiled([tensor[None]])[0][0]) for tensor in tensors]
    except RuntimeError as error:
        told = does_not_fit(f"OpenVINO cannot run {path}", error)
        raise told from error
    return np.stack(found)


def _rounded(path: Path) -> Any:
    """Read the 8-bit graph of a bundle."""
    return _core().read_model(path)


@cache
def _core() -> Any:
    """Return the one OpenVINO core of this process.

    Its CPU plugin gives the process a stack for signal handlers and takes it away again
    when it is unloaded. Two cores that do not end in the reverse order of their
    beginning would leave a stack that is gone, and the next Ctrl-C would crash Python.

    Raises:
        MissingDependencyError: If OpenVINO is not installed.
    """
    with _no_word_home():
        library: Any = need("openvino", package="openvino", install="openvino")
    return library.Core()


@contextmanager
def _no_word_home() -> Iterator[None]:
    """Let OpenVINO be imported without its telemetry.

    Each import of it tells Google Analytics of itself, from a process that it forks.
    Without the module that does so it goes on, and tells nobody.
    """
    loaded: dict[str, Any] = sys.modules  # None in it makes an import fail
    before = loaded.get(_TELEMETRY)
    loaded[_TELEMETRY] = None
    try:
        yield
    finally:
        del loaded[_TELEMETRY]
        if before is not None:
            loaded[_TELEMETRY] = before
