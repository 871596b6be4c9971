"""What somebody must say of a foreign model, since its file does not: plain data."""

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from medcnn.bundle_spec import InputSpec, NetworkSpec
from medcnn.errors import DataError
from medcnn.gate import GateRules
from medcnn.preprocessing import Preprocessing
from medcnn.toml_file import read_toml

__all__ = ["ImportDescription", "read_description"]

Label = Annotated[
    str,
    StringConstraints(max_length=64, pattern=r"^[^\x00-\x1f\x7f\\]*$"),
]
"""As a DICOM code meaning may be: PS3.5 6.2, LO."""

_HINT = "docs/models.md shows a whole one."


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Channels(_Record):
    """What is taken off each channel after preprocessing, and by what it is divided."""

    means: tuple[float, ...]
    deviations: tuple[float, ...]

    @model_validator(mode="after")
    def _deviations_are_above_0(self) -> "Channels":
        if len(self.means) != len(self.deviations) or min(self.deviations) <= 0:
            msg = f"means {self.means} and deviations {self.deviations}: expected as "
            raise ValueError(msg + "many deviations above 0 as means")
        return self


class Thresholds(_Record):
    """Two thresholds on one label's probability."""

    flag: float = Field(ge=0, le=1)
    review: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _review_is_the_lower(self) -> "Thresholds":
        if self.review > self.flag:
            msg = f"review {self.review:g} is above flag {self.flag:g}"
            raise ValueError(msg)
        return self


class ImportDescription(_Record):
    """A foreign model in words and numbers.

    Attributes:
        name: The new model's.
        labels: In the order of the network's outputs, the main label first; "" for an
            output that is left out.
        activation: "sigmoid" for labels that may occur together, "softmax" for classes
            of which exactly one is true.
        gives: Whether the network's last layer makes probabilities already. Nobody can
            see that in a number.
        network: For a file of weights: which network of ours they are for.
        channels: Normalisation by channel; only for a graph.
        axes: The order that the network sees: "kji" is (slices, rows, columns), "ijk"
            (columns, rows, slices), which is what MONAI's LoadImage gives. A picture
            has no slices. Of a MONAI bundle it must be said.
        thresholds: Of labels; others get 0.5.
        licence: Under which the weights may be used.
        origin: Where they come from.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    version: str = "1"
    summary: str
    labels: tuple[Label, ...] = Field(min_length=1)
    activation: Literal["sigmoid", "softmax"]
    gives: Literal["logits", "probabilities"]
    input: InputSpec
    preprocessing: Preprocessing
    network: NetworkSpec | None = None
    channels: Channels | None = None
    axes: Literal["kji", "ijk"] | None = None
    thresholds: dict[str, Thresholds] = Field(default_factory=dict)
    gate: GateRules | None = None
    licence: str = "not stated"
    origin: str = "not stated"

    @property
    def kept(self) -> tuple[str, ...]:
        """The labels that have a name."""
        return tuple(label for label in self.labels if label)

    @property
    def rows(self) -> tuple[int, ...] | None:
        """Which outputs have a name; None if all have."""
        found = tuple(n for n, label in enumerate(self.labels) if label)
        return None if len(found) == len(self.labels) else found

    @model_validator(mode="after")
    def _labels_are_names(self) -> "ImportDescription":
        if not self.kept:
            msg = "labels: expected a name for one of them at least"
            raise ValueError(msg)
        if len(set(self.kept)) < len(self.kept):
            msg = "labels are named twice"
            raise ValueError(msg)
        if self.rows is not None and self.activation == "softmax":
            msg = "labels: of classes of which exactly one is true none can be left out"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> "ImportDescription":
        have, takes = self.preprocessing.channels, self.input.channels
        if have != takes:
            msg = f"preprocessing.channels is {have}, input.channels is {takes}"
            raise ValueError(msg)
        if self.channels is not None and len(self.channels.means) != takes:
            msg = f"channels.means has {len(self.channels.means)} numbers for {takes} "
            raise ValueError(msg + "channels")
        if self.activation == "softmax" and len(self.labels) == 1:
            msg = "softmax of one label is always 1: name two, or say sigmoid"
            raise ValueError(msg)
        unknown = set(self.thresholds) - set(self.kept)
        if unknown:
            msg = f"thresholds of {', '.join(sorted(unknown))}, which are no labels"
            raise ValueError(msg)
        return self


def read_description(path: Path) -> ImportDescription:
    """Read a description, TOML or JSON.

    Raises:
        DataError: If it cannot be read, or says something unknown or impossible.
    """
    try:
        is_json = path.suffix == ".json"
        said = json.loads(path.read_text("utf-8")) if is_json else read_toml(path)
        return ImportDescription.model_validate(said)
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'all'}: {one['msg']}"
            for one in error.errors()[:3]
        )
        msg = f"{path}: {told}"
        raise DataError(msg, hint=_HINT) from error
    except (OSError, ValueError, RecursionError, DataError) as error:
        msg = f"{path} cannot be read as TOML or JSON: {error}"
        raise DataError(msg, hint=_HINT) from error
