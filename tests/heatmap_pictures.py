"""Draw what the geometry tests ask for: planted lesions, and every method's map.

    python tests/heatmap_pictures.py docs/images

White: where the lesion was planted, in millimetres. Cross: the hottest voxel.
"""

import sys
from pathlib import Path

import numpy as np
import PIL.Image
from lesions import lesion_finder, planted
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from medcnn.display import grey_picture
from medcnn.explanation import METHODS, Explainer
from medcnn.explanation.overlay import heat_layer, lay_over

SETTINGS = {"batch": 64, "steps": 8, "samples": 6}
CASES = ((2, 4), (2, 9), (3, 5), (3, 12))
"""Dimensions and seed of each row."""


def main():
    """Write the picture."""
    folder = Path(sys.argv[1])
    figure = draw(CASES, METHODS)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    colours = PIL.Image.fromarray(pixels).quantize(160)
    colours.save(folder / "heatmap-geometry.png", optimize=True)


def draw(cases, methods):
    """Return a figure with a row for each case and a column for each method."""
    size = len(methods) + 1, len(cases)
    figure = Figure((1.45 * size[0], 1.4 * size[1]), 70, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(size[1], size[0], squeeze=False)
    for number, (row, (dims, seed)) in enumerate(zip(axes, cases, strict=True)):
        case = planted(seed, dims)
        _panel(row[0], case, None, "" if number else "planted")
        row[0].set_ylabel(f"{dims}-D, grid {seed}", fontsize=9)
        for place, method in zip(row[1:], methods, strict=True):
            explainer = Explainer(
                lesion_finder(dims),
                method=method,
                preprocessing=case.recipe,
                **SETTINGS,
            )
            (heatmap,) = explainer.explain(case.image, ["0"]).heatmaps
            _panel(place, case, heatmap, "" if number else method)
    return figure


def _panel(axes, case, heatmap, title):
    """Show the slice of the hottest voxel, or of the lesion, as it is stored."""
    geometry = case.image.geometry
    way = np.linalg.inv(geometry.affine)
    middle = (way @ [*case.centre_mm, 1])[:3]
    i, j, k = np.rint(middle).astype(int) if heatmap is None else heatmap.peak
    picture = grey_picture(case.image, k=int(k), levels=(60, 260))
    if heatmap is not None:
        relevance = np.ascontiguousarray(heatmap.array[:, :, k].T)
        picture = lay_over(picture, heat_layer(relevance, top=heatmap.array.max()))
        axes.plot(i, j, "+", color="#39d0ff", markersize=9)
    columns, rows = case.image.shape[:2]
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1)
    voxels = np.concatenate([grid, np.full((*grid.shape[:2], 1), k)], -1)
    places = voxels @ geometry.affine[:3, :3].T + geometry.affine[:3, 3]
    far = np.linalg.norm(places - case.centre_mm, axis=-1)
    if far.min() < case.radius_mm:
        axes.contour(far, [case.radius_mm], colors="white", linewidths=0.8)
    spacing = geometry.spacing_mm
    axes.imshow(picture, aspect=spacing[1] / spacing[0])
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=8)


if __name__ == "__main__":
    main()
