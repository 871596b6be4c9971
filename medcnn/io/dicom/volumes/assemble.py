"""A part's planes to one image, or to the description of one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.image import Image
from medcnn.io.description import Description
from medcnn.io.dicom.parse import Parsed, parse
from medcnn.io.dicom.pixels.plan import common_type, decode, make_plan, steps_in_words
from medcnn.io.dicom.pixels.reduced import NOT_REDUCED, Reduced, reduced, wanted_of
from medcnn.io.dicom.volumes.mosaic import unpacked
from medcnn.io.dicom.volumes.parts import Part
from medcnn.io.dicom.volumes.records import FileRecord, Plane
from medcnn.io.dicom.volumes.resampling import resampled
from medcnn.io.options import ReadOptions
from medcnn.io.source import check_samples

__all__ = ["FrameSource", "describe_part", "image_of"]

Pixels = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


class FrameSource:
    """The decoded frames of files; the last file is kept, for its other parts.

    Args:
        records: The files.
        options: What the caller chose.
        parsed: The first file, if it has been parsed with its pixels.
    """

    def __init__(
        self,
        records: Sequence[FileRecord],
        options: ReadOptions,
        parsed: Parsed | None = None,
    ) -> None:
        self._records = records
        self._options = options
        self._parsed = {} if parsed is None else {0: parsed}
        self._last: tuple[int, Pixels, Mask | None] | None = None

    def frame(self, plane: Plane) -> tuple[Pixels, Mask | None]:
        """Return the pixels of a plane, (rows, columns[, 3]), and its padding.

        Raises:
            DecodeError: If its file is broken.
        """
        values, mask = self._decoded(plane.file)
        if values.shape[2:0:-1] != plane.size[:2]:
            values = unpacked(values, plane.size)
            mask = None if mask is None else unpacked(mask, plane.size)
        return values[plane.frame], None if mask is None else mask[plane.frame]

    def reduced(self, part: Part) -> Reduced:
        """Return a single picture at the resolution that was asked for.

        Raises:
            DecodeError: If its file contradicts itself.
        """
        plane = part.planes[0]
        is_single = len(part.planes) == 1 and part.resampling is None
        wanted = wanted_of(self._options, (plane.size[1], plane.size[0]))
        if wanted is None or not is_single:
            return NOT_REDUCED
        record = self._records[plane.file]
        path = Path(record.path) if record.path else None
        parsed = self._parsed.get(plane.file) or parse(Path(record.path))
        self._parsed[plane.file] = parsed
        plan = make_plan(*parsed, path, self._options)
        return reduced(parsed[0], plan, wanted, path)

    def all_frames(self, file: int) -> Pixels:
        """Return every frame of a file as stored.

        Raises:
            DecodeError: If it is broken.
        """
        return self._decoded(file)[0]

    def _decoded(self, file: int) -> tuple[Pixels, Mask | None]:
        """Decode a file, unless it is the last one."""
        if self._last is None or self._last[0] != file:
            self._last = None
            record = self._records[file]
            path = Path(record.path) if record.path else None
            dataset, keyword = self._parsed.get(file) or parse(Path(record.path))
            plan = make_plan(dataset, keyword, path, self._options)
            self._last = (file, *decode(dataset, plan, path))
        return self._last[1:]


def image_of(
    part: Part,
    records: Sequence[FileRecord],
    frames: FrameSource,
    source: Path | None,
) -> Image:
    """Decode the planes of a part and put them together.

    Args:
        part: An image without a problem.
        records: The files its planes are in.
        frames: Their pixels.
        source: The file or folder, noted on the image.

    Raises:
        ReadError: If a file is broken.
    """
    columns, rows, samples = part.planes[0].size
    check_samples(source, columns, rows, len(part.planes), samples)
    small = frames.reduced(part)
    values, mask = small.pixels or _volume(part.planes, frames)
    unit = _unit(part, records)
    if part.resampling is not None:
        values, mask = resampled(values, mask, part.resampling, unit)
    first = records[part.planes[0].file]
    identity = first.identity
    if _files(part) > 1:
        identity = replace(identity, sop_uid=None)
    return Image(
        _channels_first(values),
        geometry=small.geometry(part.geometry),
        unit=unit,
        modality=first.modality or None,
        facts=first.facts,
        identity=identity,
        provenance=(*_steps(part, records), *small.words),
        warnings=_warnings(part, records),
        padding=None if mask is None or not mask.any() else mask.transpose(2, 1, 0),
        source=source,
        full_shape=None if small.pixels is None else (columns, rows, 1),
    )


def describe_part(
    part: Part, records: Sequence[FileRecord], source: Path, place: tuple[int, int]
) -> Description:
    """Describe the image that a part makes.

    Args:
        part: An image without a problem.
        records: The files its planes are in.
        source: The file or folder.
        place: Which of how many parts it is, from 1.
    """
    grid, first = part.geometry, records[part.planes[0].file]
    columns, rows, _ = part.planes[0].size
    return Description(
        source=source,
        kind="dicom",
        shape=grid.shape if grid else (columns, rows, len(part.planes)),
        channels=first.channels,
        modality=first.modality or None,
        spacing_mm=grid.spacing_mm if grid else None,
        orientation=grid.axis_codes if grid else None,
        frame=grid.frame.value if grid else None,
        unit=_unit(part, records),
        steps=_steps(part, records),
        warnings=_warnings(part, records),
        facts=first.facts,
        series_uid=first.series_uid or None,
        files=_files(part),
        part=place[0],
        parts=place[1],
        title=part.name,
    )


def _volume(planes: Sequence[Plane], frames: FrameSource) -> tuple[Pixels, Mask | None]:
    """Decode plane after plane into (K, rows, columns[, 3]), and the padding."""
    if len(planes) == 1:
        values, padding = frames.frame(planes[0])
        return values[None], None if padding is None else padding[None]
    volume: Pixels | None = None
    mask: Mask | None = None
    for k, plane in enumerate(planes):
        values, padding = frames.frame(plane)
        if volume is None:
            volume = np.empty((len(planes), *values.shape), values.dtype)
        elif values.dtype != volume.dtype:
            volume = volume.astype(common_type([volume.dtype, values.dtype]))
        volume[k] = values
        if padding is not None:
            mask = np.zeros(volume.shape[:3], np.bool_) if mask is None else mask
            mask[k] = padding
    return np.asarray(volume), mask


def _channels_first(values: Pixels) -> Pixels:
    """Turn (K, rows, columns[, 3]) into (C, I, J, K), without a copy."""
    if values.ndim == 3:
        return values.transpose(2, 1, 0)[None]
    return values.transpose(3, 2, 1, 0)


def _files(part: Part) -> int:
    """Return how many files a part is in."""
    return len({plane.file for plane in part.planes})


def _unit(part: Part, records: Sequence[FileRecord]) -> str | None:
    """Return what the values mean; None where planes differ or nothing says."""
    units = {records[plane.file].units[plane.form] for plane in part.planes}
    return units.pop() if len(units) == 1 else None


def _steps(part: Part, records: Sequence[FileRecord]) -> tuple[str, ...]:
    """Return what is done to the pixels, in words."""
    forms = (records[plane.file].forms[plane.form] for plane in part.planes)
    steps = steps_in_words(forms)
    count = len(part.planes)
    kind = records[part.planes[0].file].facts.get("image_type", "")
    if "MOSAIC" in kind.upper().split("\\"):
        steps = (*steps, "unpacked: the tiles of a mosaic are slices")
    if count > 1 and part.geometry is not None:
        stacked = f"stacked: {count} slices by (0020,0032) Image Position (Patient)"
        steps = (*steps, stacked)
    return steps if part.resampling is None else (*steps, *part.resampling.steps)


def _warnings(part: Part, records: Sequence[FileRecord]) -> tuple[str, ...]:
    """Return each warning of the files once, then those of the grid."""
    files = list(dict.fromkeys(plane.file for plane in part.planes))
    notes = [note for file in files for note in records[file].warnings]
    odd = sum(records[file].oddities for file in files)
    if odd:
        notes.append(f"the file departs from the DICOM standard in {odd} places")
    return tuple(dict.fromkeys([*notes, *part.warnings]))
