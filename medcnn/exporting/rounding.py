"""NNCF, which rounds a graph's numbers to 8 bits: the only importer of it."""

import io
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.bundle import INT8, INT8_WEIGHTS, Bundle
from medcnn.engines.contract import need
from medcnn.engines.openvino import OpenVinoEngine, read_graph
from medcnn.model import Model

__all__ = ["rounded_files", "trial"]

_LAYERS = {"Convolution", "GroupConvolution", "MatMul"}
_FEWEST = 4
"""Layers below which all are rounded; else there might be nothing left to round."""


def rounded_files(
    bundle: Bundle, tensors: Sequence[npt.NDArray[np.float32]]
) -> dict[str, bytes]:
    """Return the files of a bundle's network at 8 bits.

    Weights are rounded channel by channel, what flows between layers by the ranges
    that it has on `tensors`; the biases are corrected for the mean error. The first
    and the last layer keep full precision: they see the image and make the score, and
    are a small part of the work.

    Args:
        bundle: Whose network.
        tensors: Images as it sees them, (C, ...).

    Raises:
        MissingDependencyError: If NNCF is not installed.
    """
    with _unobserved():
        nncf: Any = need("nncf", package="NNCF", install="medcnn-imaging[int8]")
        library: Any = need("openvino", package="openvino", install="openvino")
        data = nncf.Dataset([tensor[None] for tensor in tensors])
        full = read_graph(bundle)
        graph = nncf.quantize(
            full,
            data,
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(tensors),
            ignored_scope=nncf.IgnoredScope(names=_first_and_last(full)),
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / INT8
            library.save_model(graph, path, compress_to_fp16=False)
            del graph
            return {n: (path.parent / n).read_bytes() for n in (INT8, INT8_WEIGHTS)}


def _first_and_last(graph: Any) -> list[str]:
    """Return the names of a graph's first and last layer; none if it has but a few."""
    layers = [
        operation.get_friendly_name()
        for operation in graph.get_ordered_ops()
        if operation.get_type_name() in _LAYERS
    ]
    return [layers[0], layers[-1]] if len(layers) >= _FEWEST else []


def trial(bundle: Bundle, files: dict[str, bytes]) -> Model:
    """Open an 8-bit network that is not in its bundle yet."""
    engine = OpenVinoEngine(bundle, precision="int8", files=files)
    return Model(bundle, engine)


@contextmanager
def _unobserved() -> Iterator[None]:
    """Keep NNCF from reporting its use over the network, and from talking.

    It looks at this variable when it is imported.
    """
    before = os.environ.get("NNCF_CI")
    os.environ["NNCF_CI"] = "1"
    logging.getLogger("nncf").setLevel(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()):  # where its progress bars go
            yield
    finally:
        if before is None:
            del os.environ["NNCF_CI"]
        else:
            os.environ["NNCF_CI"] = before
