"""A medical image in memory: its values, its grid, and everything done to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from medcnn.errors import GeometryError
from medcnn.geometry import Geometry

__all__ = ["Identity", "Image", "Study"]

Pixels = npt.NDArray[Any]


@dataclass(frozen=True)
class Identity:
    """Whose image this is, as far as the file says; all of it is personal data.

    It is not shown when an image is printed, in a notebook or a log.
    """

    patient_id: str | None = field(default=None, repr=False)
    study_uid: str | None = field(default=None, repr=False)
    series_uid: str | None = field(default=None, repr=False)
    sop_uid: str | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Image:
    """One image or volume; immutable.

    Attributes:
        array: Values, shape (C, I, J, K); a 2-D image has K = 1. i runs along a
            picture's columns (left to right), j along its rows (top to bottom).
        geometry: The grid in RAS+ mm, or None where nothing says (a PNG).
        unit: What the values mean, such as "HU"; None where nothing says.
        modality: DICOM code such as "CR", "DX", "CT", "MR"; None where nothing says.
        facts: What the file says that a model's input gate wants to know, such as
            "body_part", "view", "laterality", "presentation_intent".
        identity: Patient and instance identifiers.
        provenance: Each step applied to the stored pixels, in order, in words.
        warnings: What a careful reader would want to be told.
        padding: True where nothing was acquired, shape (I, J, K); None if nowhere.
        source: Where it came from.
        full_shape: (I, J, K) as stored, where it was read at less detail; None where
            `array` holds all of it.
        part: Which image of its file or series it is, from 1; None where there is but
            one.

    Raises:
        GeometryError: If `array` is not (C, I, J, K), or another part's shape differs.
    """

    array: Pixels
    geometry: Geometry | None = None
    unit: str | None = None
    modality: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    identity: Identity = field(default_factory=Identity)
    provenance: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    padding: npt.NDArray[np.bool_] | None = None
    source: Path | None = None
    full_shape: tuple[int, int, int] | None = None
    part: int | None = None

    def __post_init__(self) -> None:
        if self.array.ndim != 4 or 0 in self.array.shape:
            msg = f"array must have shape (C, I, J, K), got {self.array.shape}"
            raise GeometryError(msg)
        for name, part in (("geometry", self.geometry), ("padding", self.padding)):
            if part is not None and tuple(part.shape) != self.shape:
                msg = f"{name} is for {part.shape}, but the array holds {self.shape}"
                raise GeometryError(msg)
        view = self.array.view()
        view.setflags(write=False)
        object.__setattr__(self, "array", view)
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))

    @classmethod
    def from_picture(cls, pixels: Pixels, **parts: Any) -> Self:
        """Make a 2-D image of pixels as a screen shows them.

        Args:
            pixels: (rows, columns) grey or (rows, columns, C) colour.
            parts: The other attributes of an Image.

        Raises:
            GeometryError: If `pixels` has neither two nor three axes.
        """
        if pixels.ndim not in {2, 3}:
            msg = f"a picture is (rows, columns[, C]), got shape {pixels.shape}"
            raise GeometryError(msg)
        planes = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)
        return cls(planes.transpose(0, 2, 1)[..., None], **parts)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along i, j, k."""
        _, i, j, k = self.array.shape
        return i, j, k

    @property
    def channels(self) -> int:
        """Number of channels: 1 for grey, 3 for colour."""
        return int(self.array.shape[0])

    @property
    def dims(self) -> int:
        """2 for a picture (K = 1), 3 for a volume."""
        return 2 if self.shape[2] == 1 else 3

    def picture(self, k: int = 0) -> Pixels:
        """Return slice k as a screen shows it, (rows, columns[, C])."""
        planes = self.array[..., k].transpose(0, 2, 1)
        return planes[0] if self.channels == 1 else np.moveaxis(planes, 0, 2)

    def with_array(self, array: Pixels, *, step: str) -> "Image":
        """Return this image with other values on the same grid, and the step noted."""
        return replace(self, array=array, provenance=(*self.provenance, step))


@dataclass(frozen=True)
class Study:
    """All images that a file or folder holds, and what could not be read.

    Attributes:
        images: One for each series or single picture, in a stable order.
        problems: (path, reason) for each file that gave none.
    """

    images: tuple[Image, ...]
    problems: tuple[tuple[Path, str], ...] = ()
