"""What a MONAI bundle's config says of its network, as plain values; nothing is run.

MONAI's own parser imports any `_target_` and evaluates every string that begins with
"$". Here a config is read as JSON or YAML, and only the plain values under
`network_def` count.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from medcnn.errors import BundleError

__all__ = ["HINT", "Definition", "first_of", "read_definition"]

HINT = "Export the network as ONNX where it was made, and import that."

_NAMES = ("inference", "evaluate", "train", "common", "network")
_CONFIGS = tuple(
    f"configs/{name}.{kind}" for kind in ("json", "yaml", "yml") for name in _NAMES
)
_LARGEST_FILE = 1 << 20
_LARGEST = 4096
_DEEPEST = 4
_LONGEST = 64


@dataclass(frozen=True)
class Definition:
    """A network as a config names it.

    Attributes:
        path: The config.
        target: Its `_target_`, without monai.networks.nets before it.
        arguments: Plain values.
    """

    path: Path
    target: str
    arguments: dict[str, Any]


def read_definition(folder: Path) -> Definition:
    """Read `network_def` of the first config that has one.

    Raises:
        BundleError: If none has, or it is not plain.
    """
    path = first_of(folder, _CONFIGS)
    config = _read(path)
    for name in _CONFIGS:
        if "network_def" in config or not (folder / name).is_file():
            continue
        path, config = folder / name, _read(folder / name)
    found = config.get("network_def")
    if not isinstance(found, dict) or not isinstance(found.get("_target_"), str):
        msg = f"{path} has no network_def with a _target_"
        raise BundleError(msg, hint=HINT)
    target = re.sub(r"^monai\.networks\.nets\.([a-z_0-9]+\.)?", "", found["_target_"])
    arguments = {
        key: _plain(value, f"network_def.{key}", config, path)
        for key, value in found.items()
        if not key.startswith("_")
    }
    return Definition(path, target, arguments)


def first_of(folder: Path, names: tuple[str, ...]) -> Path:
    """Return the first of some files that is there.

    Raises:
        BundleError: If none is.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    told = ", ".join(names[:3])
    msg = f"{folder} is no MONAI bundle that can be read: it lacks {told}"
    raise BundleError(msg, hint=HINT)


def _read(path: Path) -> dict[str, Any]:
    """Read a config.

    Raises:
        BundleError: If it is neither JSON nor YAML, or too large.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            msg = f"{path} is larger than {_LARGEST_FILE} bytes"
            raise BundleError(msg, hint=HINT)
        text = path.read_text(encoding="utf-8")
        said = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        kind = "JSON" if path.suffix == ".json" else "YAML"
        words = " ".join(str(error).split())[:200]
        msg = f"{path} cannot be read as {kind}: {words}"
        raise BundleError(msg, hint=HINT) from error
    return said if isinstance(said, dict) else {}


def _plain(
    value: Any, where: str, config: dict[str, Any], path: Path, depth: int = 0
) -> Any:
    """Return a value that is a plain one, or refers to a plain one.

    Raises:
        BundleError: If it is an expression, a part to build, or too large.
    """
    if isinstance(value, str) and value.startswith("@"):
        value = config.get(value[1:], value)
    if depth < _DEEPEST and isinstance(value, list) and len(value) <= _LONGEST:
        return [_plain(one, where, config, path, depth + 1) for one in value]
    is_options = isinstance(value, dict) and all(_is_word(key) for key in value)
    if depth < _DEEPEST and is_options and len(value) <= _LONGEST:
        return {
            key: _plain(one, f"{where}.{key}", config, path, depth + 1)
            for key, one in value.items()
        }
    is_plain = value is None or isinstance(value, bool | int | float | str)
    if isinstance(value, str) and value.startswith(("$", "@", "%")):
        is_plain = False
    if not is_plain:
        msg = f"{path}: {where} is {str(value)[:80]!r}, an expression or a part to "
        msg += "build: refused, nothing of it was run"
        raise BundleError(msg, hint=HINT)
    if isinstance(value, int | float) and abs(value) > _LARGEST:
        msg = f"{path}: {where} is {value}, more than {_LARGEST}"
        raise BundleError(msg, hint=HINT)
    return value


def _is_word(key: Any) -> bool:
    """Say whether a key is an option's name, and none of MONAI's own ("_target_")."""
    return isinstance(key, str) and not key.startswith("_")
