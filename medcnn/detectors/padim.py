"""PaDiM: at every place a Gaussian of what normal images hold there.

References:
    [1] Defard et al., PaDiM: a patch distribution modeling framework for anomaly
        detection and localization, ICPR 2020 workshops, section 3.
"""

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from medcnn.errors import DataError

__all__ = ["Padim", "PadimFit"]

FloatArray = npt.NDArray[Any]

CHANNELS = 100
"""Channels that are drawn by chance: as in [1], where 100 of 448 do as well as all."""

_SHRINK = 0.1
"""Share of the mean variance in each covariance; chosen as docs/detectors.md says."""


class Padim:
    """The distance of Mahalanobis at each place, over the root of its dimensions.

    Args:
        channels: Which channels of the feature map count, (d,), after the number of all
            of them: (d + 1,).
        mean: (P, d).
        whiten: (P, d, d): lower triangular, what makes each place's covariance one.
    """

    names: ClassVar = ("channels", "mean", "whiten")

    def __init__(
        self, channels: FloatArray, mean: FloatArray, whiten: FloatArray
    ) -> None:
        self._all = channels
        self._mean = mean
        self._whiten = whiten

    @property
    def features(self) -> int:
        """Channels of the feature map that it takes."""
        return int(self._all[0])

    def fits(self, places: int) -> bool:
        """Say whether the arrays fit each other, and so many places."""
        size = self._all.size - 1
        shapes = self._mean.shape, self._whiten.shape
        return (
            self._all.ndim == 1
            and self._all.dtype.kind in "iu"
            and shapes == ((places, size), (places, size, size))
            and size >= 1
            and bool((self._all[1:] < self._all[0]).all() and (self._all >= 0).all())
            and bool(np.isfinite(self._mean).all() and np.isfinite(self._whiten).all())
        )

    def unusual(self, places: FloatArray) -> FloatArray:
        """Return how unusual each place is, (P,), about 1 where it is normal."""
        away = places[:, self._all[1:]] - self._mean
        along = np.matmul(self._whiten, away[:, :, None])[:, :, 0]
        return np.asarray(np.sqrt((along**2).mean(axis=1)))

    def arrays(self) -> dict[str, FloatArray]:
        """Return what a bundle stores."""
        return {"channels": self._all, "mean": self._mean, "whiten": self._whiten}


class PadimFit:
    """Takes in normal images one by one.

    Args:
        features: Channels of the feature map.
        places: Number of places.
        rng: Draws the channels.
    """

    def __init__(self, features: int, places: int, rng: np.random.Generator) -> None:
        size = min(CHANNELS, features)
        drawn = np.sort(rng.permutation(features)[:size])
        self._channels = np.concatenate([[features], drawn]).astype(np.int32)
        self._count = 0
        self._first = np.zeros((places, size))
        self._sum = np.zeros((places, size))
        self._square = np.zeros((places, size, size))

    def add(self, places: FloatArray) -> None:
        """Take in an image's places, (P, F)."""
        values = places[:, self._channels[1:]].astype(np.float64)
        if not self._count:
            self._first = values  # keeps the sums of squares small
        values = values - self._first
        self._count += 1
        self._sum += values
        self._square += values[:, :, None] * values[:, None, :]

    def fitted(self) -> Padim:
        """Return the detector.

        Raises:
            DataError: If there were fewer than two images.
        """
        if self._count < 2:
            msg = f"{self._count} normal images are too few for a distribution"
            raise DataError(msg, hint="Add normal images.")
        mean = self._sum / self._count
        outer = mean[:, :, None] * mean[:, None, :]
        spread = (self._square - self._count * outer) / (self._count - 1)
        size = mean.shape[1]
        level = np.trace(spread, axis1=1, axis2=2) / size
        level = np.maximum(level, 1e-3 * max(level.mean(), 1e-12))
        eye = np.eye(size)[None] * level[:, None, None]
        steady = (1 - _SHRINK) * spread + _SHRINK * eye
        whiten = np.linalg.inv(np.linalg.cholesky(steady))
        centre = (mean + self._first).astype(np.float32)
        return Padim(self._channels, centre, whiten.astype(np.float32))
