"""The input gate: is this an image that the model was made for?

Three looks, each a reason in words: what the file says of itself (modality, body part,
view), what the pixels are (size, colour, content), and how far the network's feature
vector lies from those of the training images.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from medcnn.errors import DataError
from medcnn.image import Image

__all__ = ["FeatureModel", "GateRules", "look_at_facts", "look_at_features"]

FloatArray = npt.NDArray[Any]


class GateRules(BaseModel):
    """What a file may say of itself; a fact that is not stated is not held against it.

    Attributes:
        modalities: Accepted (0008,0060) codes.
        body_parts: Accepted words within (0018,0015) Body Part Examined.
        refused_views: (0018,5101) View Position codes that are refused.
        min_side: Fewest rows and columns.
        max_aspect: Longest side over shortest.
        colour: Whether true colour (channels that differ) is accepted.
        ood_limit: Largest accepted distance of the feature vector.
        ood_quantile: The share of held-out training images below that limit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    refused_views: tuple[str, ...] = ()
    min_side: int = Field(default=64, ge=1)
    max_aspect: float = Field(default=2.5, ge=1)
    colour: bool = False
    ood_limit: float | None = None
    ood_quantile: float | None = None


def look_at_facts(rules: GateRules, image: Image, *, dims: int) -> str:
    """Return why the image is out of scope by what it says and is, or "".

    Args:
        rules: What the bundle accepts.
        image: The image as loaded.
        dims: 2 or 3, what the model takes.
    """
    checks = (_wrong_dims, _wrong_modality, _wrong_body_part, _wrong_view)
    for check in checks:
        reason = check(rules, image, dims)
        if reason:
            return reason
    return _wrong_pixels(rules, image)


def _wrong_dims(_rules: GateRules, image: Image, dims: int) -> str:
    if image.dims == dims:
        return ""
    i, j, k = image.shape
    return f"the model takes {dims}-D images, this is {image.dims}-D ({i} x {j} x {k})"


def _wrong_modality(rules: GateRules, image: Image, _dims: int) -> str:
    if not rules.modalities or image.modality is None:
        return ""
    if image.modality in rules.modalities:
        return ""
    accepted = ", ".join(rules.modalities)
    return f"modality {image.modality}, the model takes {accepted}"


def _wrong_body_part(rules: GateRules, image: Image, _dims: int) -> str:
    part = image.facts.get("body_part", "").strip().upper()
    if not rules.body_parts or not part:
        return ""
    if any(accepted in part for accepted in rules.body_parts):
        return ""
    return f"body part {part}, the model takes {', '.join(rules.body_parts)}"


def _wrong_view(rules: GateRules, image: Image, _dims: int) -> str:
    view = image.facts.get("view", "").strip().upper()
    if view and view in rules.refused_views:
        return f"view {view}, which the model was not trained on"
    return ""


def _wrong_pixels(rules: GateRules, image: Image) -> str:
    columns, rows, _ = image.shape
    if min(columns, rows) < rules.min_side:
        return f"{columns} x {rows} pixels, at least {rules.min_side} a side are needed"
    aspect = max(columns, rows) / min(columns, rows)
    if aspect > rules.max_aspect:
        return f"{columns} x {rows} pixels: aspect {aspect:.1f} is not a radiograph's"
    if image.channels > 1 and not rules.colour:
        return "a colour image, the model takes grey ones"
    if image.array.min() == image.array.max():
        return "a blank image: every pixel has the same value"
    return ""


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
