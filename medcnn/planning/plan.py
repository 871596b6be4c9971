"""The plan: every decision of a training with its reason in one line."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from medcnn.errors import RecipeError
from medcnn.planning.draft import Draft
from medcnn.planning.fingerprint import Fingerprint
from medcnn.planning.input_rules import INPUT_RULES
from medcnn.planning.learning_rules import LEARNING_RULES
from medcnn.planning.memory import Machine
from medcnn.planning.recipe import Recipe, in_words
from medcnn.planning.settings import flat, given_keys, nested

__all__ = ["PLAN", "Decision", "Plan", "make_plan"]

PLAN = "plan.json"
"""File name of a plan."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Decision(_Record):
    """One decision.

    Attributes:
        key: Of the recipe, such as "optimiser.epochs".
        value: As JSON.
        reason: Why so, in one line.
        by: "plan", or who overrode it: "recipe" or "--set".
    """

    key: str
    value: Any
    reason: str
    by: str


class Plan(_Record):
    """What is to be done, and why.

    Attributes:
        format: Version of this file's layout.
        medcnn: Version of the package.
        fingerprint: What the data is.
        machine: What it is to run on.
        decisions: In the order in which they were taken.
        recipe: The whole recipe, as it will be carried out.
        notes: What was found out about patients, copies and contradictions.
    """

    format: int = 1
    medcnn: str
    fingerprint: Fingerprint
    machine: Machine
    decisions: tuple[Decision, ...]
    recipe: Recipe
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the text of plan.json; no path of this computer is in it."""
        start, selftest = self.recipe.network.pretrained, self.recipe.selftest
        bare = {
            "network": self.recipe.network.model_copy(
                update={"pretrained": start.name if start else None}
            ),
            "selftest": selftest.name if selftest else None,
        }
        shown = self.model_copy(update={"recipe": self.recipe.model_copy(update=bare)})
        return shown.model_dump_json(indent=2, warnings=False) + "\n"

    def lines(self) -> tuple[str, ...]:
        """Return the decisions as text: key, value, reason."""
        return tuple(
            f"{one.key} = {_shown(one.value)}: {one.reason}" for one in self.decisions
        )


def make_plan(
    fingerprint: Fingerprint,
    machine: Machine,
    *,
    recipe: Recipe | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Plan:
    """Decide how to train on data of this fingerprint on this machine.

    What a person says holds: first `settings`, then the recipe, then the plan.

    Args:
        fingerprint: What the data is.
        machine: What the training is to run on.
        recipe: What a recipe says; of its keys only those that were given count.
        settings: What `--set` says, by dotted key.

    Raises:
        RecipeError: If what was said makes no recipe.
    """
    given = (
        {key: (value, "recipe") for key, value in given_keys(recipe).items()}
        if recipe
        else {}
    )
    given |= {key: (value, "--set") for key, value in (settings or {}).items()}
    draft = Draft(given)
    base = given.get("base", ("plan", ""))[0]
    rules = (*INPUT_RULES, *LEARNING_RULES) if base == "plan" else ()
    for rule in rules:
        rule(fingerprint, machine, draft)
    draft.take_the_rest()
    try:
        chosen = Recipe.model_validate(nested(draft.values))
    except ValidationError as error:
        msg = f"the plan and what was said do not go together: {in_words(error)}"
        raise RecipeError(msg) from error
    values = flat(chosen)
    decisions = tuple(
        Decision(
            key=key, value=_plain(values.get(key, draft.values[key])), reason=why, by=by
        )
        for key, (why, by) in draft.reasons.items()
    )
    return Plan(
        medcnn=_version(),
        fingerprint=fingerprint,
        machine=machine,
        decisions=decisions,
        recipe=chosen,
    )


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it; of a file its name, not its place."""
    if isinstance(value, Path):
        return value.name
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " x ".join(map(str, value)) if value else "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {part}" for key, part in value.items()) or "none"
    return str(value)


def _version() -> str:
    try:
        return version("medcnn-imaging")
    except PackageNotFoundError:
        return "source tree"
