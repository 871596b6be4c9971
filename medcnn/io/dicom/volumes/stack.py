"""Where the slices of a stack lie to each other, and whether they are one even volume.

highdicom judges whether positions are those of one regular volume; what it refuses is
refused here, with the numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.io.dicom.volumes.records import Plane

__all__ = ["UNEVEN", "Stack", "places_of", "stack_of"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

UNEVEN = 0.01
"""How much of the spacing a distance may differ from it."""

_DRIFT = 0.02
"""How much of the spacing a slice may lie off the even grid as a whole."""

_SAME_PLACE = 0.01
_OFF_LINE = 0.1
_LEAST_TILT_DEGREES = 1.0
_MULTIPLE = 0.02


@dataclass(frozen=True, eq=False)
class Stack:
    """Planes of one orientation, sorted along their normal.

    Attributes:
        order: For each k, the index of its plane among those given.
        positions: First pixels in that order, LPS mm, (N, 3).
        axes: Unit directions of row, column and normal as rows, LPS, (3, 3).
        spacing_mm: Between rows, between columns.
    """

    order: tuple[int, ...]
    positions: FloatArray
    axes: FloatArray
    spacing_mm: tuple[float, float]

    @cached_property
    def depths_mm(self) -> FloatArray:
        """Place of each slice along the normal, growing, (N,)."""
        return np.asarray(self.positions @ self.axes[2])

    @cached_property
    def gaps_mm(self) -> FloatArray:
        """Distances of neighbours along the normal, (N - 1,)."""
        return np.diff(self.depths_mm)

    @cached_property
    def offsets_mm(self) -> FloatArray:
        """Shift of each slice along rows and columns from the first, (N, 2)."""
        return np.asarray((self.positions - self.positions[0]) @ self.axes[:2].T)

    @property
    def doubled(self) -> int:
        """How many slices lie where another one lies already."""
        near = _near_mm(self.spacing_mm)
        steps = np.linalg.norm(np.diff(self.positions, axis=0), axis=1)
        return int((steps < near).sum())

    @property
    def is_side_by_side(self) -> bool:
        """Whether some slices share a depth but not a place."""
        return (
            bool((self.gaps_mm < _near_mm(self.spacing_mm)).any()) and not self.doubled
        )

    @property
    def is_distinct(self) -> bool:
        """Whether every slice has a depth of its own."""
        return not bool((self.gaps_mm < _near_mm(self.spacing_mm)).any())

    @property
    def is_even(self) -> bool:
        """Whether all distances are the same, and small differences do not add up."""
        if len(self.gaps_mm) == 0:
            return True
        usual = self.gaps_mm.mean()
        even = np.linspace(self.depths_mm[0], self.depths_mm[-1], len(self.depths_mm))
        return (
            self.is_distinct
            and bool((np.abs(self.gaps_mm - usual) <= UNEVEN * usual).all())
            and bool((np.abs(self.depths_mm - even) <= _DRIFT * usual).all())
        )

    @property
    def is_straight(self) -> bool:
        """Whether first pixels lie on one line, to a tenth of a pixel."""
        return self.off_line_mm <= _OFF_LINE * min(self.spacing_mm)

    @property
    def off_line_mm(self) -> float:
        """How far the worst slice lies beside the line from the first to the last."""
        span = self.depths_mm[-1] - self.depths_mm[0]
        if span <= 0:
            return 0.0
        along = ((self.depths_mm - self.depths_mm[0]) / span)[:, None]
        return float(np.abs(self.offsets_mm - along * self.offsets_mm[-1]).max())

    @property
    def cosine(self) -> float:
        """Cosine of the angle between the line of first pixels and the normal."""
        drift = self.positions[-1] - self.positions[0]
        length = float(np.linalg.norm(drift))
        return float(drift @ self.axes[2]) / length if length else 1.0

    @property
    def tilt_degrees(self) -> float:
        """Angle between the line of first pixels and the normal."""
        return float(np.degrees(np.arccos(np.clip(self.cosine, -1, 1))))

    @property
    def is_regular(self) -> bool:
        """Whether they are one rectangular volume; highdicom is the judge."""
        if len(self.order) == 1:
            return True
        # highdicom takes a third of a second to import, and pictures do not need it
        spatial: Any = import_module("highdicom.spatial")
        spacing, _ = spatial.get_volume_positions(
            self.positions.tolist(), [*self.axes[0], *self.axes[1]], rtol=UNEVEN
        )
        return spacing is not None and self.is_straight and self.is_even

    @property
    def affine(self) -> FloatArray:
        """Voxel (i, j, k) to LPS mm of an even stack of two or more, (4, 4)."""
        row_mm, column_mm = self.spacing_mm
        affine = np.eye(4)
        affine[:3, 0] = self.axes[0] * column_mm
        affine[:3, 1] = self.axes[1] * row_mm
        affine[:3, 2] = (self.positions[-1] - self.positions[0]) / (len(self.order) - 1)
        affine[:3, 3] = self.positions[0]
        return affine

    def why_not(self) -> str:
        """Say why they are no rectangular volume, with the numbers."""
        count, gaps, tilt = len(self.order), self.gaps_mm, self.tilt_degrees
        lost = self.missing
        missing = "1 slice is" if lost == 1 else f"{lost} slices are"
        reasons = {
            f"{self.doubled} of its {count} slices lie where another one lies already "
            "(doubled files, or several time points in one series).": self.doubled,
            "some of its slices lie side by side in one plane.": self.is_side_by_side,
            f"{missing} missing: the spacing is {np.median(gaps):.4g} "
            f"mm, the largest gap {gaps.max():.4g} mm, among {count} "
            "slices.": lost,
            f"its {count} slices are unevenly spaced: {gaps.min():.4g} to "
            f"{gaps.max():.4g} mm.": not self.is_even,
            f"its slices are sheared by {tilt:.1f} degrees (gantry tilt), so they do "
            "not make a rectangular volume.": self.is_straight
            and tilt > _LEAST_TILT_DEGREES,
        }
        last = (
            "its slices are shifted beside each other by up to "
            f"{self.off_line_mm:.3g} mm."
        )
        return next((words for words, is_so in reasons.items() if is_so), last)

    @property
    def missing(self) -> int:
        """How many slices an otherwise even stack lacks; 0 if it is not such a one."""
        if len(self.gaps_mm) < 2 or not self.is_distinct:
            return 0
        multiples = self.gaps_mm / np.median(self.gaps_mm)
        whole = np.abs(multiples - multiples.round()).max() < _MULTIPLE
        if not whole or multiples.max() < 1.5 or multiples.min() < 0.5:
            return 0
        return int((multiples.round() - 1).sum())


def stack_of(planes: Sequence[Plane]) -> Stack:
    """Sort planes of one orientation and spacing along their normal."""
    across, down = np.array(planes[0].cosines).reshape(2, 3)
    across, down = across / np.linalg.norm(across), down / np.linalg.norm(down)
    axes = np.array([across, down, np.cross(across, down)])
    positions = np.array([plane.position for plane in planes], np.float64)
    order = np.argsort(positions @ axes[2], kind="stable")
    row_mm, column_mm = planes[0].spacing
    return Stack(tuple(order.tolist()), positions[order], axes, (row_mm, column_mm))


def places_of(planes: Sequence[Plane]) -> IntArray:
    """Number the places that planes of one orientation lie in, from 0, (N,).

    Planes nearer to each other than a hundredth of a pixel are in one place.
    """
    stack = stack_of(planes)
    near = _near_mm(stack.spacing_mm)
    places = np.empty(len(planes), np.intp)
    level: list[tuple[int, FloatArray, float]] = []  # places at about this depth
    count = 0
    for index, position, depth in zip(
        stack.order, stack.positions, stack.depths_mm, strict=True
    ):
        level = [place for place in level if depth - place[2] <= near]
        same = (at for at, p, _ in level if np.linalg.norm(position - p) <= near)
        place = next(same, count)
        if place == count:
            level.append((count, position, float(depth)))
            count += 1
        places[index] = place
    return places


def _near_mm(spacing_mm: tuple[float, float]) -> float:
    """Return the distance in mm below which two places are the same."""
    return _SAME_PLACE * min(spacing_mm)
