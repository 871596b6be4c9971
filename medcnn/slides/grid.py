"""The grids of a slide's heatmaps: where their cells lie, in pixels and in mm."""

from dataclasses import replace

import numpy as np

from medcnn.geometry import Frame, Geometry
from medcnn.image import Image
from medcnn.io.slide import Slide, Tiles
from medcnn.results import Heatmap
from medcnn.slides.result import Cells, SlideResult

__all__ = ["cells_of", "geometry_of", "lay_on", "parts_of"]

_MOST_CELLS = 2**24
"""Most cells of a class activation map of a whole slide."""


def cells_of(tiles: Tiles, parts: tuple[int, int]) -> Cells:
    """Say where cells lie when each tile is cut into (columns, rows) of them.

    Of overlapping tiles each stands for its middle, so that every place is shown once.
    """
    margin = tiles.overlap // 2
    corner = [margin * tiles.scale[axis] for axis in range(2)]
    step = [tiles.step[axis] * tiles.scale[axis] / parts[axis] for axis in range(2)]
    return Cells((corner[0], corner[1]), (step[0], step[1]))


def parts_of(tiles: Tiles, features: tuple[int, int]) -> tuple[int, int]:
    """Return into how many (columns, rows) of cells a class activation map cuts a tile.

    Args:
        tiles: Of the slide.
        features: (rows, columns) of the network's last feature map.
    """
    parts = [min(features[1 - axis], tiles.step[axis]) for axis in range(2)]
    while parts[0] * parts[1] * tiles.total > _MOST_CELLS and max(parts) > 1:
        parts = [max(part // 2, 1) for part in parts]
    return parts[0], parts[1]


def geometry_of(
    slide: Slide, cells: Cells, shape: tuple[int, int, int]
) -> Geometry | None:
    """Return the grid of a heatmap in slide mm; None where the slide says none."""
    base = slide.geometry
    if base is None:
        return None
    local = np.eye(4)
    for axis in range(2):
        local[axis, axis] = cells.step[axis]
        # edges are half a pixel before centres
        local[axis, 3] = cells.corner[axis] + cells.step[axis] / 2 - 0.5
    return Geometry(shape, base.affine @ local, Frame.SLIDE)


def lay_on(
    result: SlideResult, number: int, thumbnail: Image, shape: tuple[int, int]
) -> Heatmap:
    """Bring a heatmap onto a small picture of the whole slide, each cell as a block.

    Args:
        result: With its heatmaps.
        number: Which of them, from 0.
        thumbnail: Of the same slide.
        shape: (columns, rows) of the slide's finest level.
    """
    heatmap, cells = result.heatmaps[number], result.cells[number]
    picks = []
    for axis in range(2):
        count = thumbnail.shape[axis]
        centres = (np.arange(count) + 0.5) * shape[axis] / count
        at = np.floor((centres - cells.corner[axis]) / cells.step[axis])
        picks.append(np.clip(at, 0, heatmap.array.shape[axis] - 1).astype(np.int64))
    array = heatmap.array[picks[0][:, None], picks[1][None], :]
    return replace(heatmap, array=array, geometry=thumbnail.geometry)
