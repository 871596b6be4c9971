"""torch: the engine for a GPU, and the one that training uses."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.bundle import FOREIGN, Bundle
from medcnn.engines.contract import Outputs, does_not_fit, need
from medcnn.errors import EngineError

__all__ = ["TorchEngine", "choose_device", "device_of", "network_of"]

_EXTRA = "medcnn-imaging[train]"


class TorchEngine:
    """A bundle's network rebuilt in torch with its own weights.

    Args:
        bundle: A checked bundle.
        device: "auto" takes a GPU if there is one; otherwise "cpu", "cuda:1", "mps".
        threads: Most CPU threads; None leaves torch's own choice.

    Raises:
        EngineError: If the device is absent, or the weights do not fit the network.
        MissingDependencyError: If torch or MONAI is not installed.
    """

    name = "torch"
    network: Any
    """The module itself, in evaluation mode on `device`."""

    def __init__(
        self, bundle: Bundle, *, device: str = "auto", threads: int | None = None
    ) -> None:
        torch: Any = need("torch", package="torch", install=_EXTRA)
        self._torch = torch
        self.device = choose_device(torch, device)
        if threads is not None and self.device == "cpu":
            torch.set_num_threads(threads)
        self.network = network_of(bundle).to(self.device)

    def stream(self, tensors: Iterable[npt.NDArray[np.float32]]) -> Iterator[Outputs]:
        """Yield the outputs of each (C, ...) tensor, in order."""
        for tensor in tensors:
            with self._torch.inference_mode():
                batch = self._torch.from_numpy(tensor)[None].to(self.device)
                logits, features = self.network.with_features(batch)
            yield Outputs(logits[0].cpu().numpy(), features[0].cpu().numpy())


def network_of(bundle: Bundle) -> Any:
    """Rebuild a bundle's network in torch on the CPU, in evaluation mode.

    Raises:
        EngineError: If the weights do not fit the network, or it is an imported graph.
        MissingDependencyError: If torch or MONAI is not installed.
    """
    if bundle.spec.network.name == FOREIGN:
        msg = f"{bundle.spec.name} was imported as a graph, which torch cannot run"
        raise EngineError(msg, hint="Use openvino or onnxruntime, and --method cam.")
    torch: Any = need("torch", package="torch", install=_EXTRA)
    networks: Any = need("medcnn.networks", package="monai", install=_EXTRA)
    spec = bundle.spec
    network = networks.build(
        spec.network.name,
        dims=spec.input.dims,
        in_channels=spec.input.channels,
        labels=len(spec.labels),
        shape=spec.input.shape,
        **spec.network.arguments,
    )
    weights = {k: torch.from_numpy(v) for k, v in bundle.weights().items()}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        told = does_not_fit(f"{bundle.path} does not fit its network", error)
        raise told from error
    return network.eval()


def device_of(device: str) -> str:
    """Return the device that an engine would take.

    Raises:
        EngineError: If the one asked for is not there.
        MissingDependencyError: If torch is not installed.
    """
    return choose_device(need("torch", package="torch", install=_EXTRA), device)


def choose_device(torch: Any, device: str) -> str:
    """Return a device that is there.

    Raises:
        EngineError: If the one asked for is not.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if device == "auto":
        return "cuda" if cuda else "mps" if mps else "cpu"
    there = device == "cpu" or (device == "mps" and mps)
    if device.split(":")[0] == "cuda" and cuda:
        index = device.partition(":")[2] or "0"
        there = index.isdigit() and int(index) < torch.cuda.device_count()
    if there:
        return device
    found = f"cpu{', cuda' if cuda else ''}{', mps' if mps else ''}"
    msg = f"device {device!r} is not there"
    raise EngineError(msg, hint=f"Found: {found}. --device auto chooses.")
