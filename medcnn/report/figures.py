"""The report's drawings, as SVG without style attributes: its page forbids them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

from medcnn.results import Band

__all__ = ["Column", "Histogram", "Part", "Stop", "gradient", "histogram"]

BINS = 50
WIDTH, HEIGHT = 500.0, 140.0
"""Size of the histogram's field in SVG units."""

_ROUND = (1, 2, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True)
class Part:
    """A rectangle of a column: the images of one band in one bin."""

    band: str
    y: float
    height: float


@dataclass(frozen=True)
class Column:
    """One bin of a histogram.

    Attributes:
        x: Left edge.
        width: Without the gap to its neighbour.
        words: What it holds.
        parts: One for each band that is in it, from below.
    """

    x: float
    width: float
    words: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Histogram:
    """How often which probability was given.

    Attributes:
        columns: One for each bin that is not empty.
        top: The count at the field's upper edge.
        review: x of the review threshold.
        flag: x of the flag threshold.
        total: All images in it.
    """

    columns: tuple[Column, ...]
    top: int
    review: float
    flag: float
    total: int
    width: float = WIDTH
    height: float = HEIGHT


@dataclass(frozen=True)
class Stop:
    """A colour of a gradient.

    Attributes:
        offset: 0 to 1.
        colour: "#rrggbb".
        opacity: 0 to 1.
    """

    offset: float
    colour: str
    opacity: float


def histogram(
    scores: Sequence[tuple[float, Band]], *, review: float, flag: float
) -> Histogram:
    """Count numbers from 0 to 1 in 50 equal bins, stacked by band.

    Args:
        scores: Number, 0 to 1, and band of each image.
        review: The review threshold.
        flag: The flag threshold.
    """
    counts: list[dict[Band, int]] = [dict.fromkeys(Band, 0) for _ in range(BINS)]
    for probability, band in scores:
        counts[min(int(probability * BINS), BINS - 1)][band] += 1
    top = _round_up(max(sum(bin_.values()) for bin_ in counts))
    columns = tuple(
        _column(number, bin_, top)
        for number, bin_ in enumerate(counts)
        if any(bin_.values())
    )
    return Histogram(columns, top, review * WIDTH, flag * WIDTH, len(scores))


def gradient(colours: Sequence[str], opacity: tuple[float, float]) -> tuple[Stop, ...]:
    """Return the stops of a heatmap's colour scale, lowest first."""
    last = max(len(colours) - 1, 1)
    low, high = opacity
    return tuple(
        Stop(n / last, colour, low + (high - low) * n / last)
        for n, colour in enumerate(colours)
    )


def _column(number: int, counts: dict[Band, int], top: int) -> Column:
    """Stack one bin, the most urgent band at the foot."""
    parts = []
    foot = HEIGHT
    for band, count in counts.items():
        height = HEIGHT * count / top
        foot -= height
        if count:
            parts.append(Part(band.value, round(foot, 2), round(height, 2)))
    step = WIDTH / BINS
    total = sum(counts.values())
    words = f"{number / BINS:.2f} to {(number + 1) / BINS:.2f}: {total}"
    return Column(round(number * step + 0.5, 2), step - 1, words, tuple(parts))


def _round_up(count: int) -> int:
    """Return the next number of one round digit and zeros, at least 1."""
    if count <= 1:
        return 1
    power = int(10 ** floor(log10(count)))
    return next(m * power for m in _ROUND if m * power >= count)
