"""Start from weights learnt before: transfer learning from a local file or a bundle.

Nothing is ever downloaded, and nothing in a file is executed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file

from medcnn.errors import BundleError
from medcnn.networks.adapt import (
    GREY_MEAN,
    GREY_STD,
    IMAGENET,
    ColourScale,
    Weights,
    adapt,
)
from medcnn.networks.classifier import Classifier
from medcnn.networks.layouts import OURS, recognise
from medcnn.networks.pickles import classes_named_in

if TYPE_CHECKING:
    from medcnn.bundle import Bundle

__all__ = [
    "GREY_MEAN",
    "GREY_STD",
    "PretrainedReport",
    "load_bundle_weights",
    "load_pretrained",
    "read_weights",
]

_WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net")
_FRESH = "body.slices."
"""What no file of pictures can hold: a cnn_rnn's weights over its slices."""

_MOST_NAMED = 3

_HARMFUL = (
    *("__builtin__.eval", "__builtin__.exec", "__builtin__.compile", "builtins.eval"),
    *("builtins.exec", "builtins.compile", "__builtin__.open", "builtins.open"),
    *("nt.", "os.", "posix.", "subprocess.", "sys.", "runpy.", "importlib."),
)
"""What a network never needs when it is read."""

_CONVERT = (
    'python -c "import torch, torchxrayvision as xrv; m = xrv.models.get_model('
    "'densenet121-res224-all'); torch.save(m.state_dict(), 'weights.pt')\""
)
_PLAIN_CONVERT = (
    "python -c \"import torch; m = torch.load('FILE', weights_only=False); "
    "torch.save(m.state_dict(), 'weights.pt')\""
)


@dataclass(frozen=True)
class PretrainedReport:
    """What was taken from a weights file or a bundle.

    Attributes:
        path: The file, or the bundle's directory.
        key_map: Whose names its keys are in.
        loaded: Number of tensors taken.
        ignored: Keys left out: the old task's head, stages the network does not have.
        fresh: Keys of the network's body that start at random, the head apart.
        changes: What was done to fit channels and dimensions, in words.
        labels: Labels whose row of the head was taken, too.
    """

    path: Path
    key_map: str
    loaded: int
    ignored: tuple[str, ...]
    fresh: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def in_words(self) -> str:
        """Return what was taken, left and changed, in a few sentences."""
        said = [f"{self.loaded} tensors of {self.path.name} ({self.key_map} names)"]
        said += self.changes
        if self.labels:
            said.append(f"the head's rows of {', '.join(self.labels)}")
        if self.fresh:
            said.append(f"{len(self.fresh)} tensors start fresh: {_some(self.fresh)}")
        if self.ignored:
            said.append(f"{len(self.ignored)} left out: {_some(self.ignored)}")
        return "; ".join(said) + "."


def load_pretrained(network: Classifier, path: Path) -> PretrainedReport:
    """Put a file's weights into a network's body; the head stays fresh.

    For one grey input channel, normalised by `GREY_MEAN` and `GREY_STD`, the first
    convolution's three channels are folded into one so that a grey picture gives what
    it gave in colour. For volumes, 2-D kernels are repeated along the slices.

    Args:
        network: A network from `build`.
        path: .safetensors, or .pth / .pt of tensors by name, also inside a checkpoint;
            nothing in it is executed.

    Raises:
        BundleError: If the file cannot be read, or its keys or shapes do not fit.
    """
    raw = read_weights(path)
    try:
        layout, names = recognise(raw)
    except BundleError as error:
        msg = f"{path}: {error.message}"
        raise BundleError(msg, hint=error.hint) from error
    found = _Found(path, layout.name, raw, names)
    scale = None if layout is OURS else IMAGENET
    return _put(network, found, scale=scale)


def load_bundle_weights(
    network: Classifier, bundle: "Bundle", *, labels: Sequence[str]
) -> PretrainedReport:
    """Put a bundle's weights into a network: its body, and the rows of known labels.

    Args:
        network: A network from `build`, of the bundle's kind.
        bundle: Any checked bundle.
        labels: What the network's logits are for, in order. The head's row of a label
            that the bundle has, too, is taken; the others stay fresh.

    Raises:
        BundleError: If the bundle's network is of another kind.
    """
    raw = {k: torch.from_numpy(v) for k, v in bundle.weights().items()}
    found = _Found(bundle.path, OURS.name, raw, {name: name for name in raw})
    report = _put(network, found, scale=None)
    weight, bias = (torch.from_numpy(part) for part in bundle.head())
    if weight.shape[1] != network.head.in_features:
        return report
    known = tuple(label for label in labels if label in bundle.spec.labels)
    with torch.no_grad():
        for label in known:
            row, old = labels.index(label), bundle.spec.labels.index(label)
            network.head.weight[row] = weight[old]
            network.head.bias[row] = bias[old]
    heads = {bundle.spec.head.weight, bundle.spec.head.bias} if known else set()
    ignored = tuple(key for key in report.ignored if key not in heads)
    return PretrainedReport(
        report.path,
        report.key_map,
        report.loaded,
        ignored,
        fresh=report.fresh,
        changes=report.changes,
        labels=known,
    )


@dataclass(frozen=True, eq=False)
class _Found:
    """Weights as they were found.

    Attributes:
        path: Where.
        key_map: Whose names.
        raw: Tensors by their own names.
        names: From their names to ours.
    """

    path: Path
    key_map: str
    raw: Weights
    names: Mapping[str, str]


def _put(
    network: Classifier, found: _Found, *, scale: ColourScale | None
) -> PretrainedReport:
    """Put what fits into the network's body.

    Raises:
        BundleError: If keys or shapes do not fit.
    """
    kept = tuple(f"body.{name}." for name, _ in network.body.named_children())
    theirs = {ours: key for key, ours in found.names.items() if ours.startswith(kept)}
    body = {ours: found.raw[key] for ours, key in theirs.items()}
    body, changes = adapt(network, body, scale=scale)
    own = {k: v for k, v in network.state_dict().items() if k.startswith("body.")}
    _check(own, body, found, theirs)
    network.load_state_dict(body, strict=False)
    ignored = tuple(k for k in found.raw if not found.names[k].startswith(kept))
    fresh = tuple(k for k in own if k not in body and k.startswith(_FRESH))
    return PretrainedReport(
        found.path, found.key_map, len(body), ignored, fresh=fresh, changes=changes
    )


def _check(own: Weights, body: Weights, found: _Found, theirs: dict[str, str]) -> None:
    """Refuse weights of another network, by the names and shapes that do not fit.

    Raises:
        BundleError: If any does not.
    """
    given = any(key.startswith(_FRESH) for key in body)
    missing = [
        key
        for key in own
        if key not in body
        and "num_batches_tracked" not in key
        and (given or not key.startswith(_FRESH))
    ]
    extra = [theirs[key] for key in body if key not in own]
    wrong = [
        f"{theirs[key]} is {tuple(body[key].shape)}, not {tuple(own[key].shape)}"
        for key in own
        if key in body and own[key].shape != body[key].shape
    ]
    parts = [
        f"{words} {_some(keys)}"
        for words, keys in (
            ("it lacks", missing),
            ("the network has no place for", extra),
            ("shapes differ:", wrong),
        )
        if keys
    ]
    if parts:
        msg = f"{found.path} ({found.key_map} names) does not fit the network: "
        raise BundleError(msg + "; ".join(parts), hint=_advice(missing, extra, wrong))


def _advice(missing: list[str], extra: list[str], wrong: list[str]) -> str:
    """Say which argument of the network would make the weights fit, if one may."""
    if missing and not extra and all(".downsample." in key for key in missing):
        return "Its shortcuts hold no weights: build with shortcut = 'padding'."
    if len(wrong) == 1 and not missing and not extra:
        return "Only the first layer differs: its stem or its channels are others."
    return "It must be the same network, with the same arguments."


def _some(keys: Sequence[str]) -> str:
    """Name the first few, and say how many there are."""
    more = len(keys) - _MOST_NAMED
    return ", ".join(keys[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def read_weights(path: Path) -> Weights:
    """Read tensors by name, as float32 where they are floats.

    Args:
        path: .safetensors, or .pth / .pt; nothing in it is executed.

    Raises:
        BundleError: If the file is not there or holds anything but tensors.
    """
    raw: Any
    try:
        if path.suffix == ".safetensors":
            raw = load_file(path)
        else:
            raw = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251
    except Exception as error:
        told = _unreadable(path, error)
        raise told from error
    raw = _unwrapped(raw)
    if not isinstance(raw, dict) or not all(torch.is_tensor(v) for v in raw.values()):
        msg = f"{path} holds more than tensors by name"
        raise BundleError(msg, hint="Save the state_dict alone.")
    return {k: v.float() if v.is_floating_point() else v for k, v in raw.items()}


def _unreadable(path: Path, error: Exception) -> BundleError:
    """Return the error that says what is in a file that holds more than tensors."""
    classes = () if path.suffix == ".safetensors" else classes_named_in(path)
    if not classes:
        words = " ".join(str(error).split())[:200]
        msg = f"{path} cannot be read as weights: {words}"
        hint = "Only tensors by name are read. If you trust the file, save them alone "
        hint += "where it was made: torch.save(model.state_dict(), 'weights.pt')."
        return BundleError(msg, hint=hint)
    msg = (
        f"{path} holds more than tensors: it names {_some(classes)}, whose code would "
    )
    msg += "run when it is read; refused"
    if any(name.startswith(_HARMFUL) for name in classes):
        return BundleError(msg, hint="No network needs that: do not open it anywhere.")
    hint = "It is a whole pickled network. Where you trust it and its library is "
    hint += "installed, save its weights alone: "
    hint += _CONVERT if classes[0].startswith("torchxrayvision.") else _PLAIN_CONVERT
    return BundleError(msg, hint=hint)


def _unwrapped(raw: Any) -> Any:
    """Take the weights out of a checkpoint that holds more than them."""
    for name in _WRAPPERS:
        if isinstance(raw, dict) and isinstance(raw.get(name), dict):
            return _unwrapped(raw[name])
    return raw
