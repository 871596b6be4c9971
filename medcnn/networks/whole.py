"""A graph with its weights inside, for programs that know nothing of bundles."""

from pathlib import Path

import onnx

__all__ = ["whole_graph"]


def whole_graph(path: Path) -> bytes:
    """Return an ONNX graph whose weights lay beside it, with them in it.

    Args:
        path: graph.onnx of a bundle.
    """
    model = onnx.load(path, load_external_data=True)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
