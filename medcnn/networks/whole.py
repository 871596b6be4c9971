"""A graph with its weights inside, for programs that know nothing of bundles."""

from pathlib import Path
from typing import Any

import onnx

from medcnn.errors import EngineError

__all__ = ["whole_graph"]


def whole_graph(path: Path) -> bytes:
    """Return an ONNX graph whose weights lay beside it, with them in it.

    Args:
        path: graph.onnx of a bundle.

    Raises:
        EngineError: If the graph does not keep ONNX's rules.
    """
    model = onnx.load(path, load_external_data=True)
    if not all(_has_shape(one) for one in model.graph.output):  # a foreign graph's
        model = onnx.shape_inference.infer_shapes(model)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        words = " ".join(str(error).split())[:200]
        msg = f"{path} does not keep ONNX's rules: {words}"
        hint = "Choose another --format, such as openvino."
        raise EngineError(msg, hint=hint) from error
    return bytes(model.SerializeToString())


def _has_shape(output: Any) -> bool:
    return bool(output.type.tensor_type.HasField("shape"))
