"""How far a feature vector lies from those of the training images."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.errors import DataError
from medcnn.gate.rules import GateRules

__all__ = ["FeatureModel", "look_at_features"]

FloatArray = npt.NDArray[Any]


class FeatureModel:
    """A Gaussian of the training images' feature vectors, by probabilistic PCA.

    The covariance is that of the leading directions plus one variance for all others,
    which can be inverted however few the images are. The distance is Mahalanobis',
    divided by the square root of the number of features: about 1 for training images.

    Args:
        mean: (F,).
        directions: Orthonormal rows, (D, F).
        variances: Variance along each direction, (D,), > 0.
        residual: Variance along every other direction, > 0.

    References:
        [1] Tipping & Bishop, Probabilistic principal component analysis, J. R.
            Statist. Soc. B 61 (1999) 611-622, equation 7 and section 3.2.
        [2] Lee et al., A simple unified framework for detecting out-of-distribution
            samples, NeurIPS 2018.
    """

    def __init__(
        self,
        mean: FloatArray,
        directions: FloatArray,
        variances: FloatArray,
        residual: float,
    ) -> None:
        self.mean = np.asarray(mean, np.float64)
        self.directions = np.asarray(directions, np.float64)
        self.variances = np.asarray(variances, np.float64)
        self.residual = float(residual)

    @classmethod
    def fit(cls, features: FloatArray, *, directions: int = 64) -> "FeatureModel":
        """Fit it to feature vectors of shape (N, F), N > directions.

        Raises:
            DataError: If there are too few images.
        """
        count, size = features.shape
        if count <= directions or size <= directions:
            msg = f"{count} images of {size} features are too few for {directions}"
            raise DataError(msg)
        mean = features.mean(axis=0, dtype=np.float64)
        _, scales, rows = np.linalg.svd(features - mean, full_matrices=False)
        variances = scales**2 / (count - 1)
        rest = variances[directions:].sum() / (size - directions)
        floor = max(rest, 1e-12)
        leading = np.maximum(variances[:directions], floor)
        return cls(mean, rows[:directions], leading, floor)

    def distance(self, features: FloatArray) -> FloatArray:
        """Return the distance of each feature vector, shape (N,) for (N, F)."""
        centred = np.asarray(features, np.float64) - self.mean
        along = centred @ self.directions.T
        total = (centred**2).sum(axis=1)
        beside = np.maximum(total - (along**2).sum(axis=1), 0)
        squared = (along**2 / self.variances).sum(axis=1) + beside / self.residual
        return np.asarray(np.sqrt(squared / self.mean.size))

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return what a bundle stores."""
        return {
            "mean": self.mean.astype(np.float32),
            "directions": self.directions.astype(np.float32),
            "variances": self.variances.astype(np.float32),
            "residual": np.array([self.residual], np.float32),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, FloatArray]) -> "FeatureModel":
        """Make it from what a bundle stores.

        Raises:
            DataError: If an array is missing, or its shape or values make no sense.
        """
        names = ("mean", "directions", "variances", "residual")
        missing = [name for name in names if name not in arrays]
        if missing:
            msg = f"the gate's statistics lack {', '.join(missing)}"
            raise DataError(msg)
        mean, directions, variances, residual = (arrays[name] for name in names)
        expected = (mean.size,), (variances.size, mean.size), (variances.size,), (1,)
        fits = all(arrays[n].shape == s for n, s in zip(names, expected, strict=True))
        spreads = np.concatenate([variances.ravel(), residual.ravel()])
        if not fits or not (np.isfinite(spreads) & (spreads > 0)).all():
            msg = "the gate's statistics do not fit each other, or are not positive"
            raise DataError(msg)
        return cls(mean, directions, variances, float(residual[0]))


def look_at_features(rules: GateRules, distance: float | None) -> str:
    """Return why a feature distance is out of scope, or ""."""
    if distance is None or rules.ood_limit is None:
        return ""
    if math.isfinite(distance) and distance <= rules.ood_limit:
        return ""
    return (
        f"unlike the training images: feature distance {distance:.2f}, "
        f"the limit is {rules.ood_limit:.2f}"
    )
