"""What a foreign model is read from: a graph, a file of weights, a MONAI bundle."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.bundle import FOREIGN, HeadNames, NetworkSpec
from medcnn.engines.contract import need
from medcnn.errors import BundleError, DataError
from medcnn.importing.describing import ImportDescription

__all__ = ["Draft", "importer_of"]

_TORCH = {".pt", ".pth"}
_PICKLES = {".pkl", ".pickle", ".joblib", ".dill"}
_TRAIN = "medcnn-imaging[train]"
_MONAI = "a MONAI bundle"
_KINDS = (
    "A .onnx file, a .safetensors, .pt or .pth file of weights by name, or the folder "
    "of a MONAI bundle is imported."
)

Tensor = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Draft:
    """What was read: all that a bundle needs, and a way to run the source.

    Attributes:
        file: The file that stands for the source: its checksum is kept.
        weights: Tensors by name.
        graph: Given the weights' file, returns the graph that refers to it.
        network: For bundle.json.
        head: Which of the weights are the linear head.
        run: Tensors (C, ...) in, what the source's network gives out, (images, labels).
        words: What the source is.
        thresholds: Probabilities that the source itself decides by.
    """

    file: Path
    weights: dict[str, npt.NDArray[Any]]
    graph: Callable[[Path], bytes]
    network: NetworkSpec
    head: HeadNames
    run: Callable[[Sequence[Tensor]], npt.NDArray[np.float32]]
    words: str
    thresholds: Mapping[str, float] = field(default_factory=dict)


Importer = Callable[[Path, ImportDescription], Draft]


def importer_of(path: Path) -> Importer:
    """Choose who reads a source.

    Raises:
        BundleError: If it is a pickle, not there, or of no kind that is imported.
    """
    if not path.exists():
        msg = f"{path} is not there"
        raise BundleError(msg, hint=_KINDS)
    kind = path.suffix.lower()
    is_old = kind in _TORCH and path.is_file() and _reads_as_old_torch(path)
    if kind in _PICKLES or (_begins_as_pickle(path) and not is_old):
        msg = f"{path} is a pickle, which can run code when it is read: refused"
        hint = "Save the network as ONNX, or its weights as safetensors, where it was "
        raise BundleError(msg, hint=hint + "made.")
    if path.is_dir():
        return _from_monai_bundle
    if kind in _IMPORTERS:
        return _IMPORTERS[kind]
    msg = f"{path} is of no kind that is imported"
    raise BundleError(msg, hint=_KINDS)


def _reads_as_old_torch(path: Path) -> bool:
    """Whether torch wrote it before 1.6: its weights are read without running code."""
    pickles: Any = need("medcnn.networks.pickles", package="torch", install=_TRAIN)
    return bool(pickles.is_legacy_torch(path))


def _begins_as_pickle(path: Path) -> bool:
    """Whether a file begins with a pickle's protocol mark (PEP 307: 0x80)."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        first = file.read(2)
    return len(first) == 2 and first[0] == 0x80 and 2 <= first[1] <= 5


def _from_onnx(path: Path, said: ImportDescription) -> Draft:
    """Bring a foreign graph to a bundle's form."""
    foreign: Any = need("medcnn.networks.foreign", package="onnx", install=_TRAIN)
    by_channel = said.channels
    wanted = foreign.Wanted(
        shape=(said.input.channels, *said.input.shape),
        labels=len(said.labels),
        activation=said.activation,
        gives=said.gives,
        means=() if by_channel is None else by_channel.means,
        deviations=() if by_channel is None else by_channel.deviations,
        rows=said.rows,
        is_turned=said.axes == "ijk",
    )
    adopted = foreign.adopt_graph(path, wanted)

    def run(tensors: Sequence[Tensor]) -> npt.NDArray[np.float32]:
        from medcnn.engines.openvino import run_graph

        theirs = [_as_theirs(said, _by_channel(said, one)) for one in tensors]
        return _kept(said, run_graph(path, theirs))

    return Draft(
        file=path,
        weights=adopted.weights,
        graph=lambda file: foreign.graph_bytes(adopted, file),
        network=NetworkSpec(name=FOREIGN),
        head=HeadNames(weight=foreign.HEAD_WEIGHT, bias=foreign.HEAD_BIAS),
        run=run,
        words="an ONNX graph",
    )


def _by_channel(said: ImportDescription, tensor: Tensor) -> Tensor:
    """Normalise a tensor as a graph's first layers do in the bundle."""
    if said.channels is None:
        return tensor
    shape = (-1, *[1] * (tensor.ndim - 1))
    means = np.reshape(said.channels.means, shape)
    scaled = (tensor - means) / np.reshape(said.channels.deviations, shape)
    return np.asarray(scaled, np.float32)


def _as_theirs(said: ImportDescription, tensor: Tensor) -> Tensor:
    """Turn a tensor (C, rows, columns) or (C, slices, rows, columns) to their axes."""
    if said.axes != "ijk":
        return tensor
    return np.ascontiguousarray(tensor.transpose(0, *range(tensor.ndim - 1, 0, -1)))


def _kept(said: ImportDescription, outputs: Tensor) -> Tensor:
    """Leave out the outputs without a name."""
    return outputs if said.rows is None else outputs[:, list(said.rows)]


def _from_weights(path: Path, said: ImportDescription) -> Draft:
    """Put foreign weights into a network of ours.

    Raises:
        DataError: If the description names no network, or what only a graph can do.
    """
    _refuse_what_graphs_do(said, "a file of weights")
    if said.network is None:
        msg = f"{path} holds weights, and the description names no network for them"
        hint = 'Say for instance: network = { name = "densenet121" }.'
        raise DataError(msg, hint=hint)
    networks: Any = need("medcnn.networks", package="torch", install=_TRAIN)
    reader: Any = need(
        "medcnn.networks.foreign_weights", package="torch", install=_TRAIN
    )
    shape = (said.input.channels, *said.input.shape)
    network = _built(networks, said, len(said.labels))
    adopted = reader.adopt_weights(network, path)
    small = network
    if said.rows is not None:
        small = _built(networks, said, len(said.rows))
        reader.take_rows(small, network, said.rows)

    def run(tensors: Sequence[Tensor]) -> npt.NDArray[np.float32]:
        return _kept(said, reader.run_network(network, tensors))

    known = zip(said.labels, adopted.thresholds, strict=False)
    return Draft(
        file=path,
        weights={k: v.detach().numpy() for k, v in small.state_dict().items()},
        graph=lambda file: bytes(networks.export_graph(small, shape, file)),
        network=said.network,
        head=HeadNames(weight="head.weight", bias="head.bias"),
        run=run,
        words=f"weights of {said.network.name} in the names of {adopted.names}",
        thresholds={label: at for label, at in known if label and at is not None},
    )


def _built(networks: Any, said: ImportDescription, labels: int) -> Any:
    """Build the network that a description names."""
    known = said.network or NetworkSpec(name=FOREIGN)
    return networks.build(
        known.name,
        dims=said.input.dims,
        in_channels=said.input.channels,
        labels=labels,
        shape=said.input.shape,
        **known.arguments,
    )


def _from_monai_bundle(path: Path, said: ImportDescription) -> Draft:
    """Build a MONAI bundle's network, and bring its graph to our bundles' form.

    Raises:
        DataError: If the description does not say which axis the network sees first.
    """
    _refuse_what_graphs_do(said, _MONAI)
    if said.axes is None:
        msg = "the description of a MONAI bundle says no axes"
        hint = (
            'Say axes = "ijk" if MONAI\'s LoadImage read its images (columns first), '
        )
        raise DataError(msg, hint=hint + '"kji" if it was trained on rows first.')
    reader: Any = need("medcnn.networks.monai_nets", package="monai", install=_TRAIN)
    weights: Any = need(
        "medcnn.networks.foreign_weights", package="torch", install=_TRAIN
    )
    found = reader.read_monai_bundle(path)
    sides = said.input.shape[::-1] if said.axes == "ijk" else said.input.shape
    shape = (said.input.channels, *sides)
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "network.onnx"
        graph.write_bytes(reader.network_as_onnx(found.network, shape))
        draft = _from_onnx(graph, said)

    def run(tensors: Sequence[Tensor]) -> npt.NDArray[np.float32]:
        theirs = [_as_theirs(said, one) for one in tensors]
        outputs = weights.run_network(found.network, theirs)
        return _kept(said, outputs.reshape(len(theirs), -1))

    words = f"a MONAI bundle's {found.name}"
    return replace(draft, file=found.weights, run=run, words=words)


def _refuse_what_graphs_do(said: ImportDescription, what: str) -> None:
    """Refuse what is only said of a graph.

    Raises:
        DataError: If it is said.
    """
    if said.gives != "logits":
        msg = f"{what} gives logits, the description says {said.gives}"
        raise DataError(msg, hint='Say gives = "logits".')
    if said.channels is not None:
        msg = f"{what} takes no `channels` in the description"
        raise DataError(msg, hint="Use a normalise step of preprocessing.")
    if said.axes == "ijk" and what != _MONAI:
        msg = f"{what} is for a network that sees rows first, the description says ijk"
        raise DataError(msg, hint="Export the network as ONNX where it was made.")


_IMPORTERS: dict[str, Importer] = {
    ".onnx": _from_onnx,
    ".pt": _from_weights,
    ".pth": _from_weights,
    ".safetensors": _from_weights,
}
