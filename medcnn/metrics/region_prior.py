"""Where lesions usually lie: a map made of other patients' boxes, not of the image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.classes import Clusters, cluster_codes

__all__ = ["CELLS", "Usual", "coverage", "usual_places"]

FloatArray = npt.NDArray[np.float64]

CELLS = 32
"""Cells of the coarse grid along each axis; fewer where an image has fewer pixels."""


@dataclass(frozen=True)
class Usual:
    """What the mean of the other patients' regions reaches on each image, (N,).

    Attributes:
        pointing: Share of its hottest cells that is inside the image's own region.
        energy: Share of its relevance that is inside.
    """

    pointing: FloatArray
    energy: FloatArray


def coverage(region: npt.ArrayLike, *, cells: int = CELLS) -> FloatArray:
    """Return which share of each cell of a coarse grid a region covers, exactly.

    Args:
        region: True inside, any shape, not empty.
        cells: Along each axis; an axis of length 1 keeps one.

    Examples:
        >>> coverage([[True, False, False]], cells=2).round(3).tolist()
        [[0.667, 0.0]]
    """
    found = np.asarray(region)
    for axis, size in enumerate(found.shape):
        new = cells if size > 1 else 1
        lines = np.moveaxis(found, axis, 0)
        gathered = np.zeros((new, *lines.shape[1:]))
        for cell, line, share in _shares(size, new):
            gathered[cell] += share * lines[line]
        found = np.moveaxis(gathered, 0, axis)
    return np.asarray(found, np.float64)


def usual_places(covered: Sequence[FloatArray], cluster: Clusters) -> Usual:
    """Judge each image's region by the mean of the other patients' regions.

    Each other patient counts once, however many images there are. A heatmap that is no
    better than this may show where lesions usually are, and nothing of the image.

    Args:
        covered: `coverage` of each image's region, all of one shape.
        cluster: Which patient each image is of, (N,), or None: each its own.

    Raises:
        UndefinedMetricError: If there is one patient only.
    """
    codes = cluster_codes(cluster, len(covered))
    patients = int(codes.max(initial=-1)) + 1
    if patients < 2:
        msg = f"{patients} patient: there are no others' regions"
        raise UndefinedMetricError(msg)
    cells = np.stack(covered).reshape(len(covered), -1)
    means = np.zeros((patients, cells.shape[1]))
    np.add.at(means, codes, cells)
    means /= np.bincount(codes)[:, None]
    others = (means.sum(axis=0) - means)[codes]
    hottest = others >= others.max(axis=1, keepdims=True) * (1 - 1e-9)
    return Usual(
        pointing=(cells * hottest).sum(axis=1) / hottest.sum(axis=1),
        energy=(cells * others).sum(axis=1) / others.sum(axis=1),
    )


def _shares(size: int, new: int) -> Iterator[tuple[int, int, float]]:
    """Yield (cell, line, share of the cell that the line fills), where it is not 0."""
    edges = np.linspace(0, size, new + 1)
    for cell in range(new):
        low, high = edges[cell], edges[cell + 1]
        for line in range(int(low), min(int(np.ceil(high)), size)):
            part = min(high, line + 1) - max(low, line)
            if part > 0:
                yield cell, line, part / (high - low)
