"""A preview of an image as PNG: what was read, and which way round it lies."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from medcnn.display import VIEWS, grey_levels, grey_picture, middle_slice
from medcnn.image import Image
from medcnn.outputs import write_whole

__all__ = ["write_preview"]

Bytes = npt.NDArray[np.uint8]

_OPPOSITE = dict(zip("RASLPI", "LPIRAS", strict=True))
_PLANES = (("axial", "S"), ("coronal", "A"), ("sagittal", "L"))
_HEIGHT_IN, _DOTS_PER_INCH = 5.0, 120
_CAPTION_IN, _GAP_IN, _LEAST_IN = 0.5, 0.08, 4.5
_WIDEST = 4.0
"""How many times as wide as high, or as high as wide, a panel is at most."""

_MOST_SLICES = 6
_BACKGROUND, _WORDS, _FAINT = "#111418", "#ffffff", "#aab4be"


@dataclass(frozen=True, eq=False)
class _Panel:
    """One slice to be drawn.

    Attributes:
        title: Which slice it is.
        pixels: (rows, columns, 3).
        size: Width and height, in mm or in pixels, the same for all panels.
        codes: Where columns and rows run to, such as "LP"; "" where nothing says.
    """

    title: str
    pixels: Bytes
    size: tuple[float, float]
    codes: str = ""


def write_preview(path: Path, image: Image, words: tuple[str, ...]) -> None:
    """Write a picture, or three planes of a volume, with letters where they lie.

    Args:
        path: File to write, PNG.
        image: What is shown.
        words: One or two lines below it.

    Raises:
        OutputError: If it cannot be written.
    """
    panels = _panels(image)
    sizes = _sizes_in(panels)
    tall = max(height for _, height in sizes)
    wide = sum(width for width, _ in sizes) + _GAP_IN * (len(panels) - 1)
    across, up = max(wide, _LEAST_IN), tall + _CAPTION_IN
    figure = Figure((across, up), _DOTS_PER_INCH, facecolor=_BACKGROUND)
    left = (across - wide) / 2
    for panel, (width, height) in zip(panels, sizes, strict=True):
        low = _CAPTION_IN + (tall - height) / 2
        box = left / across, low / up, width / across, height / up
        _draw(figure.add_axes(box), panel)
        left += width + _GAP_IN
    for line, text in enumerate(words[:2]):
        figure.text(
            0.08 / across, (_CAPTION_IN - 0.16 - 0.2 * line) / up, text, fontsize=8.5,
            color=(_WORDS, _FAINT)[line], va="center", parse_math=False,
        )  # fmt: skip
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())[..., 2::-1]
    _, data = cv2.imencode(".png", np.ascontiguousarray(drawn))
    write_whole(path, data.tobytes())


def _panels(image: Image) -> list[_Panel]:
    """Return the slices that show an image best."""
    geometry, levels = image.geometry, grey_levels(image)
    if image.dims == 2:
        size, codes = (float(image.shape[0]), float(image.shape[1])), ""
        if geometry is not None:
            size, codes = geometry.extent_mm[:2], geometry.axis_codes[:2]
        return [_Panel("", _shrunk(grey_picture(image, levels=levels)), size, codes)]
    if geometry is None:
        count = min(image.shape[2], _MOST_SLICES)
        places = [int((n + 0.5) * image.shape[2] / count) for n in range(count)]
        size = float(image.shape[0]), float(image.shape[1])
        return [
            _Panel(
                f"slice {k + 1}",
                _shrunk(grey_picture(image, k=k, levels=levels)),
                size,
            )
            for k in places
        ]
    panels = []
    for name, towards in _PLANES:
        pixels, (wide_mm, high_mm) = middle_slice(image, towards, levels)
        rows, columns = pixels.shape[:2]
        size = columns * wide_mm, rows * high_mm
        panels.append(_Panel(name, _shrunk(pixels), size, VIEWS[towards][:2]))
    return panels


def _sizes_in(panels: list[_Panel]) -> list[tuple[float, float]]:
    """Return width and height of each panel in inches, all to one scale."""
    scale = _HEIGHT_IN / max(panel.size[1] for panel in panels)
    widest = max(panel.size[0] for panel in panels) * scale
    if widest > 2 * _HEIGHT_IN:
        scale *= 2 * _HEIGHT_IN / widest
    sizes = []
    for panel in panels:
        width, height = (max(n * scale, 1e-6) for n in panel.size)
        sizes.append((max(width, height / _WIDEST), max(height, width / _WIDEST)))
    return sizes


def _shrunk(pixels: Bytes) -> Bytes:
    """Average a picture down to about the pixels it is drawn with."""
    longest = round(2 * _HEIGHT_IN * _DOTS_PER_INCH)
    factor = max(pixels.shape[:2]) / longest
    if factor <= 1:
        return pixels
    rows, columns = (max(1, round(n / factor)) for n in pixels.shape[:2])
    small = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _draw(axes: Any, panel: _Panel) -> None:
    """Draw a slice, its name and the letters at its edges."""
    axes.imshow(panel.pixels, aspect="auto", interpolation="lanczos")
    axes.set_axis_off()
    write: Callable[..., Any] = axes.text
    style = {
        "transform": axes.transAxes, "fontsize": 9, "color": _WORDS, "weight": "bold",
        "bbox": {"facecolor": _BACKGROUND, "alpha": 0.6, "pad": 1.5, "linewidth": 0},
    }  # fmt: skip
    if panel.title:
        write(0.02, 0.98, panel.title, va="top", ha="left", **style)
    if panel.codes:
        right, bottom = panel.codes[0], panel.codes[1]
        write(0.98, 0.5, right, va="center", ha="right", **style)
        write(0.02, 0.5, _OPPOSITE[right], va="center", ha="left", **style)
        write(0.5, 0.02, bottom, va="bottom", ha="center", **style)
        write(0.5, 0.98, _OPPOSITE[bottom], va="top", ha="center", **style)
