"""Open a slide: its levels, its tiles and a small picture, never all of it at once."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import numpy as np

from medcnn.errors import UnknownFormatError
from medcnn.geometry import Geometry
from medcnn.image import Identity, Image
from medcnn.io.slide.contract import SlideParts
from medcnn.io.slide.pyramid import Level, Pyramid, Window
from medcnn.io.slide.sniff import format_of
from medcnn.io.slide.tiles import Tiles, picture_of, plan_tiles
from medcnn.io.source import check_samples, shown

__all__ = ["Slide", "open_parts", "open_slide"]

_READERS = {"dicom": "medcnn.io.dicom.slides.reading", "tiff": "medcnn.io.slide_tiff"}
_LONGEST_THUMBNAIL = 8192


class Slide:
    """A microscope slide that is open for reading; pixels are read when asked for.

    Use it in a `with` statement, or call `close`. It is not meant for several threads.

    Args:
        parts: What the reader of its format found.
    """

    def __init__(self, parts: SlideParts) -> None:
        self._parts = parts
        self._pyramid = Pyramid(parts)
        self.levels: tuple[Level, ...] = self._pyramid.levels()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its files."""
        self._parts.close()

    @property
    def path(self) -> Path:
        """The file or folder it was opened by."""
        return self._parts.path

    @property
    def kind(self) -> str:
        """Return "dicom" or "tiff"."""
        return self._parts.kind

    @property
    def shape(self) -> tuple[int, int]:
        """(columns, rows) of the finest level."""
        return self._pyramid.shape

    @property
    def spacing_mm(self) -> tuple[float, float] | None:
        """Distance between pixel centres of the finest level along (i, j)."""
        return self._pyramid.spacing_mm

    @property
    def geometry(self) -> Geometry | None:
        """The grid of the finest level in slide mm; None where nothing says."""
        return self._pyramid.geometry(self._whole(self.shape))

    @property
    def modality(self) -> str | None:
        """Return "SM" where the file says that it is slide microscopy."""
        return self._parts.modality

    @property
    def facts(self) -> Mapping[str, str]:
        """What the file says that a model's input gate wants to know."""
        return self._parts.facts

    @property
    def identity(self) -> Identity:
        """Patient and instance identifiers."""
        return self._parts.identity

    @property
    def provenance(self) -> tuple[str, ...]:
        """What is done to the stored pixels, in words."""
        return self._parts.provenance

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a careful reader would want to be told."""
        return self._parts.warnings

    @property
    def associated(self) -> tuple[str, ...]:
        """Images of the slide that are no level: label, overview, thumbnail."""
        return self._parts.associated

    @property
    def files(self) -> int:
        """How many files the levels are in."""
        return self._parts.files

    def tiles(
        self,
        size: tuple[int, int] = (256, 256),
        *,
        spacing_mm: float | None = None,
        overlap: int = 0,
        tissue: bool = True,
    ) -> Tiles:
        """Return the slide as a stream of tiles, row after row.

        All tiles have the same size. What lies beyond the slide's edge, or was not
        scanned, is white and in the tile's padding.

        Args:
            size: (rows, columns) of a tile.
            spacing_mm: Of a tile's pixels; they are averaged from the level that fits
                best. None keeps the pixels of the finest level.
            overlap: Pixels of a tile that it shares with the next.
            tissue: Leave out tiles that show only glass; `Tiles.skipped` counts them.

        Raises:
            GeometryError: If the spacing cannot be had, or there would be too many.
            ValueError: If size or overlap make no sense.
            DecodeError: If the pixels that tissue is looked for on are broken.
        """
        picture = self.thumbnail if tissue else None
        return plan_tiles(self._pyramid, size, spacing_mm, overlap, picture)

    def thumbnail(self, longest: int = 1024) -> Image:
        """Return a small picture of the whole slide, with its own true geometry.

        Args:
            longest: Most columns or rows; a smaller slide keeps its own.

        Raises:
            DecodeError: If stored pixels are broken.
            ValueError: If `longest` is not 1 to 8192.
        """
        if not 1 <= longest <= _LONGEST_THUMBNAIL:
            msg = f"longest must be 1 to {_LONGEST_THUMBNAIL}, got {longest}"
            raise ValueError(msg)
        shrink = max(max(self.shape) / longest, 1.0)
        columns, rows = (max(round(n / shrink), 1) for n in self.shape)
        words = f"shrunk to {columns} x {rows} pixels"
        return self._picture(self._whole((columns, rows)), words)

    def whole(self, level: int = 0) -> Image:
        """Return all of a level, if it is small enough for one image.

        Args:
            level: Which of `levels`; 0 is the finest.

        Raises:
            DecodeError: If it is too large, or stored pixels are broken.
        """
        shape, downsample = self.levels[level].shape, self.levels[level].downsample
        check_samples(self.path, *shape, 3)
        window = Window((0.0, 0.0), (downsample, downsample), shape)
        return self._picture(window, "tiles brought together")

    def _whole(self, shape: tuple[int, int]) -> Window:
        """Return the whole slide as a window of a given shape."""
        scale = self.shape[0] / shape[0], self.shape[1] / shape[1]
        return Window((0.0, 0.0), scale, shape)

    def _picture(self, window: Window, words: str) -> Image:
        """Read a window as an image."""
        pixels, mask = self._pyramid.sample(window)
        return picture_of(self._pyramid, window, np.asarray(pixels), mask, words)


def open_slide(
    path: str | Path,
    *,
    series: str | None = None,
    optical_path: str | None = None,
    focal_plane: int | None = None,
) -> Slide:
    """Open a whole-slide image: DICOM, or a tiled TIFF (Aperio SVS, OME, generic).

    Args:
        path: A TIFF; one file of a DICOM series, whose other levels are looked for
            beside it; or the folder of that series.
        series: Series Instance UID, where the folder holds several slides.
        optical_path: Its identifier, where the slide has several.
        focal_plane: Which, counted from 1, where the slide has several.

    Raises:
        ReadError: If it cannot be read as a slide, or there are several to choose
            from (SeveralSeriesError).
        MissingDependencyError: If what reads its format is not installed.

    Examples:
        >>> import medcnn
        >>> with medcnn.open_slide("slide.svs") as slide:  # doctest: +SKIP
        ...     for tile in slide.tiles((256, 256), spacing_mm=0.0005):
        ...         tile.image.geometry
    """
    chosen = {"series": series, "optical_path": optical_path}
    return Slide(open_parts(Path(path), **chosen, focal_plane=focal_plane))


def open_parts(path: Path, **choices: Any) -> SlideParts:
    """Return what the reader of a slide's format makes of it.

    Args:
        path: As for `open_slide`.
        choices: Likewise.

    Raises:
        UnknownFormatError: If it is no whole-slide image.
        ReadError: If it cannot be read as one.
    """
    kind = format_of(path)
    if not kind:
        msg = f"{shown(path)} is no whole-slide image."
        hint = "DICOM whole slides and tiled TIFF are; medcnn.load reads other images."
        raise UnknownFormatError(msg, path=path, hint=hint)
    reader: Any = import_module(_READERS[kind])
    return cast(SlideParts, reader.open_parts(path, **choices))
