"""Somebody else's ONNX classifier as the graph of a bundle; nothing in it is code.

A bundle's graph gives logits and the features under a linear head, and holds no
weights: they lie in weights.safetensors. A foreign graph is read, its last layers are
recognised, and it is written anew in that form.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from medcnn.errors import BundleError
from medcnn.networks.export import share_weights

__all__ = [
    "HEAD_BIAS",
    "HEAD_WEIGHT",
    "Adopted",
    "Wanted",
    "adopt_graph",
    "graph_bytes",
]

HEAD_WEIGHT = "medcnn.head.weight"
HEAD_BIAS = "medcnn.head.bias"

_ACTIVATIONS = {"Sigmoid": "sigmoid", "Softmax": "softmax"}
_SAME_NUMBERS = {"Dropout", "Flatten", "Identity", "Reshape", "Squeeze"}
_SMALL = 1024
_UNSEEN = "__medcnn_features"

Head = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], str]

_PLAIN = "Save it as one file of standard ONNX operators, without control flow."


@dataclass(frozen=True)
class Wanted:
    """What a description says of a graph.

    Attributes:
        shape: One input, (C, rows, columns) or (C, slices, rows, columns).
        labels: How many.
        activation: "sigmoid" or "softmax", which makes probabilities of its logits.
        gives: "logits" or "probabilities".
        means: What is subtracted from each channel first; empty for nothing.
        deviations: By what each channel is divided then.
        rows: Which of the outputs are kept; None keeps all.
        is_turned: Whether it takes (C, columns, rows) or (C, columns, rows, slices).
    """

    shape: tuple[int, ...]
    labels: int
    activation: str
    gives: str
    means: tuple[float, ...] = ()
    deviations: tuple[float, ...] = ()
    rows: tuple[int, ...] | None = None
    is_turned: bool = False


@dataclass(frozen=True, eq=False)
class Adopted:
    """A foreign graph in a bundle's form.

    Attributes:
        model: The graph, with its weights still in it.
        weights: Tensors by name, for weights.safetensors.
        keeps_places: Whether its features say where they lie, so that there are
            class activation maps.
    """

    model: Any
    weights: dict[str, npt.NDArray[Any]]
    keeps_places: bool


def adopt_graph(path: Path, wanted: Wanted) -> Adopted:
    """Read an ONNX classifier and bring it to a bundle's form.

    Args:
        path: The .onnx file.
        wanted: What it is said to be.

    Raises:
        BundleError: If it cannot be read, is not plain, or is not what is said of it.
    """
    model = _read(path)
    graph = model.graph
    _set_input(graph, wanted)
    makers = {name: node for node in graph.node for name in node.output}
    constants = _constants(graph)
    logits = _logits(graph, makers, wanted)
    head = _head(makers, constants, logits)
    if head is None:
        features, keeps_places = _UNSEEN, False
        graph.node.append(helper.make_node("Identity", [logits], [features]))
        weight = np.eye(wanted.labels, dtype=np.float32)
        bias = np.zeros(wanted.labels, np.float32)
    else:
        weight, bias, below = head
        rank = len(wanted.shape) + 1
        found = _under_pooling(makers, constants, below, rank)
        features, keeps_places = (found or below), found is not None
    if len(weight) != wanted.labels:
        msg = f"the network has {len(weight)} outputs, {wanted.labels} labels are named"
        raise BundleError(msg, hint="Name one label for each, in the network's order.")
    if keeps_places and wanted.is_turned:
        features = _turned(graph, features, len(wanted.shape) + 1)
    if wanted.rows is not None:
        logits = _picked(graph, logits, wanted.rows)
        weight, bias = (part[list(wanted.rows)] for part in (weight, bias))
    _set_outputs(graph, [logits, features])
    kept = {HEAD_WEIGHT: weight, HEAD_BIAS: bias} | _weights(graph)
    return Adopted(model, kept, keeps_places)


def _turned(graph: Any, name: str, rank: int) -> str:
    """Add the reversal of the axes behind a tensor's batch and channels."""
    turned = f"{name}__medcnn_turned"
    axes = [0, 1, *range(rank - 1, 1, -1)]
    graph.node.append(helper.make_node("Transpose", [name], [turned], perm=axes))
    return turned


def _picked(graph: Any, name: str, rows: tuple[int, ...]) -> str:
    """Add the choice of some of the outputs."""
    picked, places = f"{name}__medcnn_picked", f"{name}__medcnn_rows"
    array = np.asarray(rows, np.int64)
    graph.initializer.append(numpy_helper.from_array(array, places))
    node = helper.make_node("Gather", [name, places], [picked], axis=1)
    graph.node.append(node)
    return picked


def graph_bytes(adopted: Adopted, weights_file: Path) -> bytes:
    """Return the graph, whose weights lie in a file beside it.

    Args:
        adopted: The graph.
        weights_file: weights.safetensors, which holds them already.
    """
    share_weights(adopted.model, weights_file)
    return bytes(adopted.model.SerializeToString())


def _read(path: Path) -> Any:
    """Read a file and refuse what is not a plain graph in one file.

    Raises:
        BundleError: If it is such.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        words = " ".join(str(error).split())[:200]
        msg = f"{path} cannot be read as ONNX: {words}"
        raise BundleError(msg, hint="Name a .onnx file.") from error
    domains = {n.domain for n in model.graph.node} - {"", "ai.onnx"}
    parts = [
        (domains, f"operators of {', '.join(sorted(domains))}"),
        (model.functions, "functions of its own"),
        (_outside(model.graph), "weights in other files"),
        (list(_inner_graphs(model.graph)), "graphs within its graph"),
    ]
    wrong = [words for is_there, words in parts if is_there]
    if wrong or not model.graph.node:
        told = " and ".join(wrong) or "no network"
        msg = f"{path} holds {told}"
        raise BundleError(msg, hint=_PLAIN)
    return model


def _outside(graph: Any) -> list[str]:
    inside = [*graph.initializer]
    for node in graph.node:
        inside += [a.t for a in node.attribute if a.type == onnx.AttributeProto.TENSOR]
    return [t.name for t in inside if t.data_location == TensorProto.EXTERNAL]


def _inner_graphs(graph: Any) -> Iterator[Any]:
    kinds = onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS
    for node in graph.node:
        yield from (one for one in node.attribute if one.type in kinds)


def _set_input(graph: Any, wanted: Wanted) -> None:
    """Make the graph take one image of the shape said, normalised by channel.

    Raises:
        BundleError: If it takes something else.
    """
    held = {tensor.name for tensor in graph.initializer}
    inputs = [one for one in graph.input if one.name not in held]
    if len(inputs) != 1:
        names = ", ".join(one.name for one in inputs) or "none"
        msg = f"the network takes {len(inputs)} inputs ({names}), expected one image"
        raise BundleError(msg, hint=_PLAIN)
    kind = inputs[0].type.tensor_type
    sizes = [d.dim_value or None for d in kind.shape.dim]
    sides = wanted.shape[:0:-1] if wanted.is_turned else wanted.shape[1:]
    shape = [1, wanted.shape[0], *sides]
    fits = len(sizes) == len(shape) and all(
        have in {None, want} for have, want in zip(sizes, shape, strict=True)
    )
    if not fits or kind.elem_type != TensorProto.FLOAT:
        type_name = TensorProto.DataType.Name(kind.elem_type).lower()
        have = [size or "any" for size in sizes]
        msg = f"the network takes {type_name} of {have}, described is float of {shape}"
        raise BundleError(msg, hint="Correct input.channels or input.shape.")
    name = inputs[0].name
    del graph.input[:]
    taken = [1, *wanted.shape]
    graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, taken))
    if wanted.means or wanted.is_turned:
        _prepare_input(graph, name, wanted)


def _prepare_input(graph: Any, name: str, wanted: Wanted) -> None:
    """Put what is done to an image before the network: normalised, and turned."""
    prepared, rank = f"{name}__medcnn_prepared", len(wanted.shape) + 1
    for node in graph.node:
        for place, one in enumerate(node.input):
            if one == name:
                node.input[place] = prepared
    nodes = list(graph.node)
    del graph.node[:]
    have = name
    values = [("Sub", wanted.means), ("Div", wanted.deviations)]
    for kind, numbers in values if wanted.means else []:
        constant, after = f"{name}__medcnn_{kind}", f"{name}__medcnn_after_{kind}"
        column = (1, -1, *[1] * (rank - 2))
        array = np.asarray(numbers, np.float32).reshape(column)
        graph.initializer.append(numpy_helper.from_array(array, constant))
        graph.node.append(helper.make_node(kind, [have, constant], [after]))
        have = after
    if wanted.is_turned:
        have = _turned(graph, have, rank)
    graph.node.append(helper.make_node("Identity", [have], [prepared]))
    graph.node.extend(nodes)


def _constants(graph: Any) -> dict[str, npt.NDArray[Any]]:
    """Return initialisers and constants by name."""
    found = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return found


def _logits(graph: Any, makers: dict[str, Any], wanted: Wanted) -> str:
    """Return the name of the logits; the activation behind them is left out.

    Raises:
        BundleError: If the graph ends otherwise than is said.
    """
    if len(graph.output) != 1:
        names = ", ".join(one.name for one in graph.output)
        msg = f"the network gives {len(graph.output)} outputs ({names}), expected one"
        raise BundleError(msg, hint=_PLAIN)
    name: str = graph.output[0].name
    last = makers.get(name)
    kind = last.op_type if last is not None else "nothing"
    is_last = kind in _ACTIVATIONS
    if is_last != (wanted.gives == "probabilities"):
        msg = f"the network ends with {kind}, and is said to give {wanted.gives}"
        raise BundleError(msg, hint="Correct `gives` in the description.")
    if not is_last or last is None:
        return name
    if _ACTIVATIONS[kind] != wanted.activation:
        msg = f"the network ends with {kind}, and {wanted.activation} is described"
        raise BundleError(msg, hint="Correct `activation` in the description.")
    return str(last.input[0])


def _head(
    makers: dict[str, Any], constants: dict[str, npt.NDArray[Any]], logits: str
) -> Head | None:
    """Return the linear head's weight (L, F) and bias, and what it is laid on."""
    node = makers.get(logits)
    if node is not None and node.op_type == "Add":
        return _head_of_product(makers, constants, node)
    if node is None or node.op_type != "Gemm":
        return None
    options = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    is_plain = options.get("alpha", 1) == options.get("beta", 1) == 1
    is_known = all(name in constants for name in node.input[1:])
    if not is_plain or options.get("transA", 0) or not is_known:
        return None
    matrix = constants[node.input[1]]
    weight = matrix if options.get("transB", 0) else matrix.T
    bias = constants[node.input[2]] if len(node.input) > 2 else np.zeros(1)
    return _floats(weight), _as_bias(bias, weight), str(node.input[0])


def _head_of_product(
    makers: dict[str, Any], constants: dict[str, npt.NDArray[Any]], node: Any
) -> Head | None:
    """Read a head that is written as a product and a sum."""
    biases = [name for name in node.input if name in constants]
    products = [
        makers[name]
        for name in node.input
        if name in makers and makers[name].op_type == "MatMul"
    ]
    if len(biases) != 1 or len(products) != 1 or products[0].input[1] not in constants:
        return None
    weight = constants[products[0].input[1]].T
    bias = _as_bias(constants[biases[0]], weight)
    return _floats(weight), bias, str(products[0].input[0])


def _as_bias(
    values: npt.NDArray[Any], weight: npt.NDArray[Any]
) -> npt.NDArray[np.float32]:
    """Return one number for each label, where there may be one for all."""
    return _floats(np.broadcast_to(values.ravel(), (len(weight),)))


def _floats(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32)


def _under_pooling(
    makers: dict[str, Any],
    constants: dict[str, npt.NDArray[Any]],
    name: str,
    rank: int,
) -> str | None:
    """Return the feature map whose mean over all places is the head's input, if any."""
    while name in makers and makers[name].op_type in _SAME_NUMBERS:
        name = makers[name].input[0]
    node = makers.get(name)
    if node is None:
        return None
    if node.op_type == "GlobalAveragePool":
        return str(node.input[0])
    if node.op_type != "ReduceMean":
        return None
    options = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    axes = options.get("axes", ())
    if len(node.input) > 1:
        axes = constants.get(node.input[1], np.zeros(0)).ravel().tolist()
    is_all = {int(axis) % rank for axis in axes} == set(range(2, rank))
    return str(node.input[0]) if is_all else None


def _set_outputs(graph: Any, names: list[str]) -> None:
    """Let the graph give these, and drop what they do not need."""
    makers = {name: node for node in graph.node for name in node.output}
    needed: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += makers[name].input if name in makers else []
    nodes = [node for node in graph.node if needed.intersection(node.output)]
    held = [tensor for tensor in graph.initializer if tensor.name in needed]
    for field, kept in ((graph.node, nodes), (graph.initializer, held)):
        del field[:]
        field.extend(kept)
    del graph.output[:], graph.value_info[:]
    graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names
    )


def _weights(graph: Any) -> dict[str, npt.NDArray[Any]]:
    """Return what is large enough to lie in the weights' file."""
    found = {}
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.nbytes >= _SMALL and array.dtype.kind in "fi":
            fresh = numpy_helper.from_array(np.ascontiguousarray(array), tensor.name)
            tensor.CopyFrom(fresh)  # as raw bytes
            found[tensor.name] = array
    return found
