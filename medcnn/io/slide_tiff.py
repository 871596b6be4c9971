"""Whole slides in tiled TIFF: Aperio SVS, OME-TIFF and plain pyramids, by tifffile."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from medcnn.errors import DecodeError, MissingDependencyError, SeveralSeriesError
from medcnn.io.codestream import declared_size
from medcnn.io.slide.contract import (
    Bytes,
    LevelPixels,
    SlideParts,
    check_matrix,
    whole_downsample,
)
from medcnn.io.tiff_directories import tiff_directories

__all__ = ["open_parts"]

_JPEG, _JPEG_2000 = 7, {33003, 33005, 34712}
_CODINGS = {1: "uncompressed", 5: "LZW", 7: "JPEG", 8: "Deflate", 32946: "Deflate",
            33003: "JPEG 2000", 33005: "JPEG 2000", 34712: "JPEG 2000"}  # fmt: skip
_SCANNERS = ("bif", "ndpi", "scn", "philips", "qpi")
"""Kinds whose tiles overlap or lie elsewhere than a plain TIFF's; not read."""

_COPY = "Copy the file again."
_CONVERT = "Convert it to DICOM, or to a plain pyramid in tiles."
_COARSEST_MM = 0.1
"""A coarser spacing is that of a printer, not of a microscope."""

_OUTER = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError,
    OSError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
"""What tifffile and its decoders raise on broken files."""

# OME writes micrometres with either of Unicode's two letters for micro
_UNITS_MM = {"nm": 1e-6, "\u00b5m": 1e-3, "\u03bcm": 1e-3, "mm": 1.0, "cm": 10.0}


def open_parts(
    path: Path,
    *,
    series: str | None = None,
    optical_path: str | None = None,
    focal_plane: int | None = None,
) -> SlideParts:
    """Open a slide.

    Args:
        path: The file.
        series: Not used: one TIFF holds one slide.
        optical_path: Not used: a colour TIFF has one.
        focal_plane: Which, counted from 1; None takes the only one.

    Raises:
        DecodeError: If it is broken, or its kind or coding is not read.
        MissingDependencyError: If tifffile is not installed.
        SeveralSeriesError: If it has several focal planes and none is named.
    """
    del series, optical_path
    tifffile = _tifffile()
    tiff_directories(path)  # its limits hold before anything else is parsed
    try:
        file = tifffile.TiffFile(path)
    except (*_OUTER, tifffile.TiffFileError) as error:
        msg = f"it cannot be parsed as TIFF ({type(error).__name__})."
        raise DecodeError(msg, path=path, hint=_COPY) from error
    try:
        return _parts(file, path, focal_plane)
    except _OUTER as error:
        file.close()
        msg = f"its TIFF header contradicts itself ({type(error).__name__})."
        raise DecodeError(msg, path=path, hint=_COPY) from error
    except BaseException:
        file.close()
        raise


def _tifffile() -> Any:
    """Return the library, which only the extra `slides` brings.

    Raises:
        MissingDependencyError: If it is not installed.
    """
    try:
        return import_module("tifffile")
    except ModuleNotFoundError as error:
        msg = "a slide in TIFF needs tifffile, which is not installed"
        hint = "Add it: pip install 'medcnn-imaging[slides]'"
        raise MissingDependencyError(msg, hint=hint) from error


def _parts(file: Any, path: Path, focal_plane: int | None) -> SlideParts:
    """Find the levels of an open file and what it says of itself.

    Raises:
        DecodeError: If its kind is not read.
    """
    scanner = next((name for name in _SCANNERS if getattr(file, f"is_{name}")), "")
    if scanner:
        msg = f"it is a slide of the kind {scanner.upper()}, which is not read."
        raise DecodeError(msg, path=path, hint=_CONVERT)
    # the slide is the largest of the file's images; the others are labels and the like
    every = [one for one in file.series if one.levels and one.keyframe is not None]
    main = max(
        every, key=lambda one: one.keyframe.imagewidth * one.keyframe.imagelength
    )
    plane = _plane(main, path, focal_plane)
    levels = [_TiffLevel.of(one.pages[plane].aspage(), path) for one in main.levels]
    levels = sorted(levels, key=lambda level: -level.shape[0])
    page = main.keyframe
    spacing, doubts = _spacing(file, page)
    kept, downsamples, odd = _of_one_shape(levels)
    if (turned := int(page.tags.valueof(274, default=1))) != 1:
        doubts.append(f"its Orientation ({turned}) is not followed")
    facts = _facts(page, kept[0])
    return SlideParts(
        path=path,
        kind="tiff",
        levels=kept,
        downsamples=downsamples,
        affine=None if spacing is None else _corner_affine(spacing),
        close=file.close,
        modality="SM" if file.is_svs else None,
        facts=facts,
        provenance=(f"stored values: 8 bits, RGB, tiles in {facts['coding']}",),
        warnings=(*doubts, *odd),
        associated=tuple(
            f"{one.name or 'image'} ({one.keyframe.imagewidth} x "
            f"{one.keyframe.imagelength})"
            for one in every
            if one is not main
        ),
    )


@dataclass(frozen=True, eq=False)
class _TiffLevel:
    """One level: a page of tiles or strips."""

    page: Any
    path: Path
    shape: tuple[int, int]
    tile: tuple[int, int]

    @classmethod
    def of(cls, page: Any, path: Path) -> "_TiffLevel":
        """Check what a page declares.

        Raises:
            DecodeError: If it is no colour picture of 8 bits, or in another coding.
        """
        coding = int(page.compression)
        stored = page.samplesperpixel, page.bitspersample, int(page.planarconfig)
        if stored not in {(3, 8, 1), (4, 8, 1)} or page.dtype != np.uint8:
            msg = f"its pixels are {stored[0]} samples of {stored[1]} bits"
            msg += ", in planes" if stored[2] != 1 else ""
            msg += "; colour slides of 3 samples of 8 bits are read."
            raise DecodeError(msg, path=path, hint=_CONVERT)
        if coding not in _CODINGS:
            msg = f"its tiles are in {page.compression.name}, which is not read."
            raise DecodeError(msg, path=path, hint=_CONVERT)
        shape = page.imagewidth, page.imagelength
        strip = page.imagewidth, min(page.rowsperstrip or shape[1], shape[1])
        tile = (page.tilewidth, page.tilelength) if page.is_tiled else strip
        check_matrix(path, shape, tile)
        return cls(page, path, shape, tile)

    def stored_tile(self, across: int, down: int) -> Bytes | None:
        """Decode one tile of the grid.

        Raises:
            DecodeError: If it lies outside the file, or is broken.
        """
        index = down * -(-self.shape[0] // self.tile[0]) + across
        try:
            start = self.page.dataoffsets[index]
            count = self.page.databytecounts[index]
        except IndexError as error:
            msg = f"tile {index} of a level is missing."
            raise DecodeError(msg, path=self.path) from error
        if count == 0:
            return None
        data = self._bytes(index, start, count)
        try:
            decoded = self.page.decode(data, index, jpegtables=self.page.jpegtables)[0]
        except _OUTER as error:
            msg = f"tile {index} is broken ({type(error).__name__})."
            raise DecodeError(msg, path=self.path, hint=_COPY) from error
        if decoded is None:
            return None
        return np.ascontiguousarray(decoded[0][..., :3], dtype=np.uint8)

    def _bytes(self, index: int, start: int, count: int) -> bytes:
        """Read a tile's bytes and compare what they declare with the directory.

        Raises:
            DecodeError: If they lie outside the file or declare another size.
        """
        most = 8 * self.tile[0] * self.tile[1] + 2**16
        handle = self.page.parent.filehandle
        if count > most or start + count > handle.size:
            msg = f"tile {index} of {count} bytes lies outside the file or is too long."
            raise DecodeError(msg, path=self.path, hint=_COPY)
        handle.seek(start)
        data = bytes(handle.read(count))
        if int(self.page.compression) in {_JPEG, *_JPEG_2000}:
            size = declared_size(data)
            rows = min(self.tile[1], self.shape[1] - self.tile[1] * index)
            fits = {self.tile[::-1], (rows, self.tile[0])}
            if size is not None and size not in fits:
                msg = f"tile {index} is {size[0]} rows x {size[1]} columns, but its "
                msg += f"directory says {self.tile[1]} x {self.tile[0]}."
                raise DecodeError(msg, path=self.path)
        return data


def _of_one_shape(
    levels: Sequence[_TiffLevel],
) -> tuple[tuple[LevelPixels, ...], tuple[float, ...], list[str]]:
    """Keep the levels that show what the finest shows, and say which do not."""
    base = levels[0]
    kept: list[LevelPixels] = []
    downsamples, odd = [], []
    for level in levels:
        downsample = whole_downsample(base.shape, level.shape)
        apart = [
            abs(b / downsample - n)
            for b, n in zip(base.shape, level.shape, strict=True)
        ]
        if max(apart) > 1.5:
            odd.append(
                f"a level of {level.shape[0]} x {level.shape[1]} pixels is not the "
                "whole slide and is left out"
            )
            continue
        kept.append(level)
        downsamples.append(downsample)
    return tuple(kept), tuple(downsamples), odd


def _plane(main: Any, path: Path, focal_plane: int | None) -> int:
    """Return which page of each level is meant.

    Raises:
        DecodeError: If the file has other axes than focal planes, or too few of them.
        SeveralSeriesError: If there are several and none is named.
    """
    sizes = dict(zip(main.axes, main.shape, strict=True))
    others = {a: n for a, n in sizes.items() if a not in "YXSZ" and n > 1}
    if others:
        msg = f"it has several images along {', '.join(others)} ({main.axes})."
        raise DecodeError(msg, path=path, hint=_CONVERT)
    planes = sizes.get("Z", 1)
    if focal_plane is None and planes > 1:
        lines = tuple(f"focal_plane={n + 1}" for n in range(planes))
        msg = f"it has {planes} focal planes."
        hint = f"Choose one: open_slide(path, focal_plane=1 to {planes})."
        raise SeveralSeriesError(msg, series=lines, path=path, hint=hint)
    if not 1 <= (focal_plane or 1) <= planes:
        msg = f"there is no focal plane {focal_plane}; it has {planes}."
        raise DecodeError(msg, path=path)
    return (focal_plane or 1) - 1


def _spacing(file: Any, page: Any) -> tuple[tuple[float, float] | None, list[str]]:
    """Return mm from pixel to pixel of the finest level along (i, j), and doubts."""
    found = _ome_spacing(file, page) or _aperio_spacing(page) or _resolution(page)
    if found is None:
        return None, ["it does not say how large its pixels are"]
    if not all(0 < mm <= _COARSEST_MM for mm in found):
        words = f"{found[0]:.3g} x {found[1]:.3g} mm"
        return None, [f"it says pixels of {words}, which no microscope has: not used"]
    return found, []


def _ome_spacing(file: Any, page: Any) -> tuple[float, float] | None:
    """Return Physical Size X and Y of the image of that size in the OME header."""
    if not file.is_ome or not file.ome_metadata:
        return None
    wanted = str(page.imagewidth), str(page.imagelength)
    for element in re.findall(r"<(?:\w+:)?Pixels\b[^>]*>", file.ome_metadata):
        values = dict(re.findall(r'\b(\w+)="([^"]*)"', element))
        if (values.get("SizeX"), values.get("SizeY")) != wanted:
            continue
        try:
            across, down = (
                float(values[f"PhysicalSize{axis}"])
                * _UNITS_MM[values.get(f"PhysicalSize{axis}Unit", "\u00b5m")]
                for axis in "XY"
            )
        except (KeyError, ValueError):
            return None
        return across, down
    return None


def _aperio_spacing(page: Any) -> tuple[float, float] | None:
    """Return the micrometres a pixel of an Aperio description, in mm."""
    words = _aperio(page)
    try:
        mm = float(words["MPP"]) / 1000
    except (KeyError, ValueError):
        return None
    return mm, mm


def _resolution(page: Any) -> tuple[float, float] | None:
    """Return (282) XResolution and (283) YResolution as mm, where a unit is named."""
    unit = {2: 25.4, 3: 10.0}.get(int(page.tags.valueof(296, 1)))
    values = page.tags.valueof(282), page.tags.valueof(283)
    if unit is None or any(value is None or not value[0] for value in values):
        return None
    across, down = (unit * value[1] / value[0] for value in values)
    return float(across), float(down)


def _aperio(page: Any) -> dict[str, str]:
    """Return the facts of an Aperio description: "...|AppMag = 20|MPP = 0.5|..."."""
    words = page.description or ""
    if not words.startswith("Aperio"):
        return {}
    pairs = (part.partition("=") for part in words.split("|")[1:])
    return {name.strip(): value.strip() for name, _, value in pairs}


def _facts(page: Any, level: LevelPixels) -> dict[str, str]:
    """Return what an input gate wants to know."""
    words = _aperio(page)
    found = {
        "coding": _CODINGS[int(page.compression)],
        "image_type": "Aperio" if words else "",
        "objective_power": words.get("AppMag", ""),
        "photometric": page.photometric.name,
        "stored_tile": f"{level.tile[0]} x {level.tile[1]}",
    }
    return {name: value for name, value in found.items() if value}


def _corner_affine(spacing_mm: tuple[float, float]) -> Any:
    """Return the affine of a slide whose origin is its upper left corner.

    x runs along the columns and y down the rows, in mm from the corner, so that the
    middle of the first pixel lies half a pixel inside; z points into the slide.
    """
    affine = np.eye(4)
    for axis in range(2):
        affine[axis, axis] = spacing_mm[axis]
        affine[axis, 3] = spacing_mm[axis] / 2
    return affine
