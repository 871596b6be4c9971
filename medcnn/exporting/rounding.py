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


def rounded_files(
    bundle: Bundle, tensors: Sequence[npt.NDArray[np.float32]]
) -> dict[str, bytes]:
    """Return the files of a bundle's network at 8 bits.

    Weights are rounded channel by channel, what flows between layers by the ranges
    that it has on `tensors`; the biases are corrected for the mean error.

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
        graph = nncf.quantize(
            read_graph(bundle),
            data,
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(tensors),
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / INT8
            library.save_model(graph, path, compress_to_fp16=False)
            del graph
            return {n: (path.parent / n).read_bytes() for n in (INT8, INT8_WEIGHTS)}


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
