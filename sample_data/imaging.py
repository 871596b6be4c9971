"""Two machines that look at the thorax: an X-ray film and a CT scanner."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from thorax import AIR_HU, VERTEBRAE, Ellipsoid, Strand

__all__ = ["FILM_SHAPE", "PIXEL_MM", "SOURCE_DETECTOR_MM", "film", "on_film", "scan"]

Array = npt.NDArray[np.float64]

FILM_SHAPE = (480, 448)
"""Rows, columns."""
PIXEL_MM = 0.78
SOURCE_DETECTOR_MM = 1800.0
_DETECTOR_Y_MM = 140.0
_BEAM_Z_MM = 10.0
_SOURCE = np.array([0.0, _DETECTOR_Y_MM - SOURCE_DETECTOR_MM, _BEAM_Z_MM])
_WATER_PER_MM = 0.0185  # linear attenuation at 70 keV effective energy
_PHOTONS = 60_000.0
_SCATTER = 0.35


def on_film(points_mm: Array) -> tuple[Array, Array, Array]:
    """Project RAS+ mm points of shape (N, 3) onto the film.

    Returns:
        Column, row and magnification of each. Columns run to the patient's left and
        rows to the feet, as a radiologist hangs the picture.
    """
    magnification = SOURCE_DETECTOR_MM / (points_mm[:, 1] - _SOURCE[1])
    rows, columns = FILM_SHAPE
    column = (columns - 1) / 2 - points_mm[:, 0] * magnification / PIXEL_MM
    depth = (points_mm[:, 2] - _BEAM_Z_MM) * magnification
    return column, (rows - 1) / 2 - depth / PIXEL_MM, magnification


def film(
    solids: Sequence[Ellipsoid], threads: Iterable[Strand], rng: np.random.Generator
) -> npt.NDArray[np.uint16]:
    """Expose one film: 12 bit, higher where more was absorbed, (rows, columns).

    Broad differences are halved, as the machines do before they show a film.
    """
    absorbed = _solid_paths(solids) + _thread_paths(threads)
    primary = np.exp(-np.maximum(absorbed, 0.0))
    scattered = _SCATTER * gaussian_filter(primary, 30.0, mode="nearest")
    photons = _PHOTONS * gaussian_filter(primary + scattered, 0.5)
    photons += np.sqrt(photons) * rng.standard_normal(FILM_SHAPE)
    density = np.log(_PHOTONS * (1 + _SCATTER)) - np.log(np.maximum(photons, 1.0))
    broad = gaussian_filter(density, 45.0, mode="nearest")
    shown = 1900.0 + 950.0 * (density - 0.55 * broad - 0.45 * broad.mean())
    return np.asarray(np.clip(np.rint(shown), 0, 4095), np.uint16)


def scan(
    solids: Sequence[Ellipsoid],
    threads: Iterable[Strand],
    affine: Array,
    shape: tuple[int, int, int],
    rng: np.random.Generator,
) -> npt.NDArray[np.int16]:
    """Scan a grid: HU at each voxel, noise of 12 HU, shape (I, J, K).

    Args:
        solids: What fills space, the later one wins.
        threads: What adds density.
        affine: Voxel (i, j, k, 1) to RAS+ mm, (4, 4).
        shape: Number of voxels along i, j, k.
        rng: Where the noise comes from.
    """
    fine = 2
    offsets = (np.arange(fine) - (fine - 1) / 2) / fine
    total = np.zeros(shape)
    for offset in np.stack(np.meshgrid(*[offsets] * 3), axis=-1).reshape(-1, 3):
        voxels = np.moveaxis(np.indices(shape), 0, -1) + offset
        points = voxels @ affine[:3, :3].T + affine[:3, 3]
        total += _solid_values(solids, points)
    values = total / fine**3 + _thread_values(threads, affine, shape)
    values += rng.normal(0.0, 12.0, shape)
    return np.asarray(np.clip(np.rint(values), -1024, 3071), np.int16)


def _solid_paths(solids: Sequence[Ellipsoid]) -> Array:
    """Integrate attenuation along each ray, exactly, over the solids.

    A ray's path is cut where it enters or leaves a solid; between two cuts one solid
    fills the space.
    """
    rows, columns = FILM_SHAPE
    x = ((columns - 1) / 2 - np.arange(columns)) * PIXEL_MM
    z = ((rows - 1) / 2 - np.arange(rows)) * PIXEL_MM
    rays = np.zeros((rows, columns, 3))
    rays[..., 0], rays[..., 1], rays[..., 2] = x, SOURCE_DETECTOR_MM, z[:, None]
    length_mm = np.linalg.norm(rays, axis=-1)
    chords = [solid.chord(_SOURCE, rays) for solid in solids]
    cuts = np.sort(np.concatenate([np.stack(chord) for chord in chords]), axis=0)
    absorbed = np.zeros(FILM_SHAPE)
    for near, far in pairwise(cuts):
        middle = (near + far) / 2
        density = np.full(FILM_SHAPE, AIR_HU)
        for solid, (enter, leave) in zip(solids, chords, strict=True):
            density[(enter < middle) & (middle < leave)] = solid.hu
        absorbed += (1 + density / 1000) * (far - near)
    for bone in VERTEBRAE:
        enter, leave = bone.chord(_SOURCE, rays)
        absorbed += bone.hu / 1000 * (leave - enter)
    return np.asarray(absorbed * length_mm * _WATER_PER_MM)


def _thread_paths(threads: Iterable[Strand]) -> Array:
    """Integrate attenuation along each ray over the strands.

    A bead's shadow is its Gaussian, magnified; those of one width are blurred at once.
    """
    shadows: dict[float, Array] = {}
    for thread in threads:
        column, row, magnification = on_film(thread.points_mm)
        points = np.zeros(FILM_SHAPE)
        weight = thread.bead_mass * (magnification / PIXEL_MM) ** 2
        _splat(points, np.stack([row, column]), weight)
        radius_px = round(thread.radius_mm * float(magnification.mean()) / PIXEL_MM, 1)
        shadows[radius_px] = shadows.get(radius_px, 0.0) + points
    blurred = (gaussian_filter(points, radius) for radius, points in shadows.items())
    return np.asarray(sum(blurred) / 1000 * _WATER_PER_MM)


def _solid_values(solids: Sequence[Ellipsoid], points: Array) -> Array:
    """Return HU at RAS+ mm points of shape (..., 3), strands left out."""
    values = np.full(points.shape[:-1], AIR_HU)
    for solid in solids:
        values[solid.contains(points)] = solid.hu
    for bone in VERTEBRAE:
        values[bone.contains(points)] += bone.hu
    return values


def _thread_values(
    threads: Iterable[Strand], affine: Array, shape: tuple[int, int, int]
) -> Array:
    """Return the HU that strands add to each voxel of a grid."""
    inverse = np.linalg.inv(affine)
    voxel_mm3 = abs(np.linalg.det(affine[:3, :3]))
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    layers: dict[float, Array] = {}
    for thread in threads:
        voxels = thread.points_mm @ inverse[:3, :3].T + inverse[:3, 3]
        layer = layers.setdefault(round(thread.radius_mm, 1), np.zeros(shape))
        weight = np.full(len(voxels), thread.bead_mass / voxel_mm3)
        _splat(layer, voxels.T, weight)
    blurred = (gaussian_filter(v, r / spacing_mm) for r, v in layers.items())
    return np.asarray(sum(blurred))


def _splat(target: Array, positions: Array, weights: Array) -> None:
    """Add weights to the nearest cells of a grid at positions of shape (axes, N)."""
    cells = np.rint(positions).astype(int)
    limits = np.array(target.shape)[:, None]
    inside = ((cells >= 0) & (cells < limits)).all(axis=0)
    np.add.at(target, tuple(cells[:, inside]), weights[inside])
