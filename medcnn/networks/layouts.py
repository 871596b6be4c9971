"""Whose names the weights in a file have, and what we call the same weights.

A layout is known by one key that all its files hold, whatever stands before it
("module.", "model.", "backbone."). What is renamed to `body.` belongs to the network's
body; all else (the head of the old task above all) keeps its name and is left out.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from medcnn.errors import BundleError

__all__ = ["LAYOUTS", "OURS", "Layout", "recognise"]

Keys = frozenset[str]

_BLOCK = re.compile(r"_blocks\.(\d+)\.(.*)")
_STAGED = re.compile(r"blocks\.(\d+)\.(\d+)\.(.*)")
_TORCHVISION_BLOCK = re.compile(r"features\.([1-7])\.(\d+)\.block\.(\d)\.(.*)")

_SE = {"se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand"}
_SEPARABLE = _SE | {
    "conv_dw": "_depthwise_conv",
    "bn1": "_bn1",
    "conv_pw": "_project_conv",
    "bn2": "_bn2",
}
_INVERTED = _SE | {
    "conv_pw": "_expand_conv",
    "bn1": "_bn0",
    "conv_dw": "_depthwise_conv",
    "bn2": "_bn1",
    "conv_pwl": "_project_conv",
    "bn3": "_bn2",
}
_TORCHVISION_PARTS = (
    {"0": "_expand_conv", "1": "_bn0"},
    {"0": "_depthwise_conv", "1": "_bn1"},
    {"fc1": "_se_reduce", "fc2": "_se_expand"},
    {"0": "_project_conv", "1": "_bn2"},
)


@dataclass(frozen=True)
class Layout:
    """The names that one library gives to the weights of one kind of network.

    Attributes:
        name: In words: libraries and network.
        mark: A key that every file of this layout holds.
        rename: Their key, and all their keys, to ours.
    """

    name: str
    mark: str
    rename: Callable[[str, Keys], str]


def recognise(keys: Iterable[str]) -> tuple[Layout, dict[str, str]]:
    """Return the layout of a file's keys, and what each is called here.

    Args:
        keys: As they stand in the file.

    Returns:
        The layout, and from each key of the file to ours. Keys beside the network
        found keep their names.

    Raises:
        BundleError: If no layout fits, or the file holds more than one network.
    """
    names = tuple(keys)
    if any(name.startswith("body.") for name in names) and OURS.mark in names:
        return OURS, _renamed(OURS, names, "")
    for layout in LAYOUTS:
        pattern = re.compile(rf"(.*\.|){re.escape(layout.mark)}")
        marks = [found for name in names if (found := pattern.fullmatch(name))]
        prefixes = {mark[1] for mark in marks}
        if len(prefixes) > 1:
            told = ", ".join(repr(prefix) for prefix in sorted(prefixes))
            msg = f"it holds more than one {layout.name}: keys start with {told}"
            raise BundleError(msg, hint="Save the weights of one of them alone.")
        if prefixes:
            return layout, _renamed(layout, names, prefixes.pop())
    known = "; ".join(layout.name for layout in (OURS, *LAYOUTS))
    msg = f"no known key layout: keys start {', '.join(names[:3]) or 'nowhere'}"
    raise BundleError(msg, hint=f"Known: {known}.")


def _renamed(layout: Layout, names: tuple[str, ...], prefix: str) -> dict[str, str]:
    """Rename every key below the prefix."""
    inside = frozenset(n.removeprefix(prefix) for n in names if n.startswith(prefix))
    return {
        name: layout.rename(name.removeprefix(prefix), inside)
        if name.startswith(prefix)
        else name
        for name in names
    }


def _ours(key: str, _keys: Keys) -> str:
    return key


def _resnet(key: str, _keys: Keys) -> str:
    if key.startswith(("conv1.", "bn1.")):
        return f"body.stem.{key}"
    return f"body.{key}" if key.startswith("layer") else key


def _densenet(key: str, _keys: Keys) -> str:
    """Name a DenseNet's tensor as ours; MONAI's have `layers.` already."""
    if not key.startswith("features."):
        return key
    key = re.sub(r"(denselayer\d+\.)(norm|conv)\.?(\d)", r"\1layers.\2\3", key)
    return "body." + key.removeprefix("features.")


def _ends(key: str, names: dict[str, str]) -> str | None:
    """Name a tensor before the first or behind the last stage."""
    part, _, rest = key.partition(".")
    return f"body.{names[part]}.{rest}" if part in names else None


def _monai_efficientnet(key: str, _keys: Keys) -> str:
    found = _STAGED.fullmatch(key.removeprefix("_"))
    if found:
        return f"body.stage{int(found[1]) + 1}.{found[2]}.{found[3]}"
    return _ends(key, _UNDERSCORED) or key


def _efficientnet_pytorch(key: str, keys: Keys) -> str:
    found = _BLOCK.fullmatch(key)
    if found:
        stage = _stage(int(found[1]), _repeats_counted_through(keys))
        return f"body.stage{stage}.{found[1]}.{found[2]}"
    return _ends(key, _UNDERSCORED) or key


def _timm_efficientnet(key: str, keys: Keys) -> str:
    found = _STAGED.fullmatch(key)
    if not found:
        return _ends(key, _TIMM_ENDS) or key
    stage, index, rest = int(found[1]), int(found[2]), found[3]
    number = _before(keys, r"blocks\.(\d+)\.(\d+)\..*", stage) + index
    is_inverted = f"blocks.{stage}.{index}.conv_pwl.weight" in keys
    part, _, last = rest.rpartition(".")
    names = _INVERTED if is_inverted else _SEPARABLE
    return f"body.stage{stage + 1}.{number}.{names.get(part, part)}.{last}"


def _torchvision_efficientnet(key: str, keys: Keys) -> str:
    for old, new in _TORCHVISION_ENDS.items():
        if key.startswith(old):
            return new + key.removeprefix(old)
    found = _TORCHVISION_BLOCK.fullmatch(key)
    if not found:
        return key
    stage, index, part = int(found[1]), int(found[2]), int(found[3])
    number = _before(keys, r"features\.([1-7])\.(\d+)\..*", stage) + index
    expands = f"features.{stage}.{index}.block.3.0.weight" in keys
    names = _TORCHVISION_PARTS[part if expands else part + 1]
    inner, _, last = found[4].partition(".")
    return f"body.stage{stage}.{number}.{names.get(inner, inner)}.{last}"


def _before(keys: Keys, pattern: str, stage: int) -> int:
    """Count the blocks in the stages before one."""
    blocks = {(int(m[1]), int(m[2])) for k in keys if (m := re.fullmatch(pattern, k))}
    return sum(one < stage for one, _ in blocks)


def _repeats_counted_through(keys: Keys) -> tuple[int, ...]:
    """Return the blocks of each stage of EfficientNet-B0 or -lite by their number.

    The blocks are counted through, without a sign where a stage starts. The scales of
    the family that are built here differ in their number of blocks.
    """
    blocks = {int(found[1]) for key in keys if (found := _BLOCK.fullmatch(key))}
    return _DEEPER if len(blocks) > sum(_PLAIN) else _PLAIN


def _stage(number: int, repeats: tuple[int, ...]) -> int:
    """Return the stage, from 1, that a block counted through lies in."""
    stage = 1
    for count in repeats[:-1]:
        number -= count
        if number < 0:
            break
        stage += 1
    return stage


_PLAIN = (1, 2, 2, 3, 3, 4, 1)
_DEEPER = (1, 3, 3, 4, 4, 5, 1)

_UNDERSCORED = {
    "_conv_stem": "stem.conv",
    "_bn0": "stem.bn",
    "_conv_head": "last.conv",
    "_bn1": "last.bn",
}
_TIMM_ENDS = {
    "conv_stem": "stem.conv",
    "bn1": "stem.bn",
    "conv_head": "last.conv",
    "bn2": "last.bn",
}
_TORCHVISION_ENDS = {
    "features.0.0.": "body.stem.conv.",
    "features.0.1.": "body.stem.bn.",
    "features.8.0.": "body.last.conv.",
    "features.8.1.": "body.last.bn.",
}

OURS = Layout("medcnn", "head.weight", _ours)
"""The names of our own bundles."""

LAYOUTS: tuple[Layout, ...] = (
    Layout(
        "torchvision, timm, MONAI or MedicalNet ResNet",
        "layer1.0.conv1.weight",
        _resnet,
    ),
    Layout(
        "torchvision, timm or TorchXRayVision DenseNet",
        "features.denseblock1.denselayer1.norm1.weight",
        _densenet,
    ),
    Layout(
        "older torchvision DenseNet",
        "features.denseblock1.denselayer1.norm.1.weight",
        _densenet,
    ),
    Layout(
        "MONAI DenseNet",
        "features.denseblock1.denselayer1.layers.norm1.weight",
        _densenet,
    ),
    Layout(
        "MONAI EfficientNet",
        "_blocks.0.0._depthwise_conv.weight",
        _monai_efficientnet,
    ),
    Layout(
        "EfficientNet-PyTorch",
        "_blocks.0._depthwise_conv.weight",
        _efficientnet_pytorch,
    ),
    Layout("timm EfficientNet", "blocks.0.0.conv_dw.weight", _timm_efficientnet),
    Layout(
        "torchvision EfficientNet",
        "features.1.0.block.0.0.weight",
        _torchvision_efficientnet,
    ),
)
"""Every layout of others that is known; the first that fits is taken."""
