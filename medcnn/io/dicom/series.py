"""Many DICOM files: which belong together, and a series of slices as one volume."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medcnn.errors import ReadError
from medcnn.image import Image
from medcnn.io.description import Description
from medcnn.io.dicom.facts import facts_of, identity_of
from medcnn.io.dicom.plan import Plan, common_type, decode, make_plan, steps_in_words
from medcnn.io.dicom.reader import (
    channels_first,
    describe,
    description,
    oddities,
    parse,
    quiet,
    read,
)
from medcnn.io.dicom.stack import Stack, stack_planes
from medcnn.io.dicom.tags import numbers, text
from medcnn.io.options import ReadOptions
from medcnn.io.source import check_samples

__all__ = [
    "Group",
    "describe_all_of_group",
    "group_files",
    "read_all_of_group",
    "read_group",
]

Pixels = npt.NDArray[Any]


@dataclass(frozen=True)
class Group:
    """Files that make one image.

    Attributes:
        files: One for a picture or a multi-frame object, all slices of a series.
        series_uid: Series Instance UID.
        words: The series in words, for a person to choose by.
    """

    files: tuple[Path, ...]
    series_uid: str
    words: str


def group_files(
    files: Iterable[Path],
) -> tuple[list[Group], list[tuple[Path, ReadError]]]:
    """Put slices of one series together; every other file stays on its own.

    Only headers are read. Slices are single-frame files that say where they lie.

    Returns:
        The groups in the order of their first file, and (file, error) of those that
        hold no picture.
    """
    slices: dict[object, list[Path]] = {}
    labels: dict[object, tuple[str, str]] = {}
    problems = []
    with quiet():
        for file in files:
            try:
                dataset, keyword = parse(file, header_only=True)
                make_plan(dataset, keyword, file, ReadOptions())
            except ReadError as error:
                problems.append((file, error))
                continue
            uid = text(dataset, "SeriesInstanceUID")
            key = uid if uid and _is_slice(dataset) else file
            slices.setdefault(key, []).append(file)
            labels.setdefault(key, (uid, _label(dataset)))
    groups = [
        Group(tuple(members), labels[key][0], f"{labels[key][1]}, {len(members)} files")
        for key, members in slices.items()
    ]
    return groups, problems


def read_group(group: Group, source: Path, options: ReadOptions) -> Image:
    """Read the image that a group of files makes.

    Args:
        group: The files.
        source: The folder, noted on the image.
        options: What the caller chose.

    Raises:
        ReadError: If a file is broken, or the slices make no regular volume.
    """
    if len(group.files) == 1:
        return read(group.files[0], options)
    with quiet() as caught:
        headers, plans, stack = _plan_group(group, source, options)
        values, mask = _fill(group, plans, stack)
        first = headers[stack.order[0]]
        return Image(
            channels_first(values),
            geometry=stack.geometry,
            unit=_shared([plan.unit for plan in plans]),
            modality=text(first, "Modality") or None,
            facts=facts_of(first, plans[0].layout.syntax.name),
            identity=replace(identity_of(first), sop_uid=None),
            provenance=(*steps_in_words(plans), _stack_words(group)),
            warnings=(*_warnings(plans), *oddities(caught)),
            padding=None if mask is None else mask.transpose(2, 1, 0),
            source=source,
        )


def read_all_of_group(
    group: Group, source: Path, options: ReadOptions
) -> Iterator[Image]:
    """Read every image that a group of files makes.

    Raises:
        ReadError: If a file is broken, or the slices make no regular volume.
    """
    yield read_group(group, source, options)


def describe_all_of_group(
    group: Group, source: Path, options: ReadOptions
) -> tuple[Description, ...]:
    """Describe every image that a group of files makes, from headers alone.

    Raises:
        ReadError: If a header is broken, or the slices make no regular volume.
    """
    return (_describe_group(group, source, options),)


def _describe_group(group: Group, source: Path, options: ReadOptions) -> Description:
    """Describe the image that a group of files makes, from headers alone.

    Raises:
        ReadError: If a header is broken, or the slices make no regular volume.
    """
    if len(group.files) == 1:
        return describe(group.files[0], options)
    with quiet() as caught:
        headers, plans, stack = _plan_group(group, source, options)
        first = stack.order[0]
        plan = replace(
            plans[first], geometry=stack.geometry, warnings=tuple(_warnings(plans))
        )
        count = len(group.files)
        found = description(headers[first], plan, source, caught, files=count)
    return replace(found, steps=(*steps_in_words(plans), _stack_words(group)))


def _is_slice(dataset: Dataset) -> bool:
    """Say whether a data set is one plane with a place in the patient."""
    has_place = len(numbers(dataset, "ImagePositionPatient")) == 3
    is_turned = len(numbers(dataset, "ImageOrientationPatient")) == 6
    frames = numbers(dataset, "NumberOfFrames") or (1.0,)
    return has_place and is_turned and frames[0] <= 1


def _label(dataset: Dataset) -> str:
    """Describe a series by its modality and size; its free text may be personal."""
    parts = [text(dataset, "Modality") or "no modality"]
    number = text(dataset, "SeriesNumber")
    if number:
        parts.append(f"series {number}")
    parts.append(f"{text(dataset, 'Columns')} x {text(dataset, 'Rows')}")
    return ", ".join(parts)


def _plan_group(
    group: Group, source: Path, options: ReadOptions
) -> tuple[list[Dataset], list[Plan], Stack]:
    """Read all headers, and find order and grid.

    Raises:
        ReadError: If sizes differ, or the slices make no regular volume.
    """
    headers, plans = [], []
    for file in group.files:
        dataset, keyword = parse(file, header_only=True)
        headers.append(dataset)
        plans.append(make_plan(dataset, keyword, file, options))
    sizes = {(plan.layout.columns, plan.layout.rows) for plan in plans}
    depths = {plan.layout.samples for plan in plans}
    if len(sizes) > 1 or len(depths) > 1:
        msg = f"its slices have different sizes (columns, rows): {sorted(sizes)[:4]}."
        raise ReadError(msg, path=source)
    shape = sizes.pop()
    check_samples(source, *shape, len(plans), depths.pop())
    _check_frame(headers, source)
    return headers, plans, stack_planes(headers, shape, source)


def _check_frame(headers: Sequence[Dataset], source: Path) -> None:
    """Refuse slices that do not share a frame of reference.

    Raises:
        ReadError: If there are several.
    """
    count = len({text(header, "FrameOfReferenceUID") for header in headers})
    if count > 1:
        msg = f"its slices lie in {count} frames of reference."
        raise ReadError(msg, path=source)


def _fill(
    group: Group, plans: Sequence[Plan], stack: Stack
) -> tuple[Pixels, npt.NDArray[np.bool_] | None]:
    """Decode slice after slice into (K, rows, columns[, 3]), and the padding."""
    volume: Pixels | None = None
    mask: npt.NDArray[np.bool_] | None = None
    for k, index in enumerate(stack.order):
        file = group.files[index]
        values, padding = decode(parse(file)[0], plans[index], file)
        if volume is None:
            volume = np.empty((len(stack.order), *values.shape[1:]), values.dtype)
        elif values.dtype != volume.dtype:
            volume = volume.astype(common_type([volume.dtype, values.dtype]))
        volume[k] = values[0]
        if padding is not None:
            mask = np.zeros(volume.shape[:3], np.bool_) if mask is None else mask
            mask[k] = padding[0]
    return np.asarray(volume), mask


def _warnings(plans: Sequence[Plan]) -> list[str]:
    """Return each warning of the slices once; a stack has its own thickness."""
    every = (note for plan in plans for note in plan.warnings)
    return [note for note in dict.fromkeys(every) if "slice thickness" not in note]


def _stack_words(group: Group) -> str:
    """Return the stacking as a line of a provenance."""
    return f"stacked: {len(group.files)} slices by (0020,0032) Image Position (Patient)"


def _shared(values: Sequence[str | None]) -> str | None:
    """Return the value that all share, or None."""
    return values[0] if len(set(values)) == 1 else None
