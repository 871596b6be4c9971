"""One style for all figures: colours that everybody can tell apart, few lines."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from medcnn.report.plots.compact import compact

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "INK",
    "LINE",
    "ORANGE",
    "Rendered",
    "drawing",
    "new_figure",
    "render",
    "shade",
    "unit_axes",
]

BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
"""Okabe & Ito's palette, told apart with every kind of colour vision."""

INK, GREY, LINE = "#17212b", "#6b7885", "#dde3e8"

_DPI = 150
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "white",
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "medcnn",
}


@dataclass(frozen=True)
class Rendered:
    """A figure as two files.

    Attributes:
        svg: Text of the drawing.
        png: The same in pixels.
    """

    svg: bytes
    png: bytes


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the house style, and leave matplotlib's settings as they were."""
    with mpl.rc_context(_STYLE):
        yield


def new_figure(width: float = 4.4, height: float = 4.0) -> Figure:
    """Return an empty figure of this size in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def shade(
    axes: Any, x: Sequence[float], low: Sequence[float], high: Sequence[float]
) -> None:
    """Draw a band of 95 %, if there is one."""
    if len(x):
        axes.fill_between(x, low, high, color=BLUE, alpha=0.16, linewidth=0)


def unit_axes(axes: Any, x: str, y: str) -> None:
    """Give axes that go from 0 to 1 their names."""
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=x, ylabel=y)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])


def render(figure: Figure) -> Rendered:
    """Return a figure as SVG and PNG; equal figures give equal bytes."""
    svg, png = io.BytesIO(), io.BytesIO()
    with warnings.catch_warnings():
        # a letter that the font lacks becomes a box; the page beside it shows the name
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        figure.set_layout_engine("none")  # it keeps what it has: half the time
        figure.savefig(png, format="png", dpi=_DPI, metadata={"Software": None})
    return Rendered(compact(svg.getvalue()), png.getvalue())
