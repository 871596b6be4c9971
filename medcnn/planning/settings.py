"""What a person says about a training: `--set key=value`, checked and in its place."""

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from medcnn.errors import RecipeError
from medcnn.planning.recipe import Recipe, all_keys, in_words, nearest

__all__ = ["flat", "given_keys", "nested", "parse_settings"]


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Read `key=value` texts: values as in TOML, else as text.

    Returns:
        Values by dotted key, checked against the schema.

    Raises:
        RecipeError: If one has no `=`, its key is unknown (the nearest one is named) or
            its value is wrong.

    Examples:
        >>> parse_settings(["optimiser.epochs=3", "network.name=resnet50"])
        {'optimiser.epochs': 3, 'network.name': 'resnet50'}
    """
    found: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip()
        if not equals or not key:
            msg = f"--set takes key=value, got {setting!r}"
            raise RecipeError(msg, hint="Such as --set optimiser.epochs=20.")
        if not _is_known(key):
            msg = f"--set {key}: there is no such key"
            raise RecipeError(msg, hint=nearest(key))
        found[key] = _value(text.strip())
    try:
        Recipe.model_validate(nested(found))
    except ValidationError as error:
        msg = f"--set: {in_words(error)}"
        raise RecipeError(msg) from error
    return found


def given_keys(recipe: Recipe) -> dict[str, Any]:
    """Return the values that were given to a recipe, by dotted key."""
    return _given(recipe, "")


def flat(recipe: Recipe) -> dict[str, Any]:
    """Return every value of a recipe by dotted key."""
    values: dict[str, Any] = {}
    for key in all_keys():
        holder: Any = recipe
        for part in key.split("."):
            holder = getattr(holder, part)
        values[key] = holder
    return values


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by dotted key as tables within tables."""
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *parents, name = key.split(".")
        holder = tree
        for parent in parents:
            inner = holder.setdefault(parent, {})
            if not isinstance(inner, dict):
                break  # the schema refuses it
            holder = inner
        else:
            holder[name] = value
    return tree


def _is_known(key: str) -> bool:
    known = all_keys()
    return key in known or any(
        key.startswith(f"{one}.") for one in known if _is_open(one)
    )


def _is_open(key: str) -> bool:
    """Say whether a key holds a table with names of one's own choice."""
    return isinstance(flat(Recipe())[key], dict)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _given(section: BaseModel, prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in type(section).model_fields:
        if name not in section.model_fields_set:
            continue
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            found |= _given(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found
