"""Judge an answer against the truth of a case.

A volume is judged by what its voxels say of their own place: the error is the largest
|value - truth(affine @ voxel)|, in the phantom's units (7, 11 and 13 for each mm along
x, y, z). A voxel outside what was acquired may also hold NaN or the volume's lowest
value, as resampling leaves them. A volume is complete if every acquired voxel centre
lies in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from dicoms import self_describing

from reader_cases.case import (
    Answer,
    Array,
    Colour,
    Facts,
    Grey,
    Grid,
    Nothing,
    Truth,
    Volume,
    Volumes,
)

RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])
DISPLAY_TOLERANCE = 0.005
"""Of black to white: about one level of a display of 8 bits."""
NEGLIGIBLE_MM = 0.02
FAR, NO_AFFINE, FLAT, NO_NAN = 1e9, 2e9, 3e9, 4e9
REASONS = {
    FAR: "other size",
    NO_AFFINE: "NaN in the affine",
    FLAT: "affine of no volume",
    NO_NAN: "NaN and infinity lost",
}
ENOUGH = 0.8
"""Share of the acquired voxels that must have a value: resampling loses an edge."""


@dataclass(frozen=True)
class Verdict:
    """What an answer is worth.

    Attributes:
        word: "right", "part" (what is there is right, some is lacking or not told),
            "wrong", "refused", "lost" (the process ended or took too long).
        detail: The largest error, or what is lacking, or why.
    """

    word: str
    detail: str = ""


def judge(truth: Truth, answer: Answer) -> Verdict:
    """Judge an answer."""
    if isinstance(truth, Nothing):
        return Verdict("wrong", "read")
    if isinstance(truth, Volumes):
        return _judge_volumes(truth, answer["volumes"])
    if isinstance(truth, Grey):
        return _judge_grey(truth, answer)
    if isinstance(truth, Colour):
        return _judge_colour(truth, answer["colour"])
    return _judge_facts(truth, answer["facts"])


def _judge_volumes(truth: Volumes, volumes: Sequence[Volume]) -> Verdict:
    found = _match(truth.grids, volumes)
    if found.word == "wrong" and truth.instead:
        other = _match(truth.instead, volumes)
        if other.word == "right":
            return Verdict("right", truth.instead[0].label)
    return found


def _match(grids: Sequence[Grid], volumes: Sequence[Volume]) -> Verdict:
    """Find a truth that each answered volume fits; see what is left over."""
    shares = np.zeros(len(grids))
    worst = 0.0
    is_wrong = not volumes
    for volume in volumes:
        errors = np.array([_error(volume, grid) for grid in grids])
        is_fit = errors <= [grid.tolerance for grid in grids]
        worst = max(worst, errors.min())
        is_wrong = is_wrong or not is_fit.any()
        for n in np.flatnonzero(is_fit):
            shares[n] = max(shares[n], _coverage(volume, grids[n]))
    if is_wrong:
        return Verdict("wrong", REASONS.get(worst, f"{worst:.4g}"))
    if shares.min() >= 1:
        return Verdict("right")
    if len(grids) > 1:
        return Verdict("part", f"{int((shares >= 1).sum())} of {len(grids)} volumes")
    return Verdict("part", f"{shares.mean():.0%} of it")


def _error(volume: Volume, grid: Grid) -> float:
    """Return the largest error of the voxels that say something."""
    if not np.isfinite(volume.affine).all():
        return NO_AFFINE
    if abs(np.linalg.det(volume.affine)) < NEGLIGIBLE_MM**3:
        return FLAT
    return _largest(volume, grid) if volume.array.ndim == 3 else FAR


def _largest(volume: Volume, grid: Grid) -> float:
    """Return the largest error of a volume with a sound affine."""
    indices = np.stack(np.indices(volume.array.shape), -1)
    world = (indices @ volume.affine[:3, :3].T + volume.affine[:3, 3]) * RAS_TO_LPS
    values = volume.array.astype(np.float64)
    if any(np.isfinite(values[voxel]) for voxel in grid.unreal):
        return NO_NAN
    is_judged = np.isfinite(values) if grid.unreal else ~np.isnan(values)
    if not is_judged.any():
        return FAR
    is_judged &= _inside(world, grid) | (values != values[is_judged].min())
    meant = world @ grid.moved[:3, :3].T + grid.moved[:3, 3]
    wanted = self_describing(meant) + grid.offset
    return float(np.abs(values - wanted)[is_judged].max())


def _inside(world: Array, grid: Grid) -> Array:
    """Say which points (..., 3) lie between the outermost acquired voxel centres."""
    normal = np.cross(grid.across, grid.down)
    normal /= np.linalg.norm(normal)
    depths = grid.origins @ normal
    depth = world @ normal
    near = (depth >= depths[0] - NEGLIGIBLE_MM) & (depth <= depths[-1] + NEGLIGIBLE_MM)
    start = np.stack(
        [np.interp(depth, depths, grid.origins[:, axis]) for axis in range(3)], -1
    )
    steps = np.linalg.pinv(np.stack([grid.across, grid.down], 1))
    ij = (world - start) @ steps.T
    last = np.array(grid.size) - 1
    return near & ((ij >= -0.03) & (ij <= last + 0.03)).all(-1)


def _coverage(volume: Volume, grid: Grid) -> float:
    """Return the share of acquired voxel centres that an answered volume covers."""
    i, j = np.meshgrid(*(np.arange(n) for n in grid.size), indexing="ij")
    plane = i[..., None] * grid.across + j[..., None] * grid.down
    points = (plane[..., None, :] + grid.origins) * RAS_TO_LPS
    homogeneous = np.concatenate([points, np.ones((*points.shape[:-1], 1))], -1)
    voxel = (homogeneous @ np.linalg.inv(volume.affine).T)[..., :3]
    last = np.array(volume.array.shape) - 1
    share = float(((voxel > -0.51) & (voxel < last + 0.51)).all(-1).mean())
    i, j, k = np.clip(np.rint(voxel).astype(int), 0, last).transpose(3, 0, 1, 2)
    told = float((~np.isnan(volume.array[i, j, k])).mean())
    return share if told >= ENOUGH else told


def _judge_grey(truth: Grey, answer: Answer) -> Verdict:
    """Judge each thing that was answered; a lone answer may be values or display."""
    asked = [name for name in ("values", "voi", "display") if name in answer]
    verdicts = {}
    for name in asked:
        wanted = getattr(truth, name)
        if wanted is not None:
            measure = _value_verdict if name == "values" else _display_verdict
            verdicts[name] = measure(answer[name], wanted)
    if asked == ["values"] and truth.upright is not None:
        shown = _value_verdict(answer["values"], truth.upright)
        if shown.word == "right" and verdicts["values"].word != "right":
            return Verdict("right", "upright")
    bad = {name: v for name, v in verdicts.items() if v.word != "right"}
    if bad:
        return Verdict("wrong", ", ".join(f"{n} {v.detail}" for n, v in bad.items()))
    if truth.padding is not None:
        told = answer.get("padding")
        if told is None or not np.array_equal(told, truth.padding.T):
            return Verdict("part", "padding not told")
    is_one_of_two = len(verdicts) == 1 and truth.display is not None
    return Verdict("right", asked[0] if is_one_of_two else "")


def _value_verdict(found: Array, wanted: Array) -> Verdict:
    """Compare values as they are."""
    if found.shape != wanted.T.shape:
        return Verdict("wrong", f"shape {'x'.join(map(str, found.shape))}")
    error = np.abs(found.astype(np.float64) - wanted.T)
    scale = max(np.abs(wanted).max(), 1.0)
    worst = float(np.nanmax(error)) if not np.isnan(error).all() else FAR
    return Verdict("right" if worst <= 1e-6 * scale else "wrong", f"{worst:.4g}")


def _display_verdict(found: Array, wanted: Array) -> Verdict:
    """Compare brightness up to a rising straight line: a display has no fixed scale."""
    if found.shape != wanted.T.shape:
        return Verdict("wrong", f"shape {'x'.join(map(str, found.shape))}")
    x, y = found.astype(np.float64).ravel(), wanted.T.astype(np.float64).ravel()
    if np.ptp(x) == 0:
        return Verdict("wrong", "all one grey")
    gain, offset = np.polyfit(x, y, 1)
    if gain <= 0:
        return Verdict("wrong", "inverted")
    worst = float(np.abs(gain * x + offset - y).max() / np.ptp(y))
    return Verdict("right" if worst <= DISPLAY_TOLERANCE else "wrong", f"{worst:.0%}")


def _judge_colour(truth: Colour, found: Array) -> Verdict:
    wanted = truth.rgb.transpose(2, 1, 0)
    if found.shape != wanted.shape:
        return Verdict("wrong", f"shape {'x'.join(map(str, found.shape))}")
    is_narrow = found.max() <= 255 < wanted.max()
    levels = found.astype(np.float64) * (257 if is_narrow else 1)
    worst = float(np.abs(levels - wanted).max())
    allowed = max(truth.tolerance, 257 if is_narrow else 0)
    return Verdict("right" if worst <= allowed else "wrong", f"{worst:.4g}")


def _judge_facts(truth: Facts, found: dict[str, str]) -> Verdict:
    lacking = [n for n, word in truth.words.items() if word not in found.get(n, "")]
    if lacking:
        return Verdict("part", f"{', '.join(lacking)} not told")
    return Verdict("right")
