"""Raw or deflated voxels behind a text header: what MetaImage and NRRD share."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.errors import DecodeError, GeometryError, ReadError
from medcnn.geometry import Geometry
from medcnn.image import Image
from medcnn.io.axes import arrange, finite_words, plain
from medcnn.io.description import Description
from medcnn.io.options import ReadOptions
from medcnn.io.packed import inflate
from medcnn.io.parts import chosen
from medcnn.io.regular import open_regular
from medcnn.io.source import MAX_FILE_BYTES, shown

__all__ = ["RawReader", "Voxels", "beside", "grid_of", "plane_grid"]

_HINT = "The file is broken or cut off; copy it again."


@dataclass(frozen=True)
class _Part:
    """One image of a file."""

    index: int
    title: str


@dataclass(frozen=True)
class Voxels:
    """Voxels that a header declares.

    Attributes:
        path: The header's file.
        kind: "metaimage" or "nrrd".
        file: The file with the voxels.
        start: The byte where they begin; -1 if they are the last of the file.
        is_packed: Whether they are a zlib or gzip stream.
        stored: Data type of a stored number.
        sizes: Length of each axis, the fastest first.
        axes: What each axis is, as `medcnn.io.axes` names them.
        geometry: The grid, or None.
        modality: DICOM code; None where nothing says.
        titles: What tells each part from the others.
        steps: What is done, in words.
        warnings: What is doubtful.
    """

    path: Path
    kind: str
    file: Path
    start: int
    is_packed: bool
    stored: np.dtype[Any]
    sizes: tuple[int, ...]
    axes: str
    geometry: Geometry | None
    modality: str | None = None
    steps: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def parts(self) -> list[_Part]:
        """Return the images of the file."""
        count = self._size("p")
        if count == 1:
            return [_Part(0, "")]
        return [_Part(n, f"volume {n + 1} of {count}") for n in range(count)]

    def check(self) -> None:
        """Refuse a file that is too large, or cannot hold what is declared.

        Raises:
            DecodeError: If so.
        """
        have = self.file.stat().st_size
        if have > MAX_FILE_BYTES:
            msg = f"the file of its voxels has {have} bytes; at most {MAX_FILE_BYTES}."
            raise DecodeError(msg, path=self.path)
        if not self.is_packed:
            self._raw_start()

    def read(self, options: ReadOptions) -> Image:
        """Read one part.

        Raises:
            ReadError: If voxels are cut off or broken, or there are several parts and
                none is named (SeveralSeriesError).
        """
        part = chosen(self.parts, options.part, self.path)
        return self._image(self._values(), part)

    def read_all(self) -> Iterator[Image]:
        """Read every part; the file is unpacked once.

        Raises:
            DecodeError: If voxels are cut off or broken.
        """
        values = self._values()
        for part in self.parts:
            yield self._image(values, part)

    def describe_all(self) -> tuple[Description, ...]:
        """Describe every part."""
        grid = self.geometry
        parts = self.parts
        return tuple(
            Description(
                source=self.path,
                kind=self.kind,
                shape=(self._size("i"), self._size("j"), self._size("k")),
                channels=self._size("c"),
                modality=self.modality,
                spacing_mm=grid.spacing_mm if grid else None,
                orientation=grid.axis_codes if grid else None,
                frame=grid.frame.value if grid else None,
                steps=self._steps,
                warnings=self.warnings,
                part=part.index + 1,
                parts=len(parts),
                title=part.title,
            )
            for part in parts
        )

    @property
    def _steps(self) -> tuple[str, ...]:
        packed = ", deflate" if self.is_packed else ""
        return (f"stored values: {self.stored.name}{packed}", *self.steps)

    def _size(self, axis: str) -> int:
        """Return the length of an axis; 1 if there is none of that name."""
        return self.sizes[self.axes.index(axis)] if axis in self.axes else 1

    def _image(self, values: npt.NDArray[Any], part: _Part) -> Image:
        """Make an image of one part of (P, C, I, J, K)."""
        wanted = plain(values[part.index])
        return Image(
            wanted,
            geometry=self.geometry,
            modality=self.modality,
            provenance=(*((part.title,) if part.title else ()), *self._steps),
            warnings=(*self.warnings, *finite_words(wanted)),
            source=self.path,
        )

    def _values(self) -> npt.NDArray[Any]:
        """Return every stored number, (P, C, I, J, K).

        Raises:
            DecodeError: If they are cut off or broken.
        """
        size = math.prod(self.sizes) * self.stored.itemsize
        try:
            with open_regular(self.file) as file:
                if self.is_packed:
                    file.seek(self.start)
                    raw = inflate(file.read(), size, self.path)
                else:
                    file.seek(self._raw_start())
                    raw = memoryview(file.read(size))
        except OSError as error:
            msg = f"its voxels cannot be read: {error.strerror or error}."
            raise DecodeError(msg, path=self.path, hint=_HINT) from error
        if len(raw) < size:
            msg = f"its voxels are cut off: {len(raw)} of {size} bytes are there."
            raise DecodeError(msg, path=self.path, hint=_HINT)
        values = np.frombuffer(raw, self.stored).reshape(self.sizes, order="F")
        return arrange(values, self.axes)

    def _raw_start(self) -> int:
        """Return the byte where unpacked voxels begin.

        Raises:
            DecodeError: If the file cannot hold them.
        """
        size = math.prod(self.sizes) * self.stored.itemsize
        have = self.file.stat().st_size
        start = have - size if self.start < 0 else self.start
        if start < 0 or start + size > have:
            msg = f"its voxels are cut off: {size} bytes are declared, "
            msg += f"{max(have - max(start, 0), 0)} are there."
            raise DecodeError(msg, path=self.path, hint=_HINT)
        return start


@dataclass(frozen=True)
class RawReader:
    """The reader of a format that is a text header and raw voxels.

    Attributes:
        parse: Returns the voxels that a file's header declares.
    """

    parse: Callable[[Path], Voxels]

    def read(self, path: Path, options: ReadOptions) -> Image:
        """Read one volume of a file.

        Raises:
            ReadError: If it is broken or cut off, or holds several volumes and none is
                named (SeveralSeriesError).
        """
        return self.parse(path).read(options)

    def read_all(self, path: Path, options: ReadOptions) -> Iterator[Image]:
        """Read every volume of a file.

        Raises:
            ReadError: If it is broken or cut off.
        """
        del options
        yield from self.parse(path).read_all()

    def describe_all(self, path: Path, options: ReadOptions) -> tuple[Description, ...]:
        """Describe every volume of a file from its header.

        Raises:
            ReadError: If its header is broken.
        """
        del options
        return self.parse(path).describe_all()

    def voxel_files(self, path: Path) -> tuple[Path, ...]:
        """Return the file that holds the voxels, if it is not the header's own.

        Raises:
            DecodeError: If it is missing or lies elsewhere.
        """
        file = self.parse(path).file
        return () if file == path else (file,)


def beside(path: Path, name: str) -> Path:
    """Return the file of voxels that a header names, in its own folder or below it.

    Raises:
        DecodeError: If it lies elsewhere, is missing or no regular file.
    """
    parts = name.replace("\\", "/").split("/")
    is_bad = "" in parts or ".." in parts or ":" in parts[0] or "\0" in name
    file = path.parent.joinpath(*parts) if not is_bad else path.parent
    try:
        inside = not is_bad and file.resolve().is_relative_to(path.parent.resolve())
        is_there = inside and file.is_file()
    except (OSError, ValueError):
        inside, is_there = True, False
    if not inside:
        msg = f"its header names the voxels {shown(Path(name))}, outside its folder."
        hint = "Put the file beside the header, and name it so."
        raise DecodeError(msg, path=path, hint=hint)
    if not is_there:
        msg = f"the file of its voxels, {shown(Path(name))}, is not there."
        raise DecodeError(msg, path=path, hint="Header and voxels belong together.")
    return file


def grid_of(
    path: Path, shape: tuple[int, int, int], affine: npt.NDArray[np.float64]
) -> Geometry:
    """Return the grid of an affine to RAS+ mm.

    Raises:
        ReadError: If it makes none.
    """
    try:
        return Geometry(shape, affine)
    except GeometryError as error:
        msg = f"its header makes no grid: {error.message}"
        raise ReadError(msg, path=path, hint="Mend its header.") from error


def plane_grid(
    path: Path, shape: tuple[int, int, int], spacing_mm: tuple[float, ...] | None
) -> tuple[Geometry | None, tuple[str, ...]]:
    """Return the grid of a picture that knows its spacing at most, and doubts.

    Raises:
        ReadError: If a spacing is no positive number.
    """
    if spacing_mm is None or all(step == 1 for step in spacing_mm[:2]):
        return None, ("no spacing is known; 1 x 1 is what programs write without one",)
    steps = (spacing_mm[0], spacing_mm[1], 1.0)
    if not all(math.isfinite(step) and step > 0 for step in steps):
        msg = f"its spacing is {spacing_mm}; positive numbers are needed."
        raise ReadError(msg, path=path, hint="Mend its header.")
    doubt = "a picture: its spacing is known, its place in the patient is not"
    return Geometry.from_spacing(shape, steps), (doubt,)
