"""Take a network apart: every layer in order, what it does, costs, sees and saves.

The network is run once without numbers (torch's meta device: shapes only), so that even
a large one is described at once.
"""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from medcnn.errors import BundleError
from medcnn.networks.classifier import Classifier
from medcnn.networks.sight import Sight, joined, through
from medcnn.networks.words import FUNCTIONS, LAYERS, layer_in_words

__all__ = ["Description", "Layer", "describe_network"]

_OUTSIDE = {
    "__add__": "add",
    "__iadd__": "add",
    "add_": "add",
    "__mul__": "mul",
    "__rmul__": "mul",
}
_NEEDS_TWO = {"add", "mul"}


@dataclass(frozen=True)
class Layer:
    """One layer, or one step between layers.

    Attributes:
        name: Where it is in the network.
        kind: What sort of layer it is.
        does: What it computes, in words.
        output: Shape of what comes out, channels first; where each slice of a volume is
            looked at alone, the slices stand before the channels.
        parameters: Numbers that are learnt.
        sees: Receptive field in input pixels along each axis of the input; None where
            it is the whole input.
        sees_mm: The same in millimetres; None where it is the whole, or the spacing is
            not known.
        fully_connected: Parameters that a fully connected layer of the same input and
            output would have; None for a layer without weights that connect.
        multiply_adds: Multiplications, each with its addition, for one image.
    """

    name: str
    kind: str
    does: str
    output: tuple[int, ...]
    parameters: int
    sees: tuple[int, ...] | None
    sees_mm: tuple[float, ...] | None
    fully_connected: int | None
    multiply_adds: int

    @property
    def saved(self) -> int:
        """How many parameters sharing saves against a fully connected layer."""
        return (self.fully_connected or self.parameters) - self.parameters


@dataclass(frozen=True)
class Description:
    """A network, taken apart.

    Attributes:
        input: Shape of one image, channels first.
        layers: In the order in which they run.
        parameters: All that are learnt.
        multiply_adds: All of one image; normalisation, activation and pooling, which
            are small beside the others, are not counted.
    """

    input: tuple[int, ...]
    layers: tuple[Layer, ...]
    parameters: int
    multiply_adds: int

    def stages(self) -> tuple[Layer, ...]:
        """Return one row for each stage: the sums of its layers, and its output."""
        groups: dict[str, list[Layer]] = {}
        for layer in self.layers:
            groups.setdefault(".".join(layer.name.split(".")[:2]), []).append(layer)
        return tuple(_sum(name, layers) for name, layers in groups.items())

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        facts = asdict(self)
        for layer, found in zip(facts["layers"], self.layers, strict=True):
            layer["saved"] = found.saved
        return facts


def describe_network(
    network: Classifier,
    shape: tuple[int, ...],
    *,
    spacing_mm: tuple[float, ...] | None = None,
) -> Description:
    """Take a network apart.

    Args:
        network: From `build`; it is not changed.
        shape: Of one image: (C, rows, columns) or (C, slices, rows, columns).
        spacing_mm: Of the input's pixels, in the order of those axes.

    Raises:
        BundleError: If the network cannot take images of that shape.

    Examples:
        >>> from medcnn.networks import build
        >>> network = build("basic_cnn", dims=2, in_channels=1, labels=2)
        >>> first = describe_network(network, (1, 64, 64)).layers[0]
        >>> first.does
        'looks for 16 patterns of 3 x 3, with the same weights everywhere'
        >>> first.output, first.parameters, first.sees, first.saved
        ((16, 64, 64), 160, (3, 3), 268500832)
    """
    bare = copy.deepcopy(network).to("meta").eval()
    watch = _Watch(shape, spacing_mm)
    image = torch.empty(1, *shape, device="meta")
    watch.see(image, Sight.of_input(len(shape) - 1))
    with watch.hooked(bare), torch.no_grad(), watch:
        try:
            bare(image)
        except (RuntimeError, ValueError) as error:  # torch knows what fits, not we
            words = str(error).partition("\n")[0]
            msg = f"the network cannot take images of shape {shape}: {words}"
            hint = "Larger images may fit, or stem = 'small' where it is to be had."
            raise BundleError(msg, hint=hint) from error
    return Description(
        input=shape,
        layers=tuple(watch.layers),
        parameters=sum(weight.numel() for weight in network.parameters()),
        multiply_adds=sum(layer.multiply_adds for layer in watch.layers),
    )


class _Watch(TorchFunctionMode):
    """Follow what every tensor sees, and note what is computed."""

    def __init__(
        self, shape: tuple[int, ...], spacing_mm: tuple[float, ...] | None
    ) -> None:
        super().__init__()
        self.layers: list[Layer] = []
        self._shape = shape
        self._spacing = spacing_mm
        self._sights: dict[int, Sight] = {}
        self._kept: list[torch.Tensor] = []  # so that no id is given twice
        self._inside = 0
        self._where: list[str] = []

    def see(self, tensor: torch.Tensor, sight: Sight) -> None:
        """Note what a tensor sees."""
        self._sights[id(tensor)] = sight
        self._kept.append(tensor)

    @contextmanager
    def hooked(self, network: nn.Module) -> Iterator[None]:
        """Be told of every layer that runs in a network."""
        handles = []
        for name, module in network.named_modules():
            is_layer = isinstance(module, LAYERS)
            handles += [
                module.register_forward_pre_hook(self._enter(name, is_layer)),
                module.register_forward_hook(self._leave(name, is_layer)),
            ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run one of torch's functions; note it if it stands between layers."""
        del types
        result = func(*args, **(kwargs or {}))
        if self._inside or not isinstance(result, torch.Tensor):
            return result
        given = [t for t in _tensors(args) if id(t) in self._sights]
        if given:
            self._note(getattr(func, "__name__", ""), given, result)
        return result

    def _note(self, called: str, given: list[torch.Tensor], result: Any) -> None:
        """Note what a function between layers made of the tensors it was given."""
        sight = joined(self._sights[id(tensor)] for tensor in given)
        name = _OUTSIDE.get(called, called)
        if name == "mean":  # what is left of the axes are the first ones
            sight = sight.all_along(range(result.ndim - 2, len(sight.size)))
        self.see(result, sight)
        if name in FUNCTIONS and (name not in _NEEDS_TWO or len(given) > 1):
            kind, does = FUNCTIONS[name]
            at = f"{self._where[-1]}.{name}" if self._where[-1] else name
            self._add(at, (kind, does), result, None)

    def _enter(self, name: str, is_layer: bool) -> Any:
        def hook(_module: nn.Module, _args: Any) -> None:
            self._where.append(name)
            self._inside += is_layer

        return hook

    def _leave(self, name: str, is_layer: bool) -> Any:
        def hook(module: nn.Module, args: Any, result: Any) -> None:
            self._where.pop()
            self._inside -= is_layer
            if not is_layer:
                return
            made = result[0] if isinstance(result, tuple) else result
            self.see(made, through(module, self._sights[id(args[0])]))
            self._add(name, layer_in_words(module), made, (module, args[0]))

        return hook

    def _add(
        self,
        name: str,
        words: tuple[str, str],
        made: torch.Tensor,
        work: tuple[nn.Module, torch.Tensor] | None,
    ) -> None:
        sees, sees_mm = self._seen(self._sights[id(made)])
        connected, cost, own = None, 0, 0
        if work is not None:
            module, given = work
            own = sum(weight.numel() for weight in module.parameters())
            cost = _multiply_adds(module, given, made)
            if cost:
                connected = (given.numel() + 1) * made.numel()
        output = tuple(made.shape[1:] if made.shape[0] == 1 else made.shape)
        self.layers.append(
            Layer(name, *words, output, own, sees, sees_mm, connected, cost)
        )

    def _seen(
        self, sight: Sight
    ) -> tuple[tuple[int, ...] | None, tuple[float, ...] | None]:
        """Return the receptive field in pixels and mm; None where it is the whole."""
        if all(math.isinf(size) for size in sight.size):
            return None, None
        sides = zip(sight.size, self._shape[1:], strict=True)
        sees = tuple(side if math.isinf(n) else int(n) for n, side in sides)
        if self._spacing is None:
            return sees, None
        return sees, tuple(n * s for n, s in zip(sees, self._spacing, strict=True))


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors among a function's arguments."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def _multiply_adds(layer: nn.Module, given: torch.Tensor, made: torch.Tensor) -> int:
    """Count the multiplications of a layer that connects; 0 for all others."""
    if isinstance(layer, (nn.Conv2d, nn.Conv3d)):
        return made.numel() * layer.weight[0].numel()
    if isinstance(layer, nn.Linear):
        return made.numel() * layer.in_features
    if isinstance(layer, nn.GRU):
        matrices = [weight.numel() for weight in layer.parameters() if weight.ndim > 1]
        return given.shape[0] * given.shape[1] * sum(matrices)
    return 0


def _sum(name: str, layers: list[Layer]) -> Layer:
    """Return one row for several layers."""
    last = layers[-1]
    kinds = dict.fromkeys(layer.kind for layer in layers if layer.parameters)
    connected = [one.fully_connected for one in layers if one.fully_connected]
    return Layer(
        name,
        "stage",
        ", ".join(kinds) or last.does,
        last.output,
        sum(layer.parameters for layer in layers),
        last.sees,
        last.sees_mm,
        sum(connected) if connected else None,
        sum(layer.multiply_adds for layer in layers),
    )
