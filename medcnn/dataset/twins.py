"""Find images that are the same, or nearly, among all of a data set.

Measured on 1,992 chest radiographs of 1,228 adults (NIH), which look more alike than
most images do: of 1,980,737 pairs of different patients none has small pictures that
correlate above 0.97, and none is called a twin. Of copies of 300 of them, all are found
that were compressed to JPEG quality 20, resized to 64 to 544 pixels, made noisier or
changed in contrast or gamma, and those cropped by a hundredth of the side only in part:
docs/training.md has the table.
"""

import os
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medcnn.dataset.looks import Looks

__all__ = ["LEAST_CORRELATION", "MOST_BITS", "Twin", "find_twins", "joined"]

MOST_BITS = 8
"""Bits of 64 in which the patterns of copies may differ."""

LEAST_CORRELATION = 0.99
"""Correlation that the small pictures of copies have at least."""

_ROWS, _COLUMNS = 64, 4096
_PAIRS = 4096
_MOST_CANDIDATES = 4_000_000
_SAMPLED = 2000
_Pairs = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]


@dataclass(frozen=True, order=True)
class Twin:
    """Two images that are the same, or nearly.

    Attributes:
        first: The one that stands first in the table, from 0.
        second: The other one.
        correlation: Of their small pictures; 1 if all their pixels are the same.
        identical: Whether all their pixels are the same.
    """

    first: int
    second: int
    correlation: float
    identical: bool


def find_twins(looks: Looks) -> tuple[Twin, ...]:
    """Return all pairs of images that are the same, or nearly.

    Of images that are the same each is paired with the first of them. Flat images show
    nothing, and are no twins of each other.
    """
    shows = np.flatnonzero(looks.small.any(axis=1))
    same: dict[str, list[int]] = defaultdict(list)
    for n in shows.tolist():
        same[looks.checksums[n]].append(n)
    found = [
        Twin(group[0], other, 1.0, identical=True)
        for group in same.values()
        for other in group[1:]
    ]
    alone = np.array([group[0] for group in same.values()], dtype=np.intp)
    found += _near(looks, alone)
    return tuple(sorted(found))


def joined(twins: tuple[Twin, ...], count: int) -> tuple[str, ...]:
    """Return one name for each image, the same for all that twins connect."""
    parent = list(range(count))

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    for twin in twins:
        first, second = sorted((root(twin.first), root(twin.second)))
        parent[second] = first
    return tuple(str(root(n)) for n in range(count))


def _near(looks: Looks, chosen: npt.NDArray[np.intp]) -> list[Twin]:
    """Return pairs among the chosen images whose looks are nearly the same."""
    if len(chosen) < 2:
        return []
    patterns, small = looks.patterns[chosen], looks.small[chosen]
    bits = _radius(patterns)

    def of_block(start: int) -> list[Twin]:
        found = []
        for first, second in _candidates(patterns, start, bits):
            a, b = _standardised(small[first]), _standardised(small[second])
            correlation = np.einsum("ij,ij->i", a, b)
            for n in np.flatnonzero(correlation >= LEAST_CORRELATION):
                i, j = sorted((int(chosen[first[n]]), int(chosen[second[n]])))
                found.append(Twin(i, j, float(correlation[n]), identical=False))
        return found

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = pool.map(of_block, range(0, len(chosen), _ROWS))
        return [twin for part in parts for twin in part]


def _candidates(
    patterns: npt.NDArray[np.uint64], start: int, bits: int
) -> Iterator[_Pairs]:
    """Yield pairs (first, second) whose patterns differ in few bits.

    `first` is in the block that begins at `start`, and before `second`.
    """
    block = patterns[start : start + _ROWS, None]
    for other in range(start, len(patterns), _COLUMNS):
        differ = np.bitwise_count(block ^ patterns[None, other : other + _COLUMNS])
        rows, columns = np.nonzero(differ <= bits)
        first, second = rows + start, columns + other
        wanted = first < second
        first, second = first[wanted], second[wanted]
        for at in range(0, len(first), _PAIRS):
            yield first[at : at + _PAIRS], second[at : at + _PAIRS]


def _radius(patterns: npt.NDArray[np.uint64]) -> int:
    """Return in how many bits copies may differ: fewer where all images are alike.

    Pictures of one round cell have nearly the same pattern; comparing every pair of
    100,000 closely would take hours.
    """
    step = max(len(patterns) // _SAMPLED, 1)
    some = patterns[::step]
    differ = np.bitwise_count(some[:, None] ^ some[None])
    pairs = len(patterns) ** 2 / 2
    for bits in range(MOST_BITS, 0, -1):
        share = ((differ <= bits).sum() - len(some)) / max(
            len(some) ** 2 - len(some), 1
        )
        if share * pairs <= _MOST_CANDIDATES:
            return bits
    return 0


def _standardised(small: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return small pictures with mean 0 and length 1, (N, numbers)."""
    values = small.astype(np.float32)
    values -= values.mean(1, keepdims=True)
    length = np.sqrt((values**2).sum(1, keepdims=True))
    return np.asarray(values / np.maximum(length, 1e-6), np.float32)
