"""The distribution of what is known of some images, small enough to be kept."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from medcnn.errors import DataError

__all__ = ["REFERENCE", "Numbers", "Sample", "SampleMaker", "read_sample"]

REFERENCE = "reference.json"
"""File of a bundle with the sample of its held-out cases."""

MOST_VALUES = 500
"""Values kept of a number: their ranks lie evenly, so the distribution function is
known to 1/500."""

_MOST_WORDS = 200
_REST = "(other)"


class Numbers(BaseModel):
    """The distribution of one number.

    Attributes:
        count: How many values there were.
        values: All of them, or so many of evenly spaced ranks, rising.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    count: int = Field(ge=1)
    values: tuple[float, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _rises(self) -> "Numbers":
        if list(self.values) != sorted(self.values) or len(self.values) > self.count:
            msg = "values must rise, and be no more than counted"
            raise ValueError(msg)
        return self


class Sample(BaseModel):
    """What is known of some images, one of each patient.

    Attributes:
        source: What they are, in words.
        images: How many there were.
        units: How many count: one image of each patient, and every image of nobody
            known.
        without_patient: How many of those are of nobody known.
        numbers: By name.
        words: By name: how often each value occurs; not stated is not counted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    images: int = Field(ge=0)
    units: int = Field(ge=0)
    without_patient: int = Field(default=0, ge=0)
    numbers: dict[str, Numbers] = Field(default_factory=dict)
    words: dict[str, dict[str, int]] = Field(default_factory=dict)


class SampleMaker:
    """Gathers images one by one.

    Images of one patient are alike, and a test that takes them for independent finds
    drift where there is none. So the first image of each patient counts; hand them over
    in an order that does not depend on their scores.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._images = 0
        self._units = 0
        self._alone = 0
        self._numbers: dict[str, list[float]] = {}
        self._words: dict[str, Counter[str]] = {}

    def add(self, facts: Mapping[str, str | float | None], patient: str | None) -> None:
        """Take in an image: text is a word, anything else a number, None not known."""
        self._images += 1
        if patient:
            if patient in self._seen:
                return
            self._seen.add(patient)
        else:
            self._alone += 1
        self._units += 1
        for name, value in facts.items():
            if isinstance(value, str):
                self._words.setdefault(name, Counter())[value] += 1
            elif value is not None and np.isfinite(value):
                self._numbers.setdefault(name, []).append(float(value))

    def sample(self, source: str) -> Sample:
        """Return what was gathered."""
        return Sample(
            source=source,
            images=self._images,
            units=self._units,
            without_patient=self._alone,
            numbers={name: _thin(found) for name, found in self._numbers.items()},
            words={name: _common(found) for name, found in self._words.items()},
        )


def read_sample(path: Path) -> Sample:
    """Read a sample's file.

    Raises:
        DataError: If it is missing or not as it should be.
    """
    try:
        return Sample.model_validate_json(path.read_bytes())
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise DataError(msg) from error
    except ValidationError as error:
        where = "; ".join(".".join(map(str, p["loc"])) for p in error.errors())
        msg = f"{path} is no sample of images: {where or 'it is no JSON'}"
        raise DataError(msg) from error


def _thin(found: list[float]) -> Numbers:
    """Keep values of evenly spaced ranks, to six significant digits."""
    rising = np.sort(np.array(found))
    if rising.size > MOST_VALUES:
        ranks = (np.arange(MOST_VALUES) + 0.5) * rising.size / MOST_VALUES
        rising = rising[ranks.astype(np.intp)]
    values = tuple(float(f"{value:.6g}") for value in rising)
    return Numbers(count=len(found), values=values)


def _common(found: Counter[str]) -> dict[str, int]:
    """Keep the most common words by name, the rest as one."""
    kept = dict(found.most_common(_MOST_WORDS))
    rest = found.total() - sum(kept.values())
    ordered = dict(sorted(kept.items()))
    return ordered | ({_REST: rest} if rest else {})
