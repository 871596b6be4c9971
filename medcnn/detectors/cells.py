"""From a feature map to the places that a detector compares."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from scipy.ndimage import uniform_filter

__all__ = ["DetectorSpec", "Places", "places_for", "top_mean"]

FloatArray = npt.NDArray[Any]

_MOST_A_SIDE = 16


class DetectorSpec(BaseModel):
    """What bundle.json says of a detector; its numbers are in detector.safetensors.

    Attributes:
        kind: Which one.
        grid: Places of the anomaly map, (rows, columns) or (slices, rows, columns).
        step: Cells of the feature map from one place to the next.
        top: Share of the places, the most unusual ones, whose mean is the score.
        normals: Images that it was fitted to.
        held_out: Normal images that the thresholds are percentiles of.
        percentile: Of those, the share below the flag threshold.
        body: What the network was trained on before, in words.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["padim", "patchcore"]
    grid: tuple[PositiveInt, ...] = Field(min_length=2, max_length=3)
    step: int = Field(ge=1)
    top: float = Field(gt=0, le=1)
    normals: int = Field(ge=1)
    held_out: int = Field(ge=0)
    percentile: float = Field(gt=0.5, lt=1)
    body: str


@dataclass(frozen=True)
class Places:
    """How a feature map becomes places.

    Attributes:
        grid: Places on each axis.
        step: Cells from one place to the next.
    """

    grid: tuple[int, ...]
    step: int

    @property
    def count(self) -> int:
        """Number of places, P."""
        return int(np.prod(self.grid))

    def of(self, features: FloatArray) -> FloatArray:
        """Return each place's feature vector, (P, F), the mean of its neighbourhood.

        Args:
            features: (F, h, w) or (F, d, h, w).

        References:
            [1] Roth et al., Towards total recall in industrial anomaly detection, CVPR
                2022, section 3.1: neighbourhoods of three cells a side.
        """
        size = max(3, self.step + 1 - self.step % 2)
        around = (1, *[size] * (features.ndim - 1))
        mean = uniform_filter(features.astype(np.float32), around, mode="nearest")
        first = self.step // 2
        some = (slice(None), *[slice(first, None, self.step)] * (features.ndim - 1))
        return np.ascontiguousarray(mean[some].reshape(len(features), -1).T)


def places_for(features: FloatArray) -> Places:
    """Return the places of such feature maps: at most 16 on a side."""
    sides = features.shape[1:]
    step = -(-max(sides) // _MOST_A_SIDE)
    grid = tuple(len(range(step // 2, side, step)) for side in sides)
    return Places(grid, step)


def top_mean(values: FloatArray, share: float) -> float:
    """Return the mean of the highest values, a share of all, at least one.

    Examples:
        >>> top_mean(np.array([1.0, 5.0, 3.0, 2.0]), 0.5)
        4.0
    """
    flat = np.sort(np.asarray(values, np.float64), axis=None)
    count = max(1, round(share * flat.size))
    return float(flat[-count:].mean())
