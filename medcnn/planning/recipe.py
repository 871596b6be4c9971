"""The recipe: everything that decides how a model is trained, as data with a schema.

A recipe is a TOML file. Every key has a default, unknown keys are refused by name, and
nothing in it is executed. The recipe a model was made with is kept in its bundle.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from medcnn.errors import DataError, RecipeError
from medcnn.gate import GateRules
from medcnn.planning.sections import (
    About,
    Augmentation,
    Card,
    Count,
    Input,
    Loss,
    Network,
    Optimiser,
    Report,
    Rule,
    Run,
    Sampling,
    Section,
    Select,
)
from medcnn.toml_file import read_toml

__all__ = ["Recipe", "all_keys", "in_words", "nearest", "read_recipe"]


class Recipe(Section):
    """All of a recipe.

    Attributes:
        base: What holds for keys that are not given: "plan" is what suits the data,
            "defaults" is what stands here, so that the recipe is complete in itself.
        modality: DICOM code of what the images are, such as "DX", "CT", "MR", "US" or
            "DMS" (dermoscopy), where files do not say it.
        labels: The labels or classes to learn, the main one first; none means all.
        attributes: Columns of 1 and 0 that are no labels.
        seed: Decides everything that is drawn.
        val_share: Share of the cases held out where the data has no val split.
        folds: Parts that the cases are dealt into by patient; each is held out once and
            a network trained on the others. 1 trains one network, on train.
        seeds: Networks of each fold, which differ in their starting weights and in all
            that is drawn. Several networks make an ensemble.
        progressive: [[epochs, side], ...]: train at smaller pictures first; the rest of
            the epochs run at the full input shape. Ends before `optimiser.epochs`.
        selftest: An image the finished model is to be tried on, relative to the recipe;
            none means a synthetic pattern.
    """

    base: Literal["plan", "defaults"] = "plan"
    modality: str | None = None
    labels: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    seed: int = Field(default=0, ge=0)
    val_share: float = Field(default=0.15, gt=0, lt=1)
    folds: int = Field(default=1, ge=1, le=20)
    seeds: int = Field(default=1, ge=1, le=20)
    progressive: tuple[tuple[Count, Count], ...] = ()
    selftest: Path | None = None
    model: About = About()
    network: Network = Network()
    input: Input = Input()
    optimiser: Optimiser = Optimiser()
    loss: Loss = Loss()
    sampling: Sampling = Sampling()
    augmentation: Augmentation = Augmentation()
    select: Select = Select()
    operating_point: Rule = Rule()
    report: Report = Report()
    gate: GateRules = GateRules()
    card: Card = Card()
    run: Run = Run()

    @model_validator(mode="after")
    def _ends_at_full_size(self) -> Self:
        small = sum(epochs for epochs, _ in self.progressive)
        if small >= self.optimiser.epochs:
            msg = f"progressive takes {small} epochs of {self.optimiser.epochs}: "
            raise ValueError(msg + "the last must be at the full input shape")
        return self

    def learning(self) -> dict[str, Any]:
        """Return what decides the weights, as plain JSON values.

        Where the pretrained weights lie does not; what they are is their checksum.
        """
        kept = {"labels", "attributes", "seed", "val_share", "progressive", "network"}
        kept |= {"folds", "seeds"}
        kept |= {"input", "optimiser", "loss", "sampling", "augmentation", "select"}
        values = self.model_dump(mode="json", include=kept)
        del values["network"]["pretrained"]
        return values


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe from a TOML file.

    Paths in it are taken relative to it.

    Raises:
        RecipeError: If it cannot be read, or a key is unknown or has a wrong value.
    """
    source = Path(path)
    try:
        recipe = Recipe.model_validate(read_toml(source))
    except DataError as error:
        msg = f"{source} cannot be read as a recipe: {error.message}"
        raise RecipeError(msg) from error
    except ValidationError as error:
        msg = f"{source} is not a recipe: {in_words(error)}"
        raise RecipeError(msg, hint=_hint(error)) from error
    network, root = recipe.network, source.parent
    if network.pretrained is not None:
        found = root / network.pretrained
        network = network.model_copy(update={"pretrained": found})
    selftest = None if recipe.selftest is None else root / recipe.selftest
    return recipe.model_copy(update={"network": network, "selftest": selftest})


def all_keys() -> tuple[str, ...]:
    """Return every dotted key of a recipe."""
    return tuple(_keys(Recipe, ""))


def nearest(key: str) -> str:
    """Return a hint that names the nearest known key."""
    known = {k.lower(): k for k in all_keys()}
    last = key.rpartition(".")[2].lower()
    found = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.6)
    if not found:
        ends = {k.rpartition(".")[2].lower(): k for k in all_keys()}
        close = difflib.get_close_matches(last, ends, n=1, cutoff=0.6)
        return (
            f"Did you mean {ends[close[0]]}?" if close else "docs/training.md has all."
        )
    return f"Did you mean {known[found[0]]}?"


def in_words(error: ValidationError) -> str:
    """Name each wrong key and what is wrong with it."""
    lines = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"])
        unknown = problem["type"] == "extra_forbidden"
        lines.append(f"{where}: {'unknown key' if unknown else problem['msg']}")
    return "; ".join(lines)


def _hint(error: ValidationError) -> str:
    """Name the nearest known key for the first unknown one."""
    for problem in error.errors():
        if problem["type"] == "extra_forbidden":
            return nearest(".".join(str(part) for part in problem["loc"]))
    return ""


def _keys(model: type[BaseModel], prefix: str) -> Iterable[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _keys(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
