"""What a data set is, found out by reading it once: the ground every plan stands on."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from medcnn.dataset import SPLITS, Case, CaseTable
from medcnn.errors import DataError, MedcnnError
from medcnn.image import Image
from medcnn.io import load
from medcnn.planning.laterality import laterality_of

__all__ = ["Fingerprint", "LabelCount", "Spread", "fingerprint"]

SAMPLE = 200
"""Images that are decoded to make a fingerprint."""

_LARGE_VOXELS = 4_000_000
_LARGE_SAMPLE = 32
_PIXELS_EACH = 20_000
_NAMED = 3
_MOST_GROUPS, _LEAST_OF_GROUP = 8, 20


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Spread(_Record):
    """The smallest, middle and largest of some numbers, each (I, J, K)."""

    smallest: tuple[float, float, float]
    median: tuple[float, float, float]
    largest: tuple[float, float, float]


class LabelCount(_Record):
    """How many cases have a label, have it not, and are not known."""

    label: str
    positive: int
    negative: int
    unknown: int


class Fingerprint(_Record):
    """What a data set is.

    Counts are of all cases; what is said of images is of a sample that was decoded.

    Attributes:
        kind: "table", "folder" or "data set".
        cases: Images in all.
        splits: Images of each split; "" where nothing says.
        task: "binary", "multi-class" or "multi-label".
        labels: The main one first.
        patients: Different patients that the table or the sampled headers name; None
            if they name none.
        patients_from: "column", "header" or "nothing".
        sampled: How many images were decoded.
        dims: 2 for pictures, 3 for volumes.
        colour: Whether channels differ.
        modality: DICOM code; None where nothing says.
        modalities: What files say of themselves, the most frequent first; () unless all
            of the sample say something.
        sizes: Voxels along i, j, k.
        spacings_mm: Millimetres along i, j, k; None where nothing says.
        extents_vary: Standard deviation of the field of view by its mean, at most over
            the axes.
        oriented: Whether all volumes say where their axes point.
        stored: Types of stored values, the most frequent first.
        binary: Whether every image holds two values at most: a mask.
        values: Percentiles 0.5, 5, 50, 95 and 99.5 of all values, and the share of 0.
        unit: Such as "HU"; None where nothing says.
        body_parts: What headers say was examined, in capitals.
        laterality: Whether left and right mean something.
        laterality_reason: Why.
        groups: Columns of the table that divide the cases into few groups.
        seconds_each: Time to decode one image here, of one thread.
    """

    kind: str
    cases: int
    splits: dict[str, int]
    task: Literal["binary", "multi-class", "multi-label"]
    labels: tuple[LabelCount, ...]
    patients: int | None
    patients_from: Literal["column", "header", "nothing"]
    sampled: int
    dims: Literal[2, 3]
    colour: bool
    modality: str | None
    modalities: tuple[str, ...]
    sizes: Spread
    spacings_mm: Spread | None
    extents_vary: float = Field(ge=0)
    oriented: bool
    stored: tuple[str, ...]
    binary: bool
    values: dict[str, float]
    unit: str | None
    body_parts: tuple[str, ...]
    laterality: bool
    laterality_reason: str
    groups: tuple[str, ...]
    seconds_each: float

    @property
    def to_learn(self) -> int:
        """Cases to learn from: train, or what val is still to be drawn from."""
        free = self.cases - sum(self.splits.get(name, 0) for name in ("val", "test"))
        return free if self.splits.get("val") else round(free * 0.85)

    @property
    def longest_side(self) -> int:
        """Longest side of the largest image, over all its axes."""
        return int(max(self.sizes.largest[: self.dims]))

    @property
    def is_small(self) -> bool:
        """Whether no image is longer than 64 pixels along any axis."""
        return self.longest_side <= 64

    @property
    def rarest_share(self) -> float:
        """Smallest share of known cases that a label is true, or false, in."""
        shares = [
            min(one.positive, one.negative) / max(one.positive + one.negative, 1)
            for one in self.labels
        ]
        return min(shares)


def fingerprint(
    table: CaseTable,
    *,
    modality: str | None = None,
    seed: int = 0,
    tick: Callable[[int], None] = lambda _: None,
) -> Fingerprint:
    """Read a data set once.

    Args:
        table: Cases.
        modality: What the images are, where the files do not say.
        seed: Decides which images are decoded.
        tick: Told how many more images are decoded.

    Raises:
        DataError: If an image of the sample cannot be read, or pictures and volumes
            are mixed.
    """
    started = time.perf_counter()
    images = _decoded(_sample(table, seed), tick)
    each = (time.perf_counter() - started) / len(images) * _threads()
    dims = _dims(table, images)
    found = _most(image.modality for image in images)
    said = modality or found or table.modality
    sides, reason = laterality_of(table, said, is_colour=any(map(_is_coloured, images)))
    named = {case.patient_id for case in table.cases} - {None}
    headers = {image.identity.patient_id for image in images} - {None, ""}
    spacings = [image.geometry.spacing_mm for image in images if image.geometry]
    return Fingerprint(
        kind=table.kind,
        cases=len(table.cases),
        splits=_counts(table),
        task=_task(table),
        labels=_labels(table),
        patients=len(named or headers) or None,
        patients_from="column" if named else "header" if headers else "nothing",
        sampled=len(images),
        dims=dims,
        colour=any(map(_is_coloured, images)),
        modality=said,
        modalities=_ranked(image.modality or "" for image in images)
        if all(image.modality for image in images)
        else (),
        sizes=_spread([image.shape for image in images]),
        spacings_mm=_spread(spacings) if len(spacings) == len(images) else None,
        extents_vary=_variation(images),
        oriented=all(i.geometry and i.geometry.frame == "patient" for i in images),
        stored=_ranked(str(image.array.dtype) for image in images),
        binary=all(len(np.unique(_thinned(image))) <= 2 for image in images),
        values=_values(images),
        unit=_most(image.unit for image in images),
        body_parts=_ranked(
            i.facts.get("body_part", "").strip().upper() for i in images
        ),
        laterality=sides,
        laterality_reason=reason,
        groups=_groups(table),
        seconds_each=round(each, 5),
    )


def _sample(table: CaseTable, seed: int) -> Sequence[Case]:
    """Draw the cases to decode: all, or so many of all splits and classes alike."""
    order = np.random.default_rng((seed, 5)).permutation(len(table.cases))[:SAMPLE]
    return [table.cases[n] for n in sorted(order.tolist())]


def _decoded(cases: Sequence[Case], tick: Callable[[int], None]) -> list[Image]:
    """Decode cases; of large volumes only the first of them.

    Raises:
        DataError: If one cannot be read.
    """
    bad: list[str] = []

    def read(case: Case) -> Image | None:
        try:
            return load(case.path)
        except MedcnnError as error:
            bad.append(f"{case.path}: {error}")
            return None

    first = read(cases[0])
    if first is not None and first.array.size > _LARGE_VOXELS:
        cases = cases[:: max(len(cases) // _LARGE_SAMPLE, 1)][:_LARGE_SAMPLE]
    images = []
    with ThreadPoolExecutor(_threads()) as pool:
        for image in pool.map(read, cases):
            tick(1)
            images += [] if image is None else [image]
    if bad:
        some = "; ".join(sorted(set(bad))[:_NAMED])
        msg = f"{len(bad)} of {len(cases)} sampled images cannot be used: {some}"
        raise DataError(msg, hint="Mend these rows or take them out of the table.")
    return images


def _threads() -> int:
    return min(os.cpu_count() or 1, 8)


def _dims(table: CaseTable, images: Sequence[Image]) -> Literal[2, 3]:
    """Return what all images are.

    Raises:
        DataError: If some are pictures and some volumes.
    """
    by_dims = {image.dims: image.source for image in images}
    if len(by_dims) > 1:
        msg = f"{table.source} mixes pictures ({by_dims[2]}) and volumes ({by_dims[3]})"
        raise DataError(msg, hint="Put pictures and volumes into tables of their own.")
    return 2 if 2 in by_dims else 3


def _counts(table: CaseTable) -> dict[str, int]:
    counts = Counter(case.split or "" for case in table.cases)
    return {name: counts[name] for name in (*SPLITS, "") if counts[name]}


def _task(table: CaseTable) -> Literal["binary", "multi-class", "multi-label"]:
    if table.activation == "softmax":
        return "binary" if len(table.labels) == 2 else "multi-class"
    return "binary" if len(table.labels) == 1 else "multi-label"


def _labels(table: CaseTable) -> tuple[LabelCount, ...]:
    truth = table.truth()
    return tuple(
        LabelCount(
            label=label,
            positive=int((column == 1).sum()),
            negative=int((column == 0).sum()),
            unknown=int(np.isnan(column).sum()),
        )
        for label, column in zip(table.labels, truth.T, strict=True)
    )


def _groups(table: CaseTable) -> tuple[str, ...]:
    """Return columns with 2 to 8 values, each of at least 20 cases."""
    counts: dict[str, Counter[str]] = {}
    for case in table.cases:
        for name, value in case.attributes.items():
            counts.setdefault(name, Counter())[value] += 1
    found = []
    for name, of_value in counts.items():
        told = [count for value, count in of_value.items() if value]
        if 2 <= len(told) <= _MOST_GROUPS and min(told) >= _LEAST_OF_GROUP:
            found.append(name)
    return tuple(found)


def _is_coloured(image: Image) -> bool:
    return image.channels > 1 and bool((image.array != image.array[:1]).any())


def _thinned(image: Image) -> np.ndarray:
    """Return some of the acquired values of an image, evenly spread."""
    values = image.array
    if image.padding is not None and not image.padding.all():
        values = values[:, ~image.padding]
    flat = values.ravel()
    return flat[:: max(flat.size // _PIXELS_EACH, 1)]


def _values(images: Sequence[Image]) -> dict[str, float]:
    pooled = np.concatenate([_thinned(image) for image in images]).astype(np.float64)
    pooled = pooled[np.isfinite(pooled)]
    levels = (0.5, 5, 50, 95, 99.5)
    found = np.percentile(pooled, levels) if pooled.size else np.zeros(len(levels))
    told = {
        f"p{level:g}": round(float(v), 4)
        for level, v in zip(levels, found, strict=True)
    }
    return told | {
        "zero": round(float((pooled == 0).mean()), 4) if pooled.size else 0.0
    }


def _spread(rows: Sequence[Sequence[float]]) -> Spread:
    values = np.array(rows, dtype=np.float64)
    parts = values.min(0), np.median(values, 0), values.max(0)
    low, middle, high = (np.round(part, 4).tolist() for part in parts)
    return Spread(smallest=tuple(low), median=tuple(middle), largest=tuple(high))


def _variation(images: Sequence[Image]) -> float:
    """Return how much fields of view differ: mm where known, voxels elsewhere."""
    known = all(image.geometry is not None for image in images)
    extents = np.array(
        [
            np.array(i.shape) * (i.geometry.spacing_mm if known and i.geometry else 1.0)
            for i in images
        ]
    )
    spread: np.ndarray = extents.std(0) / extents.mean(0)
    return round(float(spread.max()), 4)


def _most(values: Iterable[str | None]) -> str | None:
    """Return the most frequent value; None if nothing says any."""
    ranked = _ranked(value or "" for value in values)
    return ranked[0] if ranked else None


def _ranked(values: Iterable[str]) -> tuple[str, ...]:
    """Return values that are not empty, the most frequent first."""
    counts: Mapping[str, int] = Counter(value for value in values if value)
    return tuple(sorted(counts, key=lambda value: (-counts[value], value)))
