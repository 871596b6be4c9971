"""PatchCore: how far the nearest of all places of normal images is.

References:
    [1] Roth et al., Towards total recall in industrial anomaly detection, CVPR 2022,
        section 3. [2] Sener & Savarese, Active learning for convolutional neural
        networks: a core-set approach, ICLR 2018: the greedy choice.
    [3] Johnson & Lindenstrauss, Contemp. Math. 26 (1984) 189-206: random projections
        keep distances.
"""

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from medcnn.errors import DataError

__all__ = ["PatchCore", "PatchCoreFit", "coreset"]

FloatArray = npt.NDArray[Any]

DIMENSIONS = 128
"""Of the random projection in which places are compared."""

BANK = 2000
"""Places that are kept."""

CANDIDATES = 50_000
"""Places that they are chosen from, the same number of every image."""


class PatchCore:
    """Distance to the nearest place of a memory bank.

    Args:
        project: (F, d).
        bank: (K, d).
    """

    names: ClassVar = ("project", "bank")

    def __init__(self, project: FloatArray, bank: FloatArray) -> None:
        self._project = project
        self._bank = bank
        self._squares = (bank.astype(np.float64) ** 2).sum(axis=-1)

    @property
    def features(self) -> int:
        """Channels of the feature map that it takes."""
        return len(self._project)

    def fits(self, places: int) -> bool:  # noqa: ARG002 - the bank knows no places
        """Say whether the arrays fit each other."""
        shapes = self._project.ndim, self._bank.ndim
        return (
            shapes == (2, 2)
            and self._project.shape[1] == self._bank.shape[1]
            and len(self._bank) >= 1
            and bool(np.isfinite(self._project).all() and np.isfinite(self._bank).all())
        )

    def unusual(self, places: FloatArray) -> FloatArray:
        """Return how far each place is from the nearest in the bank, (P,)."""
        seen = places @ self._project
        cross = seen @ self._bank.T
        own = (seen.astype(np.float64) ** 2).sum(axis=1)
        nearest = (self._squares - 2.0 * cross).min(axis=1) + own
        return np.asarray(np.sqrt(np.maximum(nearest, 0)))

    def arrays(self) -> dict[str, FloatArray]:
        """Return what a bundle stores."""
        return {"project": self._project, "bank": self._bank}


class PatchCoreFit:
    """Takes in normal images one by one.

    Args:
        features: Channels of the feature map.
        images: How many images there will be.
        rng: Draws projection and places.
    """

    def __init__(self, features: int, images: int, rng: np.random.Generator) -> None:
        size = min(DIMENSIONS, features)
        drawn = rng.normal(size=(features, size)) / np.sqrt(size)
        self._project = drawn.astype(np.float32)
        self._each = max(1, CANDIDATES // max(images, 1))
        self._rng = rng
        self._found: list[FloatArray] = []

    def add(self, places: FloatArray) -> None:
        """Take in an image's places, (P, F)."""
        some = self._rng.permutation(len(places))[: self._each]
        self._found.append(places[np.sort(some)] @ self._project)

    def fitted(self) -> PatchCore:
        """Return the detector.

        Raises:
            DataError: If there was no image.
        """
        if not self._found:
            msg = "no normal image: there is nothing to be like"
            raise DataError(msg, hint="Add normal images.")
        every = np.concatenate(self._found)
        chosen = coreset(every, BANK, first=int(self._rng.integers(len(every))))
        return PatchCore(self._project, every[np.sort(chosen)])


def coreset(points: FloatArray, size: int, *, first: int = 0) -> npt.NDArray[np.intp]:
    """Choose points so that every point is near one: greedily the farthest of all.

    The largest distance to the nearest chosen one is at most twice the least possible.

    Args:
        points: (N, d).
        size: How many; all if there are fewer.
        first: Which one to begin with.

    Returns:
        Indices in the order of the choice.
    """
    values = np.asarray(points, np.float32)
    squares = np.einsum("nd,nd->n", values, values)
    count = min(size, len(values))
    chosen = np.empty(count, np.intp)
    nearest = np.full(len(values), np.inf, np.float32)
    at = first
    for n in range(count):
        chosen[n] = at
        away = squares + squares[at] - 2 * (values @ values[at])
        np.minimum(nearest, away, out=nearest)
        nearest[at] = -1
        at = int(nearest.argmax())
    return chosen
