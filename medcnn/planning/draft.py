"""A plan while it is made: values decided so far, and what a person said instead."""

from collections.abc import Mapping
from typing import Any

__all__ = ["Draft"]

_SAYS = {"recipe": "the recipe says so", "--set": "--set says so"}


class Draft:
    """Values and reasons by dotted key.

    Args:
        given: What a person said: value, and "recipe" or "--set", by dotted key.

    Attributes:
        values: What holds.
        reasons: Why, and by whom it was decided.
    """

    def __init__(self, given: Mapping[str, tuple[Any, str]]) -> None:
        self.given = given
        self.values: dict[str, Any] = {}
        self.reasons: dict[str, tuple[str, str]] = {}

    def decide(self, key: str, value: Any, reason: str) -> None:
        """Decide a key, unless a person did."""
        parts = self._parts(key)
        if parts:
            value = dict(value) | parts
        elif key in self.given:
            told, by = self.given[key]
            self.values[key] = told
            instead = "" if told == value else f"; the plan's {value}: {reason}"
            self.reasons[key] = (f"{_SAYS[by]}{instead}", by)
            return
        self.values[key] = value
        self.reasons[key] = (reason, "plan")
        if parts:
            said = ", ".join(f"{key}.{name}" for name in parts)
            self.reasons[key] = (f"{reason}; --set says {said}", "--set")

    def is_given(self, key: str) -> bool:
        """Say whether a person decided a key."""
        return key in self.given

    def __getitem__(self, key: str) -> Any:
        """Return what holds for a key that was decided."""
        return self.values[key]

    def take_the_rest(self) -> None:
        """Take over what was said of keys that no rule decides."""
        for key, (value, by) in self.given.items():
            holder = key.rpartition(".")[0]
            if key not in self.values and not isinstance(self.values.get(holder), dict):
                self.values[key] = value
                self.reasons[key] = (_SAYS[by], by)

    def _parts(self, key: str) -> dict[str, Any]:
        """Return what was said of single names within a table."""
        inside = f"{key}."
        return {
            name.removeprefix(inside): value
            for name, (value, _) in self.given.items()
            if name.startswith(inside)
        }
