"""Whole-slide images in DICOM: the levels of one series, each in a file of its own.

References:
    [1] DICOM PS3.3 A.32.8 (VL Whole Slide Microscopy Image), C.8.12.2 (Slide
        Coordinate System), C.8.12.4.
"""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from medcnn.errors import DecodeError, ReadError, SeveralSeriesError
from medcnn.io.dicom.deflated import is_deflated
from medcnn.io.dicom.facts import facts_of, identity_of, warnings_of
from medcnn.io.dicom.pixels.layout import Layout, layout_of
from medcnn.io.dicom.slides.frames import FrameFile
from medcnn.io.dicom.slides.grid import affine_of, check_same_place, downsample_of
from medcnn.io.dicom.slides.layout import Index, Plane, matrix_of, planes_of
from medcnn.io.dicom.structure import check_structure, start_of_data_set
from medcnn.io.dicom.tags import (
    broken_as_decode_error,
    number,
    sequence,
    text,
)
from medcnn.io.regular import open_regular
from medcnn.io.slide.contract import MAX_STORED_TILES, SlideParts
from medcnn.io.slide.sniff import is_dicom_slide
from medcnn.io.source import shown

__all__ = ["open_parts", "series_in"]

_COLOURS = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
_MOST_FILES = 4096
_MOST_ELEMENTS = 2_000_000
"""Most elements of a header: TILED_SPARSE says of each tile where it lies."""


@dataclass(frozen=True, eq=False)
class _Header:
    """The header of one file of a series."""

    path: Path
    dataset: Dataset
    start: int
    notes: tuple[str, ...]

    @property
    def role(self) -> str:
        """VOLUME, LABEL, OVERVIEW or THUMBNAIL: the third value of Image Type."""
        values = text(self.dataset, "ImageType").upper().split("\\")
        return values[2] if len(values) > 2 else "VOLUME"


@dataclass(frozen=True, eq=False)
class _DicomLevel:
    """One level: the tiles of one plane in one file."""

    frames: FrameFile
    index: Index
    shape: tuple[int, int]

    @property
    def tile(self) -> tuple[int, int]:
        """(columns, rows) of a stored tile."""
        return self.frames.layout.columns, self.frames.layout.rows

    def stored_tile(self, across: int, down: int) -> Any:
        """Decode one tile of the grid; None where none was stored."""
        frame = int(self.index[down, across])
        return None if frame < 0 else self.frames.frame(frame)


def open_parts(
    path: Path,
    *,
    series: str | None = None,
    optical_path: str | None = None,
    focal_plane: int | None = None,
    alone: bool = False,
) -> SlideParts:
    """Open a slide.

    Args:
        path: One file of the series, or its folder.
        series: Series Instance UID, where a folder holds several.
        optical_path: Its identifier; None takes the only one.
        focal_plane: Which, counted from 1 in order of depth; None takes the only one.
        alone: Take no other files than `path`.

    Raises:
        ReadError: If there is no such slide or a file of it is broken.
        SeveralSeriesError: If there are several to choose from.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        files = _files(path, series, alone=alone)
        headers = [_header(file) for file in files]
        volumes = [header for header in headers if header.role == "VOLUME"]
        if alone and not volumes:
            volumes = headers
        if not volumes:
            roles = ", ".join(sorted({header.role for header in headers}))
            msg = f"{shown(path)} holds no level of a slide, only: {roles}."
            raise ReadError(msg, path=path, hint="medcnn.load reads such pictures.")
        others = [header for header in headers if header not in volumes]
        with broken_as_decode_error(path, "its header is broken"):
            chosen = _choose(volumes, path, optical_path, focal_plane)
            odd = f"the file departs from the DICOM standard in {len(caught)} places"
            return _parts(chosen, others, path, (odd,) if caught else ())


def series_in(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Group files of whole slides by Series Instance UID, in a stable order.

    Raises:
        DecodeError: If a header cannot be parsed.
    """
    found: dict[str, list[Path]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for file in sorted(files):
            with broken_as_decode_error(file, "its header cannot be parsed"):
                tags = ["SeriesInstanceUID"]
                head = dcmread(file, stop_before_pixels=True, specific_tags=tags)
            found.setdefault(text(head, "SeriesInstanceUID"), []).append(file)
    return found


def _files(path: Path, series: str | None, *, alone: bool) -> list[Path]:
    """Return the files of the wanted series.

    Raises:
        ReadError: If there are too many, or none of that series.
        SeveralSeriesError: If there are several series and none is named.
    """
    if alone:
        return [path]
    folder = path if path.is_dir() else path.parent
    files = [file for file in sorted(folder.iterdir()) if is_dicom_slide(file)]
    if len(files) > _MOST_FILES:
        msg = f"{shown(folder)} holds {len(files)} files of slides; {_MOST_FILES} are "
        msg += "looked through at most."
        raise ReadError(msg, path=path, hint="Put each slide into its own folder.")
    groups = series_in(files)
    if not path.is_dir() and series is None:
        return next(group for group in groups.values() if path in group)
    if series is None and len(groups) > 1:
        lines = tuple(f"{uid}: {len(group)} files" for uid, group in groups.items())
        msg = f"{shown(path)} holds {len(groups)} slides: {'; '.join(lines[:8])}."
        hint = "Choose one: open_slide(path, series=UID), or name one of its files."
        raise SeveralSeriesError(msg, series=lines, path=path, hint=hint)
    wanted = next(iter(groups), "") if series is None else series
    if wanted not in groups:
        msg = (
            f"{shown(path)} holds no slide{f' of the series {series}' * bool(series)}."
        )
        raise ReadError(msg, path=path, hint="`medcnn inspect` lists what is there.")
    return groups[wanted]


def _header(path: Path) -> _Header:
    """Parse a file up to its pixels.

    Raises:
        DecodeError: If it cannot be parsed, is deflated, or holds a part of a level.
    """
    what = "its header cannot be parsed"
    with broken_as_decode_error(path, what), open_regular(path) as file:
        begin = start_of_data_set(file)
        if is_deflated(begin):
            msg = "it is deflated, so that its tiles cannot be found alone."
            raise DecodeError(msg, path=path, hint="Store it in another syntax.")
        check_structure(file, begin, path, most=_MOST_ELEMENTS)
        file.seek(0)
        dataset = dcmread(file, stop_before_pixels=True)
        start = file.tell()
    if text(dataset, "ConcatenationUID"):
        msg = "its level is split into several files (a concatenation)."
        raise DecodeError(msg, path=path, hint="Store each level as one file.")
    return _Header(path, dataset, start, tuple(warnings_of(dataset)))


def _choose(
    volumes: list[_Header], path: Path, optical_path: str | None, focal: int | None
) -> list[tuple[_Header, Layout, tuple[int, int], Index]]:
    """Return the levels of the one optical path and focal plane that is meant.

    Raises:
        SeveralSeriesError: If there are several and none is named.
        ReadError: If there is none of that name.
    """
    every = []
    for header in volumes:
        layout = _layout(header)
        shape = matrix_of(header.dataset, layout, header.path)
        planes = planes_of(header.dataset, layout, shape, header.path)
        every.append((header, layout, shape, planes))
    found = sorted({plane for *_, planes in every for plane in planes})
    names = sorted({plane.optical_path for plane in found})
    name = _one_of(names, optical_path, path, "optical_path")
    depths = sorted({p.depth_um for p in found if p.optical_path == name})
    numbered = [str(n + 1) for n in range(len(depths))]
    wanted = None if focal is None else str(focal)
    depth = depths[int(_one_of(numbered, wanted, path, "focal_plane")) - 1]
    plane = Plane(name, depth)
    return [(h, lay, s, ps[plane]) for h, lay, s, ps in every if plane in ps]


def _one_of(names: list[str], wanted: str | None, path: Path, option: str) -> str:
    """Return the only name, or the wanted one.

    Raises:
        SeveralSeriesError: If there are several and none is wanted.
        ReadError: If the wanted one is not there.
    """
    what = option.replace("_", " ")
    listed = ", ".join(names[:16])
    if wanted is None and len(names) > 1:
        lines = tuple(f"{option}={name}" for name in names)
        msg = f"{shown(path)} has {len(names)} of: {what} ({listed})."
        hint = f"Choose one: open_slide(path, {option}=...)."
        raise SeveralSeriesError(msg, series=lines, path=path, hint=hint)
    if wanted is not None and wanted not in names:
        msg = f"{shown(path)} has no {what} {wanted}; it has {listed}."
        raise ReadError(msg, path=path)
    return names[0] if wanted is None else wanted


def _layout(header: _Header) -> Layout:
    """Return how the pixels of a level are stored.

    Raises:
        DecodeError: If they are not in colour of 8 bits, or too many.
    """
    dataset, path = header.dataset, header.path
    frames = int(number(dataset, "NumberOfFrames") or 1)
    if not 1 <= frames <= MAX_STORED_TILES:
        msg = f"it declares {frames} frames; at most {MAX_STORED_TILES} are read."
        raise DecodeError(msg, path=path)
    one = dataset.group_dataset(0x0028)
    one.NumberOfFrames = 1
    one.file_meta = dataset.file_meta
    layout = layout_of(one, "PixelData", path)
    if layout.photometric not in _COLOURS or (layout.samples, layout.allocated) != (
        3,
        8,
    ):
        msg = f"its pixels are {layout.photometric or 'of no stated kind'}, "
        msg += f"{layout.samples} samples of {layout.allocated} bits; slides in colour "
        msg += "of 3 samples of 8 bits are read."
        raise DecodeError(msg, path=path)
    return replace(layout, frames=frames)


def _parts(
    chosen: list[tuple[_Header, Layout, tuple[int, int], Index]],
    others: list[_Header],
    path: Path,
    odd: tuple[str, ...],
) -> SlideParts:
    """Bring the levels of one slide together, the finest first.

    Raises:
        DecodeError: If two levels have one size, or one lies elsewhere.
    """
    chosen = sorted(chosen, key=lambda one: -one[2][0])
    sizes = [shape for _, _, shape, _ in chosen]
    if len(set(sizes)) < len(sizes):
        msg = f"two of its files are levels of one size: {sizes}."
        raise DecodeError(msg, path=path, hint="Put each slide into its own folder.")
    first, layout, base, _ = chosen[0]
    affine, doubts = affine_of(first.dataset, first.path)
    downsamples = [
        downsample_of(first.dataset, base, h.dataset, shape, h.path)
        for h, _, shape, _ in chosen
    ]
    for header, *_ in chosen[1:]:
        check_same_place(first.dataset, header.dataset, header.path)
    opened: list[FrameFile] = []
    try:
        for header, form, _, _ in chosen:
            opened.append(FrameFile(header.path, header.dataset, form, header.start))
    except BaseException:
        _close(opened)
        raise
    levels = tuple(
        _DicomLevel(frames, index, shape)
        for frames, (_, _, shape, index) in zip(opened, chosen, strict=True)
    )
    return SlideParts(
        path=path,
        kind="dicom",
        levels=levels,
        downsamples=tuple(downsamples),
        affine=affine,
        close=lambda: _close(opened),
        modality=text(first.dataset, "Modality") or "SM",
        facts=_facts(first.dataset, layout),
        identity=identity_of(first.dataset),
        provenance=_words(first.dataset, layout),
        warnings=tuple(dict.fromkeys((*first.notes, *doubts, *odd))),
        associated=tuple(f"{h.role} ({h.path.name})" for h in others),
        files=len(chosen),
    )


def _close(opened: list[FrameFile]) -> None:
    for one in opened:
        one.close()


def _facts(dataset: Dataset, layout: Layout) -> Mapping[str, str]:
    """Return what an input gate wants to know."""
    paths = sequence(dataset, "OpticalPathSequence")
    found = facts_of(dataset, layout.syntax.name)
    power = text(paths[0], "ObjectiveLensPower") if paths else ""
    extra = {
        "objective_power": power,
        "organization": text(dataset, "DimensionOrganizationType"),
        "stored_tile": f"{layout.columns} x {layout.rows}",
    }
    return found | {name: value for name, value in extra.items() if value}


def _words(dataset: Dataset, layout: Layout) -> tuple[str, ...]:
    """Return what is done to stored pixels."""
    words = [layout.words]
    if layout.photometric != "RGB":
        words.append(f"colour: {layout.photometric} to RGB")
    paths = sequence(dataset, "OpticalPathSequence")
    if any("ICCProfile" in item for item in (dataset, *paths)):
        words.append("the scanner's colour profile (ICC) is not applied")
    return tuple(words)
