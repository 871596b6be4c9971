"""What one data set's header says will be done to its pixels, and doing it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medcnn.io.dicom.facts import warnings_of
from medcnn.io.dicom.pixels.colour import check_photometric, colour_words, to_rgb
from medcnn.io.dicom.pixels.grey import GreyPlan, plan_grey
from medcnn.io.dicom.pixels.layout import Layout, layout_of
from medcnn.io.dicom.pixels.native import expected_bytes
from medcnn.io.dicom.pixels.render import render
from medcnn.io.dicom.pixels.stored import container
from medcnn.io.dicom.tags import broken_as_decode_error
from medcnn.io.dicom.volumes.frames import frame_headers
from medcnn.io.options import ReadOptions

__all__ = ["Plan", "common_type", "decode", "make_plan", "steps_in_words"]

Pixels = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Plan:
    """What the header of one data set says about its picture.

    Attributes:
        layout: How the pixels are stored.
        grey: What is done to each frame, or to all if there is one; () for colour.
        warnings: What a careful reader would want to be told.
    """

    layout: Layout
    grey: tuple[GreyPlan, ...]
    warnings: tuple[str, ...]

    @property
    def forms(self) -> tuple[tuple[str, ...], ...]:
        """The steps in words: one form for all frames, or one for each."""
        return tuple(grey.words for grey in self.grey) or (colour_words(self.layout),)


def make_plan(
    dataset: Dataset, keyword: str, path: Path | None, options: ReadOptions
) -> Plan:
    """Decide from the header alone what will be done.

    Args:
        dataset: The data set, with or without its pixels.
        keyword: Which attribute carries the pixels; "" if none does.
        path: The file, for errors.
        options: What the caller chose.

    Raises:
        ReadError: If the header contradicts itself or its frames make no volume.
    """
    with broken_as_decode_error(path, "its header is broken"):
        return _make_plan(dataset, keyword, path, options)


def decode(
    dataset: Dataset, plan: Plan, path: Path | None
) -> tuple[Pixels, Mask | None]:
    """Decode the pixels and carry the plan out.

    Returns:
        (frames, rows, columns[, 3]) as stored, and the mask of padding or None.

    Raises:
        DecodeError: If the pixels are broken or no decoder knows them.
    """
    stored = container(dataset, plan.layout, path)
    if not plan.grey:
        return to_rgb(stored, dataset, plan.layout, path), None
    if len(plan.grey) == 1:
        return render(stored, plan.grey[0])
    parts = [render(frame, grey) for frame, grey in zip(stored, plan.grey, strict=True)]
    kind = common_type([values.dtype for values, _ in parts])
    values = np.stack([values.astype(kind, copy=False) for values, _ in parts])
    masks = [mask for _, mask in parts]
    if all(mask is None for mask in masks):
        return values, None
    empty = np.zeros(stored.shape[1:], np.bool_)
    return values, np.stack([empty if mask is None else mask for mask in masks])


def common_type(kinds: Sequence[np.dtype[Any]]) -> np.dtype[Any]:
    """Return a type that holds all of these; float32 as soon as one is a float."""
    if len(set(kinds)) > 1 and any(kind.kind == "f" for kind in kinds):
        return np.dtype(np.float32)
    return np.result_type(*kinds)


def steps_in_words(forms: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the steps of one or several planes in words.

    Args:
        forms: The steps of each plane, with repetitions.
    """
    first, *others = dict.fromkeys(forms)
    if not others:
        return first
    count = len(others) + 1
    return (*first, f"the steps differ between slices in their numbers: {count} forms")


def _make_plan(
    dataset: Dataset, keyword: str, path: Path | None, options: ReadOptions
) -> Plan:
    """Do what `make_plan` says."""
    layout = layout_of(dataset, keyword, path)
    frames = frame_headers(dataset, layout.frames, path)
    headers = frames or [dataset]
    grey: tuple[GreyPlan, ...] = ()
    if check_photometric(layout, path):
        plans = (
            plan_grey(header, layout, path, as_values=options.values)
            for header in headers
        )
        grey = _one_if_same(tuple(plans))
    notes = warnings_of(dataset) + _surplus(dataset, layout)
    notes += list(dict.fromkeys(note for plan in grey for note in plan.warnings))
    return Plan(layout, grey, tuple(notes))


def _surplus(dataset: Dataset, layout: Layout) -> list[str]:
    """Tell of pixels behind those declared: padding, or Rows and Columns are wrong."""
    if layout.syntax.is_encapsulated or layout.keyword not in dataset:
        return []
    raw, expected = dataset[layout.keyword].value, expected_bytes(layout)
    more = len(raw) - expected - expected % 2 if isinstance(raw, bytes) else 0
    return [f"{more} bytes follow its pixels and were left out"] if more > 0 else []


def _one_if_same(plans: tuple[GreyPlan, ...]) -> tuple[GreyPlan, ...]:
    """Return one plan if all frames have the same."""
    same = all(plan.signature == plans[0].signature for plan in plans)
    return plans[:1] if same else plans
