"""A heatmap as a picture to show: the overlay, and a legend that says what it is."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from medcnn.display import VIEWS, grey_picture
from medcnn.explanation.overlay import heat_layer, lay_over
from medcnn.explanation.shown import Shown
from medcnn.image import Image
from medcnn.results import LIMITS_OF_A_MAP, TILE_METHODS, Heatmap, Prediction

__all__ = ["overlay_with_legend"]

Bytes = npt.NDArray[np.uint8]

_DOTS_PER_INCH = 100
_FEWEST_COLUMNS = 480
"""A narrower picture is enlarged by a whole factor, or its legend has no room."""

_LONGEST_SIDE = 16384
"""A picture that would be longer is not stretched."""


def overlay_with_legend(
    image: Image,
    heatmap: Heatmap,
    prediction: Prediction,
    shown: Shown | None = None,
) -> Bytes:
    """Return overlay and legend as one picture, RGB, (rows, columns, 3).

    The overlay has the image's full resolution; of a volume it is the slice where the
    relevance is highest, turned as radiologists look at it. Pixels of unequal sides are
    stretched to their true proportions.
    """
    scale = shown or _own_scale(heatmap)
    k = heatmap.peak[2]
    levels = np.ascontiguousarray(scale.levels[:, :, k].T)
    picture = lay_over(grey_picture(image, k=k), heat_layer(levels, top=scale.top))
    picture = _turned(picture, image)
    factor = -(-_FEWEST_COLUMNS // picture.shape[1])
    picture = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    where = f"slice {k + 1} of {image.shape[2]}" if image.dims == 3 else ""
    legend = _legend(picture.shape[1], heatmap, prediction, where, scale)
    return np.vstack([picture, legend])


def _turned(picture: Bytes, image: Image) -> Bytes:
    """Turn a volume's slice as radiologists look at it; leave a picture as it is.

    Axial slices are seen from the feet, coronal ones from the front, sagittal ones
    from the left, whatever order the file keeps its voxels in.
    """
    if image.geometry is None:
        return picture
    spacing = image.geometry.spacing_mm
    if image.dims == 2:
        return _in_proportion(picture, spacing[0], spacing[1])
    codes = VIEWS[image.geometry.axis_codes[2]]
    turn = image.geometry.reorientation_to(codes)
    turned = picture if turn.axes[0] == 0 else picture.transpose(1, 0, 2)
    flips = tuple(n for n, flip in ((1, turn.flips[0]), (0, turn.flips[1])) if flip)
    return _in_proportion(
        np.flip(turned, flips), spacing[turn.axes[0]], spacing[turn.axes[1]]
    )


def _in_proportion(picture: Bytes, across_mm: float, down_mm: float) -> Bytes:
    """Enlarge the side whose pixels are longer, so that circles look like circles."""
    rows, columns = picture.shape[:2]
    ratio = across_mm / down_mm
    wanted = round(columns * max(ratio, 1)), round(rows * max(1 / ratio, 1))
    picture = np.ascontiguousarray(picture)
    if wanted == (columns, rows) or max(wanted) > _LONGEST_SIDE:
        return picture
    stretched = cv2.resize(picture, wanted, interpolation=cv2.INTER_LINEAR)
    return np.asarray(stretched, np.uint8)


def _legend(
    columns: int, heatmap: Heatmap, prediction: Prediction, where: str, shown: Shown
) -> Bytes:
    """Draw the label, its number and the colour scale, (rows, columns, 3)."""
    size = min(max(columns / 62, 8.0), 34.0)  # of the letters, in pixels
    rows = round(size * 8.5)
    figure = Figure((columns / _DOTS_PER_INCH, rows / _DOTS_PER_INCH), _DOTS_PER_INCH)
    figure.set_facecolor("#111418")
    points = size * 72 / _DOTS_PER_INCH
    left = 1.5 * size / columns

    def write(line: float, words: str, colour: str, *, weight: str = "normal") -> None:
        figure.text(
            left, 1 - line * size / rows, words, color=colour, fontsize=points,
            weight=weight, va="top",
        )  # fmt: skip

    probability = prediction.probabilities[heatmap.label]
    threshold = prediction.thresholds[heatmap.label]
    head = (
        f"{heatmap.label}: {prediction.kind} {probability:.3f}, "
        f"flagged from {threshold:.3f}"
    )
    write(0.9, head, "#ffffff", weight="bold")
    model = f"{heatmap.model} ({prediction.model_sha256[:8]}), {heatmap.method}"
    layer = f"layer {heatmap.layer}" if heatmap.layer else ""
    write(2.5, ", ".join(p for p in (model, layer, where) if p), "#aab4be")
    scale = figure.add_axes((left, 1 - 5.1 * size / rows, 0.4, size / rows))
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None]
    grey = np.full((1, 256, 3), 110, np.uint8)
    scale.imshow(lay_over(grey, heat_layer(ramp, top=1)), aspect="auto")
    scale.set_axis_off()
    figure.text(
        left + 0.4 + size / columns, 1 - 4.0 * size / rows, _words(shown),
        color="#aab4be", fontsize=points, va="top",
    )  # fmt: skip
    limits = LIMITS_OF_A_MAP[0].upper() + LIMITS_OF_A_MAP[1:]
    scope = "" if not prediction.out_of_scope else " OUT OF SCOPE: do not use."
    write(6.1, f"{limits}. Research use only.{scope}", "#ffd479")
    return _pixels(figure, rows, columns)


def _own_scale(heatmap: Heatmap) -> Shown:
    """Return the scale of tiles' numbers, or of a map's own highest value."""
    if heatmap.method in TILE_METHODS.values():
        return Shown(heatmap.array, 1.0, f"{heatmap.method} 0 to 1")
    top = float(heatmap.array.max())
    words = f"relevance 0 to {top:.3g}, this image's own highest"
    return Shown(heatmap.array, top, words)


def _words(shown: Shown) -> str:
    """Say what the colours run from and to, and when none of them occurs."""
    return shown.words if shown.levels.any() else f"{shown.words}; here nothing"


def _pixels(figure: Figure, rows: int, columns: int) -> Bytes:
    """Return a figure's pixels, (rows, columns, 3)."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())[:rows, :columns, :3]
    whole = np.zeros((rows, columns, 3), np.uint8)
    whole[: drawn.shape[0], : drawn.shape[1]] = drawn
    return whole
