"""NIfTI files to images and descriptions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.image import Image
from medcnn.io.axes import finite_words
from medcnn.io.description import Description
from medcnn.io.nifti.header import NiftiFile, Part, opened
from medcnn.io.options import ReadOptions
from medcnn.io.parts import chosen

__all__ = ["describe_all", "read", "read_all", "scaled"]

Pixels = npt.NDArray[Any]


def read(path: Path, options: ReadOptions) -> Image:
    """Read one volume of a NIfTI file, or of a .hdr/.img pair by either name.

    Raises:
        ReadError: If it is broken or cut off, or holds several volumes and none is
            named (SeveralSeriesError).
    """
    with opened(path) as file:
        return _image(file, chosen(file.parts, options.part, path))


def read_all(path: Path, options: ReadOptions) -> Iterator[Image]:
    """Read every volume of a file, one after the other; it is unpacked once.

    Raises:
        ReadError: If it is broken or cut off.
    """
    del options  # no choice but the part concerns NIfTI
    with opened(path) as file:
        for part in file.parts:
            yield _image(file, part)


def describe_all(path: Path, options: ReadOptions) -> tuple[Description, ...]:
    """Describe every volume of a file from its header.

    Raises:
        ReadError: If the header is broken, or the file too short for it.
    """
    del options
    with opened(path) as file:
        return tuple(
            Description(
                source=path,
                kind="nifti",
                shape=file.grid.shape,
                channels=file.channels,
                spacing_mm=file.grid.spacing_mm,
                orientation=file.grid.axis_codes,
                frame=file.grid.frame.value,
                steps=file.steps,
                warnings=file.warnings,
                part=part.number,
                parts=len(file.parts),
                title=part.title,
            )
            for part in file.parts
        )


def scaled(stored: Pixels, slope: float, intercept: float) -> Pixels:
    """Return slope * stored + intercept in float32; whole numbers as they are if 1, 0.

    The sum is made in double precision, so that large stored numbers lose nothing.
    """
    if (slope, intercept) == (1.0, 0.0):
        is_whole = stored.dtype.kind in "iu"
        target = stored.dtype.newbyteorder("=") if is_whole else np.float32
        with np.errstate(over="ignore", invalid="ignore"):
            return stored.astype(target, copy=False)
    values = np.empty_like(stored, dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(stored.shape[-1]):
            values[..., k] = stored[..., k].astype(np.float64) * slope + intercept
    return values


def _image(file: NiftiFile, part: Part) -> Image:
    """Read one volume."""
    blocks = [file.block(index)[:3] for index in part.blocks]
    stored = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
    values = scaled(stored, file.slope, file.intercept)
    which = (part.title,) if part.title else ()
    return Image(
        values,
        geometry=file.grid,
        provenance=(*which, *file.steps),
        warnings=(*file.warnings, *finite_words(values)),
        source=file.path,
    )
