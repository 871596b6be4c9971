"""The voxel grid of an image in world millimetres.

World axes are RAS+: x grows from left to Right, y from posterior to Anterior, z from
inferior to Superior. Voxel indices are (i, j, k) and mean voxel centres. DICOM speaks
LPS; `Geometry.from_lps` is the one place where the two meet. A glass slide has axes of
its own, which no sign turns into a patient's: `Frame.SLIDE`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations
from typing import Self

import numpy as np
import numpy.typing as npt

from medcnn.errors import GeometryError

__all__ = ["LPS_TO_RAS", "Frame", "Geometry", "Reorientation"]

FloatArray = npt.NDArray[np.float64]

LPS_TO_RAS: FloatArray = np.diag([-1.0, -1.0, 1.0, 1.0])
"""World LPS mm to world RAS mm; its own inverse."""

_POSITIVE = "RAS"
_NEGATIVE = "LPI"
_SLIDE_POSITIVE = "XYZ"
_SLIDE_NEGATIVE = "xyz"


class Frame(StrEnum):
    """What the millimetres are measured in."""

    PATIENT = "patient"
    """True in the patient: CT, MR, PET, calibrated radiographs."""
    DETECTOR = "detector"
    """True at the detector plane: (0018,1164) Imager Pixel Spacing of a radiograph."""
    SLIDE = "slide"
    """True on a glass slide: x, y, z are the slide's own axes, not a patient's RAS."""


@dataclass(frozen=True)
class Reorientation:
    """Axis permutation and flips that turn one grid's axes to wanted directions.

    Attributes:
        axes: For each new axis, the old axis it comes from.
        flips: For each new axis, whether it runs backwards along the old one.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def to_old(self, shape: Sequence[int]) -> FloatArray:
        """Return where turned voxels (i, j, k, 1) lie in the old grid, (4, 4).

        Args:
            shape: Of the old grid, (I, J, K).
        """
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1
        for new, (old, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            matrix[old, new] = -1 if flip else 1
            matrix[old, 3] = shape[old] - 1 if flip else 0
        return matrix


@dataclass(frozen=True, eq=False)
class Geometry:
    """A voxel grid: shape (I, J, K) and the affine from (i, j, k) to RAS+ mm.

    Attributes:
        shape: Number of voxels along i, j, k, each >= 1.
        affine: Voxel centre (i, j, k, 1) to world (x, y, z, 1) in RAS+ mm, (4, 4); on
            a slide to the slide's own x, y, z in mm.
        frame: Whether millimetres are true in the patient, at the detector or on a
            slide.

    Raises:
        GeometryError: If the shape is empty, or the affine is not finite, not
            (4, 4) with a last row of 0, 0, 0, 1, or not invertible.

    Examples:
        >>> grid = Geometry.from_spacing((4, 3, 1), (0.5, 0.5, 1.0))
        >>> grid.spacing_mm
        (0.5, 0.5, 1.0)
    """

    shape: tuple[int, int, int]
    affine: FloatArray
    frame: Frame = Frame.PATIENT

    def __post_init__(self) -> None:
        if np.shape(self.shape) != (3,) or min(self.shape) < 1:
            msg = f"shape must be three numbers >= 1 (I, J, K), got {self.shape}"
            raise GeometryError(msg)
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            msg = f"affine must be a finite (4, 4) matrix, got {affine.tolist()}"
            raise GeometryError(msg)
        if not np.allclose(affine[3], [0, 0, 0, 1]):
            msg = f"affine must end in the row 0, 0, 0, 1, got {affine[3].tolist()}"
            raise GeometryError(msg)
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        volume = abs(np.linalg.det(affine[:3, :3]))
        if (lengths == 0).any() or volume < 1e-6 * lengths.prod():
            msg = f"affine must be invertible, got {affine.tolist()}"
            raise GeometryError(msg)
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @classmethod
    def from_lps(
        cls,
        shape: tuple[int, int, int],
        affine_lps: npt.ArrayLike,
        *,
        frame: Frame = Frame.PATIENT,
    ) -> Self:
        """Make a grid from an affine into DICOM's LPS millimetres.

        References:
            [1] DICOM PS3.3 C.7.6.2.1.1, Image Position and Image Orientation.
        """
        return cls(shape, LPS_TO_RAS @ np.asarray(affine_lps, np.float64), frame)

    @classmethod
    def from_spacing(
        cls,
        shape: tuple[int, int, int],
        spacing_mm: tuple[float, float, float],
        *,
        frame: Frame = Frame.PATIENT,
    ) -> Self:
        """Make a grid that knows its spacing but not its place in the patient.

        The axes are those of a picture seen by a radiologist: i towards the patient's
        left, j downwards (inferior), k towards the viewer (anterior).
        """
        di, dj, dk = spacing_mm
        affine = np.eye(4)
        affine[:3, :3] = np.array([[-di, 0, 0], [0, 0, dk], [0, -dj, 0]])
        return cls(shape, affine, frame)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along i, j, k in mm."""
        di, dj, dk = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(di), float(dj), float(dk)

    @property
    def extent_mm(self) -> tuple[float, float, float]:
        """Edge-to-edge size of the grid along i, j, k in mm."""
        di, dj, dk = self.spacing_mm
        return di * self.shape[0], dj * self.shape[1], dk * self.shape[2]

    @property
    def directions(self) -> FloatArray:
        """Unit direction of i, j, k in RAS+ as the columns of a (3, 3) matrix."""
        return np.asarray(self.affine[:3, :3] / np.array(self.spacing_mm))

    @property
    def axis_codes(self) -> str:
        """Where i, j, k mostly point to, such as "LPS" for a plain axial CT.

        A slide knows no patient: its axes are X, Y, Z, and x, y, z where they run
        backwards, such as "XYZ" for a TIFF.
        """
        axes, signs = self._closest_axes()
        is_slide = self.frame is Frame.SLIDE
        grows = _SLIDE_POSITIVE if is_slide else _POSITIVE
        falls = _SLIDE_NEGATIVE if is_slide else _NEGATIVE
        return "".join(
            (grows if positive else falls)[axis]
            for axis, positive in zip(axes, signs, strict=True)
        )

    def to_world(self, voxels: npt.ArrayLike) -> FloatArray:
        """Return RAS+ mm of voxel points of shape (..., 3)."""
        points = np.asarray(voxels, np.float64)
        return np.asarray(points @ self.affine[:3, :3].T + self.affine[:3, 3])

    def to_voxel(self, points_mm: npt.ArrayLike) -> FloatArray:
        """Return voxel coordinates (i, j, k) of RAS+ mm points of shape (..., 3)."""
        inverse = np.linalg.inv(self.affine)
        points = np.asarray(points_mm, np.float64)
        return np.asarray(points @ inverse[:3, :3].T + inverse[:3, 3])

    def reorientation_to(self, codes: str) -> Reorientation:
        """Say how to permute and flip the axes so that they point to `codes`.

        Args:
            codes: Three letters, one of each of R/L, A/P, S/I, such as "LPS".

        Raises:
            GeometryError: If `codes` is not such a triple, or this is a slide.
        """
        if self.frame is Frame.SLIDE:
            msg = f"a slide cannot be turned to {codes}: it says nothing of the patient"
            raise GeometryError(msg)
        wanted = [_world_axis(code) for code in codes.upper()]
        if sorted(axis for axis, _ in wanted) != [0, 1, 2]:
            msg = f"orientation must name R/L, A/P and S/I once each, got {codes!r}"
            raise GeometryError(msg)
        axes, signs = self._closest_axes()
        sources = [axes.index(axis) for axis, _ in wanted]
        flips = [
            signs[source] != sign
            for source, (_, sign) in zip(sources, wanted, strict=True)
        ]
        return Reorientation(
            (sources[0], sources[1], sources[2]), (flips[0], flips[1], flips[2])
        )

    def same_grid(self, other: "Geometry", *, tolerance_mm: float = 1e-3) -> bool:
        """Say whether two grids have one shape and agree within a tolerance in mm."""
        if self.shape != other.shape:
            return False
        ends = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape])).reshape(3, -1).T
        apart = np.abs(self.to_world(ends) - other.to_world(ends)).max()
        return bool(apart <= tolerance_mm)

    def _closest_axes(self) -> tuple[list[int], list[bool]]:
        """For i, j, k: the world axis it is closest to, and whether it grows with it.

        One-to-one by assignment, so that even 45 degrees gives a valid answer.
        """
        cosines = self.directions.T  # (voxel axis, world axis)
        axes = max(
            permutations(range(3)), key=lambda p: np.abs(cosines[range(3), p]).sum()
        )
        signs = [bool(cosines[row, axis] >= 0) for row, axis in enumerate(axes)]
        return list(axes), signs


def _world_axis(code: str) -> tuple[int, bool]:
    """Return (world axis, positive) of one letter of an orientation."""
    if code in _POSITIVE:
        return _POSITIVE.index(code), True
    if code in _NEGATIVE:
        return _NEGATIVE.index(code), False
    return -1, False
