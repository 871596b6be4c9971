"""Which attributes an object must have, by the standard's definition of its kind."""

import json
from enum import IntEnum
from functools import lru_cache
from importlib.resources import files
from typing import Any

__all__ = ["Need", "Needs", "needs_of"]

Place = tuple[str, ...]
Needs = dict[tuple[Place, str], "Need"]
"""By the sequences around it and its keyword."""


class Need(IntEnum):
    """How much of an attribute must be there."""

    NOTHING = 0
    """Type 3."""
    PRESENCE = 1
    """Types 2 and 2C: it may be empty."""
    VALUE = 2
    """Types 1 and 1C."""


_NEED = {
    "1": Need.VALUE,
    "1C": Need.VALUE,
    "2": Need.PRESENCE,
    "2C": Need.PRESENCE,
    "3": Need.NOTHING,
}


@lru_cache(maxsize=8)
def needs_of(sop_class: str) -> Needs | None:
    """Return what objects of a class need; the strictest of their modules counts.

    The definitions are those that highdicom brings.

    Returns:
        None if the class is not known. An attribute that is in no module of the class
        is not in it.

    References:
        [1] DICOM PS3.3 A, the tables of modules, and C, those of attributes.
    """
    kinds: dict[str, str] = _standard("sop_class_iod_map.json")
    kind = kinds.get(sop_class)
    if kind is None:
        return None
    modules = {one["key"] for one in _standard("iod_module_map.json")[kind]}
    found: Needs = {}
    for module, attributes in _standard("module_attribute_map.json").items():
        if module not in modules:
            continue
        for one in attributes:
            key = tuple(one["path"]), one["keyword"]
            found[key] = max(found.get(key, Need.NOTHING), _NEED[one["type"]])
    return found


def _standard(name: str) -> Any:
    """Read one of highdicom's tables; they are big, and not kept."""
    return json.loads((files("highdicom") / "_standard" / name).read_bytes())
