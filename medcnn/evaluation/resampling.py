"""Curves of resampled patients: every case is ranked once, then only counted anew."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["FEWEST", "Counts", "Ranked", "band", "draw", "resample", "samples_for"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

FEWEST = 20
"""Samples with both classes below which no band is given."""

_SAMPLES = 500
_LARGE = 100_000
_SAMPLES_OF_LARGE = 100


@dataclass(frozen=True, eq=False)
class Counts:
    """True and false calls at each distinct score, from the highest on, (T,)."""

    true: FloatArray
    false: FloatArray

    @property
    def both(self) -> tuple[FloatArray, FloatArray]:
        """True and false calls."""
        return self.true, self.false

    @property
    def has_both(self) -> bool:
        """Whether there are diseased and healthy."""
        return bool(self.true[-1] > 0 and self.false[-1] > 0)


Row = Callable[[Counts], FloatArray]
"""What is wanted of a sample, (K,)."""


@dataclass(frozen=True, eq=False)
class Ranked:
    """Cases by falling score.

    Attributes:
        truth: (N,).
        cluster: Number of each case's cluster, 0, 1, 2 ..., (N,).
        ends: The last case of each run of equal scores, (T,).
        scores: The distinct scores, falling, (T,).
    """

    truth: FloatArray
    cluster: IntArray
    ends: IntArray
    scores: FloatArray

    @classmethod
    def of(cls, truth: FloatArray, score: FloatArray, cluster: IntArray) -> "Ranked":
        """Rank cases: 1 or 0 (N,), scores (N,), numbers of clusters (N,)."""
        order = np.argsort(-score, kind="stable")
        falling = score[order]
        ends = np.append(np.flatnonzero(np.diff(falling)), falling.size - 1)
        return cls(truth[order], cluster[order], ends, falling[ends])

    @property
    def clusters(self) -> int:
        """How many clusters there are."""
        return int(self.cluster.max()) + 1

    def counts(self, drawn: FloatArray | None = None) -> Counts:
        """Count calls; `drawn` says how often each cluster counts, None: once."""
        weight = np.ones(self.truth.size) if drawn is None else drawn[self.cluster]
        called = np.cumsum(weight)[self.ends]
        true = np.cumsum(weight * self.truth)[self.ends]
        return Counts(true, called - true)


def samples_for(cases: int) -> int:
    """Return how many samples the curves of so many cases get."""
    return _SAMPLES if cases <= _LARGE else _SAMPLES_OF_LARGE


def resample(
    ranked: Ranked, wanted: Sequence[Row], samples: int, rng: np.random.Generator
) -> list[FloatArray]:
    """Draw clusters with replacement, and return what is wanted of each sample.

    Samples without both classes are left out.

    Args:
        ranked: The cases.
        wanted: What is asked of each sample.
        samples: How many are drawn.
        rng: Draws them.

    Returns:
        For each of `wanted` its rows, (S, K).

    References:
        [1] Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    rows: list[list[FloatArray]] = [[] for _ in wanted]
    for _ in range(samples):
        counts = ranked.counts(draw(ranked.clusters, rng))
        if counts.has_both:
            for found, row in zip(rows, wanted, strict=True):
                found.append(row(counts))
    return [np.array(found) if found else np.empty((0, 0)) for found in rows]


def draw(clusters: int, rng: np.random.Generator) -> FloatArray:
    """Return how often each cluster was drawn, of as many draws, (clusters,)."""
    drawn = rng.integers(0, clusters, clusters)
    return np.bincount(drawn, minlength=clusters).astype(np.float64)


def band(rows: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Return the middle 95 % of samples (S, K) at each of K points; None for few."""
    if len(rows) < FEWEST:
        return None
    low, high = np.percentile(rows, [2.5, 97.5], axis=0)
    return low, high
