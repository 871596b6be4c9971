"""The means of a picture's cells, estimated from the fewer samples that a codec gave.

A codec that leaves out detail does not give means: the low-pass of its wavelets weighs
a full sample by where it lies, some of them negatively, and keeps contrast that a mean
would lose. Both are sums of full samples with known weights, along rows and columns in
turn, so that the best guess of the one from the other is known too: the linear estimate
of least mean square error, for pictures whose neighbouring samples correlate as they
usually do. It is exact for flat parts, and where a mean's weights are those of samples.

References:
    [1] ITU-T T.800 F.3.8: the 5/3 and 9/7 wavelets; low-pass with gain 1.
    [2] Kay, Fundamentals of Statistical Signal Processing 1, 12.5: linear estimation.
    [3] Jain, Fundamentals of Digital Image Processing, 2.9: separable Markov model.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Grid", "Kernel", "Samples", "cell_means", "kernel_of"]

Pixels = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]
Kernel = Literal["5/3", "9/7", "mean"]

_HALVES: dict[str, tuple[float, ...]] = {
    "5/3": (3 / 4, 1 / 4, -1 / 8),
    "9/7": (
        0.6029490182363579,
        0.2668641184428723,
        -0.07822326652898785,
        -0.01686411844287495,
        0.02674875741080976,
    ),
}
_CORRELATION = 0.98
"""Between one full sample and the next."""

_UNKNOWN_MEAN = 1e4
"""Variance of a picture's mean, in variances of its samples: nothing is known of it."""

_MORE = 5
"""Samples that are looked at besides those that lie in a cell."""

_STEADY = 1e-9
_FINEST = 64


@dataclass(frozen=True)
class Samples:
    """What the samples of a codec that left out detail are.

    Attributes:
        power: How often it halved the picture.
        kernel: How a sample comes from full ones: by wavelets, where it lies on the
            first of those that it stands for, or as their mean.
    """

    power: int
    kernel: Kernel

    @property
    def apart(self) -> int:
        """Full samples from one to the next."""
        return 1 << self.power


@dataclass(frozen=True)
class Grid:
    """Equal cells side by side, from the top left corner of a picture on.

    Attributes:
        shape: (rows, columns) of cells.
        cell: (rows, columns) of full samples in each; the last may be cut off.
    """

    shape: tuple[int, int]
    cell: tuple[float, float]

    @classmethod
    def of_squares(cls, side: int, picture: tuple[int, int]) -> "Grid":
        """Cover a picture of (rows, columns) with squares."""
        rows, columns = (-(-n // side) for n in picture)
        return cls((rows, columns), (side, side))

    @classmethod
    def of_shape(cls, shape: tuple[int, int], picture: tuple[int, int]) -> "Grid":
        """Divide a picture of (rows, columns) into so many cells."""
        return cls(shape, (picture[0] / shape[0], picture[1] / shape[1]))


def kernel_of(*, is_dct: bool, is_reversible: bool) -> Kernel:
    """Return how a codec makes few samples of many; scaled JPEGs are means."""
    if is_dct:
        return "mean"
    return "5/3" if is_reversible else "9/7"


def cell_means(
    values: Pixels, samples: Samples, grid: Grid, picture: tuple[int, int]
) -> Pixels:
    """Estimate the means of cells of the full picture.

    Args:
        values: What the codec's samples mean, (rows, columns).
        samples: What they are.
        grid: The cells.
        picture: (rows, columns) of the full picture.

    Returns:
        As many as the grid has cells, none beyond the values; whole numbers if these
        are and have more than 8 bits, else float32 in steps of 1/64, so that flat parts
        stay flat.
    """
    found = values.astype(np.float32)
    for axis in (0, 1):
        places, shares = _shares(
            samples, grid.shape[axis], grid.cell[axis], picture[axis]
        )
        found = _along_rows(found, places, shares).T
    found = np.clip(found, values.min(), values.max())
    kind = values.dtype
    if kind.kind in "iu" and kind.itemsize > 1:
        return np.rint(found).astype(kind)
    return np.asarray(np.rint(found * _FINEST) / _FINEST, dtype=np.float32)


def _along_rows(
    values: Pixels, places: npt.NDArray[np.int64], shares: npt.NDArray[np.float32]
) -> Pixels:
    """Return sums of rows, (cells, columns): of those at `places`, in their shares."""
    found = np.zeros((len(places), values.shape[1]), np.float32)
    values = np.ascontiguousarray(values)
    for at, share in zip(places.T, shares.T, strict=True):
        found += share[:, None] * values[at]
    return found


@lru_cache(maxsize=32)
def _shares(
    samples: Samples, count: int, width: float, length: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return which samples along an axis make a cell's mean, and in what shares.

    Args:
        samples: What the samples are.
        count: How many cells there are.
        width: Full samples in a cell.
        length: Full samples there are.

    Returns:
        Places of samples and their shares, both (cells, samples looked at).
    """
    edges = np.minimum(width * np.arange(count + 1), length) - 0.5
    weights, first = _weights(samples)
    apart = samples.apart
    looked_at = math.ceil(width / apart) + _MORE
    middle = (edges[:-1] + edges[1:]) / 2 - (first + (len(weights) - 1) / 2)
    begin = np.rint(middle / apart - (looked_at - 1) / 2).astype(np.int64)
    span = apart * (looked_at - 1) + len(weights)
    made = np.zeros((looked_at, span))
    for n in range(looked_at):
        made[n, n * apart : n * apart + len(weights)] = weights
    place = first + np.arange(span)
    alike = _CORRELATION ** np.abs(place[:, None] - place) + _UNKNOWN_MEAN
    low, high = (side - apart * begin for side in (edges[:-1], edges[1:]))
    inside = np.minimum(high[:, None], place + 0.5) - np.maximum(
        low[:, None], place - 0.5
    )
    wanted = np.clip(inside, 0, None) / (high - low)[:, None]
    both = made @ alike @ made.T + _STEADY * np.eye(looked_at)
    shares = np.linalg.solve(both, made @ alike @ wanted.T).T
    shares /= shares.sum(axis=1, keepdims=True)
    places = begin[:, None] + np.arange(looked_at)
    return _mirrored(places, samples, length), shares.astype(np.float32)


def _weights(samples: Samples) -> tuple[FloatArray, int]:
    """Return the weights of the full samples that make one, and where they begin."""
    if samples.kernel == "mean":
        return np.full(samples.apart, 1 / samples.apart), 0
    half = _HALVES[samples.kernel]
    low_pass = np.array([*half[:0:-1], *half])
    weights = np.ones(1)
    for level in range(samples.power):
        spread = np.zeros(((len(low_pass) - 1) << level) + 1)
        spread[:: 1 << level] = low_pass
        weights = np.convolve(weights, spread)
    return weights, -(len(weights) // 2)


def _mirrored(
    places: npt.NDArray[np.int64], samples: Samples, length: int
) -> npt.NDArray[np.int64]:
    """Put samples beyond the edges where the codec's own mirrors have them."""
    apart = samples.apart
    have = -(-length // apart)
    if samples.kernel == "mean":
        places = np.where(places < 0, -1 - places, places)
        places = np.where(places >= have, 2 * have - 1 - places, places)
    else:
        places = np.abs(places)
        back = np.rint((2 * (length - 1) - apart * places) / apart).astype(np.int64)
        places = np.where(places >= have, back, places)
    return np.clip(places, 0, have - 1)
