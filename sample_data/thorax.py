"""An analytic thorax: where each tissue lies and how dense it is.

World axes are RAS+ in mm: x to the patient's right, y to the front, z to the head.
Densities are Hounsfield units. `SOLIDS` are ellipsoids of one density each; where two
overlap, the later one fills the space. `VERTEBRAE` and `strands` (ribs, clavicles,
vessels) add density to what is there.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["AIR_HU", "NODULE", "SOLIDS", "VERTEBRAE", "Ellipsoid", "Strand", "strands"]

Array = npt.NDArray[np.float64]

AIR_HU = -1000.0
_SOFT_HU = 40.0
_LUNG_HU = -840.0
_BONE_HU = 420.0
_VESSEL_HU = 800.0


@dataclass(frozen=True)
class Ellipsoid:
    """A solid of one density.

    Attributes:
        name: What it stands for.
        centre_mm: RAS+ mm.
        semi_axes_mm: Half the extent along its own x, y, z.
        hu: Its density; for one that adds, the density it adds.
        tilt_degrees: Turn about y, from z towards x.
    """

    name: str
    centre_mm: tuple[float, float, float]
    semi_axes_mm: tuple[float, float, float]
    hu: float
    tilt_degrees: float = 0.0

    def to_unit_ball(self, vectors: Array) -> Array:
        """Return directions of shape (..., 3) where this solid is the unit ball."""
        angle = np.radians(self.tilt_degrees)
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]])
        return np.asarray(vectors @ turn.T / np.array(self.semi_axes_mm))

    def contains(self, points: Array) -> npt.NDArray[np.bool_]:
        """Say which RAS+ mm points of shape (..., 3) lie inside."""
        inner = self.to_unit_ball(points - np.array(self.centre_mm))
        return np.asarray((inner**2).sum(axis=-1) < 1.0)

    def chord(self, start: Array, direction: Array) -> tuple[Array, Array]:
        """Return where rays enter and leave, as multiples of `direction`.

        A ray that misses enters and leaves at the same place.
        """
        origin = self.to_unit_ball(start - np.array(self.centre_mm))
        along = self.to_unit_ball(direction)
        a = (along**2).sum(axis=-1)
        b = (along * origin).sum(axis=-1)
        c = (origin**2).sum(axis=-1) - 1.0
        half = np.sqrt(np.maximum(b * b - a * c, 0.0)) / a
        return -b / a - half, -b / a + half


@dataclass(frozen=True, eq=False)
class Strand:
    """A thin curve that adds density: a string of round, soft-edged beads.

    Attributes:
        points_mm: The beads' centres in RAS+ mm, shape (N, 3).
        radius_mm: Standard deviation of a bead's Gaussian profile.
        hu_mm: Density integrated across the strand at its middle, in HU mm.
        step_mm: Distance between neighbouring beads.
    """

    points_mm: Array
    radius_mm: float
    hu_mm: float
    step_mm: float

    @property
    def bead_mass(self) -> float:
        """Density of one bead integrated over space, in HU mm^3."""
        return self.hu_mm * self.step_mm * np.sqrt(2 * np.pi) * self.radius_mm


NODULE = Ellipsoid("nodule", (82.0, 10.0, 62.0), (13.0, 12.0, 12.5), 30.0)

SOLIDS = (
    Ellipsoid("trunk", (0, 0, -70), (178, 112, 350), _SOFT_HU),
    Ellipsoid("neck", (0, -10, 230), (62, 58, 170), _SOFT_HU),
    Ellipsoid("right shoulder", (125, -20, 135), (112, 58, 64), _SOFT_HU, 24),
    Ellipsoid("left shoulder", (-125, -20, 135), (112, 58, 64), _SOFT_HU, -24),
    Ellipsoid("right lung", (69, -5, -20), (64, 84, 140), _LUNG_HU, -5),
    Ellipsoid("right apex", (53, -18, 58), (50, 66, 88), _LUNG_HU, -9),
    Ellipsoid("left lung", (-71, -5, -22), (62, 82, 138), _LUNG_HU, 5),
    Ellipsoid("left apex", (-54, -18, 58), (49, 64, 87), _LUNG_HU, 9),
    Ellipsoid("right diaphragm", (72, 4, -142), (82, 104, 76), _SOFT_HU),
    Ellipsoid("left diaphragm", (-74, 0, -150), (78, 100, 72), _SOFT_HU),
    Ellipsoid("stomach bubble", (-72, 20, -106), (24, 24, 11), AIR_HU),
    Ellipsoid("mediastinum", (2, 10, 70), (25, 48, 210), _SOFT_HU),
    Ellipsoid("paraspinal muscle", (0, -78, 0), (27, 34, 400), _SOFT_HU),
    Ellipsoid("heart", (-26, 28, -42), (46, 44, 66), 45.0, 38),
    Ellipsoid("right atrium", (20, 22, -38), (27, 34, 42), 45.0),
    Ellipsoid("aortic arch", (-15, -12, 64), (19, 34, 22), 45.0),
    Ellipsoid("right hilum", (28, -8, 10), (9, 11, 26), _SOFT_HU, -14),
    Ellipsoid("left hilum", (-28, -8, 22), (9, 11, 22), _SOFT_HU, 14),
    Ellipsoid("trachea", (2, -8, 120), (8, 8, 78), AIR_HU),
    Ellipsoid("right main bronchus", (15, -10, 36), (6, 6, 24), AIR_HU, -38),
    Ellipsoid("left main bronchus", (-16, -10, 36), (5, 5, 28), AIR_HU, 52),
)
"""Body and organs, the later one wins."""

VERTEBRAE = tuple(
    Ellipsoid("vertebra", (0, -76, height), (16.5, 15, 10.2), _BONE_HU)
    for height in range(-210, 200, 23)
)


def strands(rng: np.random.Generator) -> Iterator[Strand]:
    """Yield ribs, clavicles and pulmonary vessels; the vessels branch at random."""
    for side in (1.0, -1.0):
        for number in range(1, 11):
            yield from _rib(number, side)
        yield from _clavicle(side)
        yield from _vessels(side, rng)


def _rib(number: int, side: float) -> Iterator[Strand]:
    """Yield one rib: bright rims, softer marrow."""
    angle = np.radians(np.arange(-76.0, 48.0, 1.2))  # from the spine to the front
    height = 148.0 - 23.5 * number
    taper = np.sqrt(max(1.0 - ((height + 25.0) / 205.0) ** 2, 0.2))
    reach = (140.0 * taper, 97.0 * taper)
    drop = 22.0 + 4.5 * number
    points = np.stack(
        [
            side * reach[0] * np.cos(angle),
            reach[1] * np.sin(angle) - 2.0,
            height - drop * (np.sin(angle) + 0.97) / 1.7 + 9.0 * np.cos(angle),
        ],
        axis=-1,
    )
    yield _evenly(points, radius_mm=3.9, hu_mm=14000.0)
    yield _evenly(points, radius_mm=2.0, hu_mm=-6000.0)


def _clavicle(side: float) -> Iterator[Strand]:
    """Yield a collar bone, an S from the breastbone to the shoulder."""
    along = np.linspace(0.0, 1.0, 60)
    points = np.stack(
        [
            side * (20.0 + 122.0 * along),
            62.0 - 60.0 * along + 10.0 * np.sin(2 * np.pi * along),
            112.0 + 26.0 * along + 5.0 * np.sin(2 * np.pi * along),
        ],
        axis=-1,
    )
    yield _evenly(points, radius_mm=4.3, hu_mm=17000.0)
    yield _evenly(points, radius_mm=2.2, hu_mm=-6500.0)


def _vessels(side: float, rng: np.random.Generator) -> Iterator[Strand]:
    """Yield the arteries of one lung, dividing from the hilum outwards."""
    root = np.array([side * 34.0, -8.0, 18.0])
    for lift in np.radians([-68, -48, -25, 0, 28, 52]):
        depth = rng.uniform(-0.5, 0.5)
        heading = np.array([side * np.cos(lift), depth, np.sin(lift)])
        yield from _branch(root, heading, 3.4, 30.0, rng)


def _branch(
    start: Array,
    heading: Array,
    radius_mm: float,
    length_mm: float,
    rng: np.random.Generator,
) -> Iterator[Strand]:
    """Yield one vessel and everything it divides into, while it stays in the lung."""
    heading = heading / np.linalg.norm(heading)
    end = start + heading * length_mm
    path = start + np.linspace(0.0, 1.0, 20)[:, None] * (end - start)
    path = path[_in_lung(path)]
    if radius_mm < 0.7 or len(path) < 2:
        return
    yield _evenly(path, radius_mm=radius_mm, hu_mm=_VESSEL_HU * radius_mm * 2.5)
    for _ in range(2):
        turn = rng.normal(0.0, 0.42, 3)
        yield from _branch(
            end,
            heading + turn,
            radius_mm * 0.74,
            length_mm * rng.uniform(0.7, 0.9),
            rng,
        )


def _in_lung(points: Array) -> npt.NDArray[np.bool_]:
    """Say at which RAS+ mm points of shape (N, 3) the lung fills the space."""
    density = np.zeros(len(points))
    for solid in SOLIDS:
        density[solid.contains(points)] = solid.hu
    return np.asarray(density == _LUNG_HU)


def _evenly(path: Array, *, radius_mm: float, hu_mm: float) -> Strand:
    """Make a strand with beads at even distances along a path of shape (N, 3)."""
    step_mm = 1.5
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=1)
    travelled = np.concatenate([[0.0], np.cumsum(lengths)])
    stops = np.arange(0.0, travelled[-1], step_mm)
    points = np.stack([np.interp(stops, travelled, axis) for axis in path.T], axis=-1)
    return Strand(points, radius_mm, hu_mm, step_mm)
