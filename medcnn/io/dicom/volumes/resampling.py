"""How irregular slices are brought onto a rectangular, even grid.

Along rows and columns each slice is moved by its exact shift; along the normal two
neighbours are mixed. Both are linear, so a linear scene is kept exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.geometry import Geometry
from medcnn.io.dicom.volumes.stack import UNEVEN, Stack

__all__ = ["Resampling", "plan_resampling", "resampled"]

FloatArray = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_GAP = 1.5
_NEIGHBOURS = 3
_SNAP_PIXELS = 1e-6
_LISTED = 8


@dataclass(frozen=True, eq=False)
class Resampling:
    """Which slices make up each slice of the new grid, and where they lie in it.

    Attributes:
        geometry: The new grid.
        shifts: For each old slice, how many (columns, rows) it lies inside the new
            picture, (N, 2).
        below: For each new slice, the old one at or below it, (K,).
        weight: How much of the next old slice is mixed in, 0 to 1, (K,).
        in_gap: Which new slices lie where nothing was acquired, (K,).
        steps: What is done, in words.
        warnings: What a careful reader would want to be told.
    """

    geometry: Geometry
    shifts: FloatArray
    below: npt.NDArray[np.intp]
    weight: FloatArray
    in_gap: Mask
    steps: tuple[str, ...]
    warnings: tuple[str, ...]


def plan_resampling(
    stack: Stack, size: tuple[int, int], *, tilt: bool, gaps: bool
) -> Resampling:
    """Decide how an irregular stack becomes an even one.

    Args:
        stack: Slices with a depth each.
        size: (columns, rows) of a slice.
        tilt: Move each slice in its plane, so that the grid becomes rectangular.
        gaps: Mix neighbours along the normal, so that the distances become even.
    """
    depths, below, weight, in_gap = _along_normal(stack, gaps=gaps)
    shifts, origin, per_mm = _in_plane(stack, tilt=tilt)
    columns, rows = np.ceil(shifts.max(axis=0) + size - _SNAP_PIXELS).astype(int)
    spacing = (depths[-1] - depths[0]) / (len(depths) - 1)
    affine = np.eye(4)
    affine[:3, 0] = stack.axes[0] * stack.spacing_mm[1]
    affine[:3, 1] = stack.axes[1] * stack.spacing_mm[0]
    affine[:3, 2] = per_mm * spacing
    affine[:3, 3] = origin
    shape = (int(columns), int(rows), len(depths))
    steps, warnings = [], []
    if tilt:
        words = _tilt_words(stack, size, shape)
        steps.append(words)
        warnings.append(f"{words}; what lies outside the slices is masked as padding")
    if gaps:
        steps.append(_gap_words(stack, spacing, weight))
        warnings += [steps[-1], *_gap_list(depths, in_gap)]
    return Resampling(
        Geometry.from_lps(shape, affine),
        shifts,
        below,
        weight,
        in_gap,
        tuple(steps),
        tuple(warnings),
    )


def resampled(
    volume: npt.NDArray[Any],
    padding: Mask | None,
    plan: Resampling,
    unit: str | None,
) -> tuple[npt.NDArray[np.float32], Mask]:
    """Carry a resampling out.

    Args:
        volume: The old slices in order, (N, rows, columns[, 3]).
        padding: Where they hold nothing acquired, (N, rows, columns), or None.
        plan: What to do.
        unit: "HU" fills what lies outside with air, -1024; otherwise it is filled
            with the lowest value of the volume.

    Returns:
        The new slices (K, rows, columns[, 3]), and where they hold nothing acquired:
        outside the old slices, beside their padding, and in gaps.
    """
    columns, rows, count = plan.geometry.shape
    fill = -1024.0 if unit == "HU" else float(volume.min())
    out = np.full((count, rows, columns, *volume.shape[3:]), fill, np.float32)
    outside = np.ones((count, rows, columns), np.bool_)
    moved: dict[int, tuple[npt.NDArray[np.float32], Mask]] = {}
    for k, (below, weight) in enumerate(zip(plan.below, plan.weight, strict=True)):
        needed = [int(below)] if weight == 0 else [int(below), int(below) + 1]
        for old in needed:
            if old not in moved:
                holes = None if padding is None else padding[old]
                moved[old] = _moved(
                    volume[old], holes, plan.shifts[old], (rows, columns)
                )
        values, inside = moved[needed[0]]
        if len(needed) == 2:
            above, also = moved[needed[1]]
            inside = inside & also
            values = (1 - np.float32(weight)) * values + np.float32(weight) * above
        out[k][inside] = values[inside]
        outside[k] = ~inside | plan.in_gap[k]
        moved = {old: moved[old] for old in needed}
    return out, outside


def _moved(
    values: npt.NDArray[Any],
    holes: Mask | None,
    shift: FloatArray,
    shape: tuple[int, int],
) -> tuple[npt.NDArray[np.float32], Mask]:
    """Move one slice into the new picture by a fraction of pixels, linearly.

    Returns:
        The new picture, and where it holds old pixels only.
    """
    picture = values.astype(np.float32)
    inside = np.ones(picture.shape[:2], np.bool_) if holes is None else ~holes
    start = []
    for axis, pixels in ((1, float(shift[0])), (0, float(shift[1]))):
        whole = int(np.floor(pixels + _SNAP_PIXELS))
        part = np.float32(max(pixels - whole, 0.0))
        if part > _SNAP_PIXELS:
            first, last = _all_but_ends(picture.shape[axis])
            before, after = picture.take(first, axis), picture.take(last, axis)
            picture = part * before + (1 - part) * after
            inside = inside.take(first, axis) & inside.take(last, axis)
            whole += 1
        start.append(whole)
    new = np.zeros((*shape, *picture.shape[2:]), np.float32)
    known = np.zeros(shape, np.bool_)
    column, row = start
    place = (
        slice(row, row + picture.shape[0]),
        slice(column, column + picture.shape[1]),
    )
    new[place], known[place] = picture, inside
    return new, known


def _all_but_ends(count: int) -> tuple[range, range]:
    """Return the indices of all but the last and of all but the first."""
    return range(count - 1), range(1, count)


def _along_normal(
    stack: Stack, *, gaps: bool
) -> tuple[FloatArray, npt.NDArray[np.intp], FloatArray, Mask]:
    """Return the depths of the new slices, and what old ones they are mixed of."""
    old, distances = stack.depths_mm, stack.gaps_mm
    if not gaps:
        count = len(old)
        plain = np.zeros(count)
        return old, np.arange(count), plain, plain.astype(bool)
    span = old[-1] - old[0]
    usual = float(np.median(distances))
    count = round(span / usual) if stack.missing else int(span / usual + UNEVEN)
    spacing = span / count if stack.missing else usual
    new = old[0] + spacing * np.arange(count + 1)
    below = np.clip(np.searchsorted(old, new, side="right") - 1, 0, len(old) - 2)
    weight = np.clip((new - old[below]) / distances[below], 0.0, 1.0)
    near = UNEVEN * spacing / distances[below]
    weight = np.where(weight < near, 0.0, weight)
    is_next = weight > 1 - near
    in_gap = _is_gap(distances)[below] & (weight > 0) & ~is_next
    below = np.where(is_next, below + 1, below)
    return new, below, np.where(is_next, 0.0, weight), in_gap


def _is_gap(distances: FloatArray) -> Mask:
    """Say which distances are far larger than those around them."""
    found = []
    for at, distance in enumerate(distances):
        around = distances[max(at - _NEIGHBOURS, 0) : at + _NEIGHBOURS + 1]
        found.append(distance > _GAP * np.median(around))
    return np.array(found, np.bool_)


def _in_plane(stack: Stack, *, tilt: bool) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the shifts in pixels, the first voxel, and the way per mm of depth."""
    if not tilt:
        span = stack.depths_mm[-1] - stack.depths_mm[0]
        per_mm = (stack.positions[-1] - stack.positions[0]) / span
        return np.zeros((len(stack.order), 2)), stack.positions[0], per_mm
    offsets = stack.offsets_mm
    low = offsets.min(axis=0)
    row_mm, column_mm = stack.spacing_mm
    shifts = (offsets - low) / [column_mm, row_mm]
    origin = stack.positions[0] + low @ stack.axes[:2]
    return shifts, origin, stack.axes[2]


def _tilt_words(
    stack: Stack, size: tuple[int, int], shape: tuple[int, int, int]
) -> str:
    """Return the correction of a tilt as a line of a provenance."""
    return (
        f"a gantry tilt of {stack.tilt_degrees:.1f} degrees was corrected: slices of "
        f"{size[0]} x {size[1]} were moved by linear interpolation onto {shape[0]} x "
        f"{shape[1]}"
    )


def _gap_words(stack: Stack, spacing: float, weight: FloatArray) -> str:
    """Return the correction of uneven distances as a line of a provenance."""
    mixed = int((weight > 0).sum())
    return (
        f"{len(stack.order)} slices at distances of {stack.gaps_mm.min():.4g} to "
        f"{stack.gaps_mm.max():.4g} mm were resampled linearly to {len(weight)} slices "
        f"every {spacing:.4g} mm (the median distance); {mixed} are interpolated"
    )


def _gap_list(depths: FloatArray, in_gap: Mask) -> list[str]:
    """Say which new slices lie in gaps."""
    inside: Sequence[int] = np.flatnonzero(in_gap).tolist()
    if not inside:
        return []
    first = float(depths[0])
    listed = ", ".join(f"{k} ({depths[k] - first:.4g} mm)" for k in inside[:_LISTED])
    more = ", ..." if len(inside) > _LISTED else ""
    which = "1 slice lies in a gap and is"
    if len(inside) > 1:
        which = f"{len(inside)} slices lie in gaps and are"
    return [
        f"{which} masked as padding; k (distance from the first slice): {listed}{more}"
    ]
