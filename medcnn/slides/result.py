"""What a model says of a slide and of each of its tiles: frozen records."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.results import Heatmap, Prediction

__all__ = ["Cells", "SlideResult", "TileScores"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cells:
    """Where the cells of a slide's heatmap lie, in pixels of the finest level.

    Attributes:
        corner: Left and upper edge of the first cell.
        step: Width and height of a cell.
    """

    corner: tuple[float, float]
    step: tuple[float, float]


@dataclass(frozen=True, eq=False)
class TileScores:
    """What the model said of each tile that was looked at; the n-th of all is one tile.

    Attributes:
        labels: The model's labels.
        grid: (across, down) in the grid of tiles, (N, 2).
        corner: Left and upper edge in pixels of the finest level, (N, 2).
        centre_mm: Its middle on the slide in mm, (N, 3); None where nothing says.
        tissue: Share of tissue, (N,); NaN where nobody looked.
        probability: For each label, (N, number of labels); NaN where none was run.
        reason: Why a tile is out of scope; "" if it is in.
    """

    labels: tuple[str, ...]
    grid: npt.NDArray[np.int64]
    corner: FloatArray
    centre_mm: FloatArray | None
    tissue: FloatArray
    probability: FloatArray
    reason: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.reason)

    @property
    def is_in_scope(self) -> npt.NDArray[np.bool_]:
        """Which tiles the slide's answer is made of, (N,)."""
        return np.array([not reason for reason in self.reason], np.bool_)

    def rows(self) -> Iterator[dict[str, str]]:
        """Yield each tile as a row of a table; what is not known is empty."""
        for n in range(len(self)):
            row = {
                "across": str(self.grid[n, 0]),
                "down": str(self.grid[n, 1]),
                "column": f"{self.corner[n, 0]:.10g}",
                "row": f"{self.corner[n, 1]:.10g}",
            }
            for axis, name in enumerate(("x_mm", "y_mm")):
                known = self.centre_mm
                row[name] = "" if known is None else f"{known[n, axis]:.6f}"
            row["tissue"] = _number(self.tissue[n], 3)
            for at, label in enumerate(self.labels):
                row[f"probability:{label}"] = _number(self.probability[n, at], 6)
            row["reason"] = self.reason[n]
            yield row


@dataclass(frozen=True, eq=False)
class SlideResult:
    """What a model says of a slide.

    Attributes:
        path: The slide.
        prediction: One probability for each label by `rule`; and why it must not be
            believed, if so. A slide that is refused as a whole has no probability.
        rule: How the tiles' probabilities became the slide's, in words.
        summaries: For each rule in words, the probability of each label.
        tiles: Every tile that was looked at.
        total: Number of tiles that cover the slide.
        skipped: How many of them were left out because they show no tissue.
        size: (rows, columns) of a tile.
        spacing_mm: Of a tile's pixels along (i, j); None if unknown.
        overlap: Pixels that neighbouring tiles share.
        heatmaps: The tile's probability for each label, and where it was asked for the
            class activation map; in slide mm.
        cells: Where the cells of each heatmap lie.
        warnings: What a careful reader would want to be told.
    """

    path: Path
    prediction: Prediction
    rule: str
    summaries: Mapping[str, Mapping[str, float]]
    tiles: TileScores
    total: int
    skipped: int
    size: tuple[int, int]
    spacing_mm: tuple[float, float] | None
    overlap: int
    heatmaps: tuple[Heatmap, ...] = ()
    cells: tuple[Cells, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many tiles became what; they add up to "total"."""
        kept = int(self.tiles.is_in_scope.sum())
        return {
            "total": self.total,
            "without_tissue": self.skipped,
            "screened": kept,
            "out_of_scope": self.total - self.skipped - kept,
        }

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, without the tiles and heatmaps."""
        found: dict[str, Any] = {}
        if self.prediction.probabilities:
            found = self.prediction.to_json()
        return {
            "out_of_scope": self.prediction.out_of_scope,
            **found,
            "rule": self.rule,
            "summaries": {k: dict(v) for k, v in self.summaries.items()},
            "tiles": self.counts,
            "tile_size": list(self.size),
            "tile_spacing_mm": self.spacing_mm and list(self.spacing_mm),
            "overlap": self.overlap,
            "warnings": list(self.warnings),
        }


def _number(value: float, digits: int) -> str:
    """Return a number as text, "" where there is none."""
    return "" if np.isnan(value) else f"{value:.{digits}f}"
