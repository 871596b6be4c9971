"""Score distributions and calibration."""

import numpy as np
from matplotlib.figure import Figure

from medcnn.evaluation.records import LabelResult
from medcnn.report.plots.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    new_figure,
    unit_axes,
)

__all__ = ["calibration", "distribution"]

_DASHES = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))


def calibration(found: LabelResult) -> Figure | None:
    """Draw what was said against what was found, with Wilson's intervals."""
    measured = found.calibration
    if measured is None or not measured.bins:
        return None
    figure = new_figure(4.4, 4.9)
    axes, below = figure.subplots(2, 1, height_ratios=(5, 1), sharex=True)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
    mean = np.array([one.mean for one in measured.bins])
    seen = np.array([one.observed for one in measured.bins])
    ends = np.array([one.ci95 for one in measured.bins])
    errors = np.abs(np.stack([seen - ends[:, 0], ends[:, 1] - seen]))
    axes.errorbar(
        mean,
        seen,
        yerr=errors,
        fmt="o-",
        color=BLUE,
        markersize=5,
        linewidth=1.2,
        elinewidth=1.0,
        capsize=2,
    )
    unit_axes(axes, "", "Found diseased")
    axes.text(0.03, 0.93, "said too low", color=GREY, fontsize=8.5)
    axes.text(0.97, 0.05, "said too high", color=GREY, fontsize=8.5, ha="right")
    axes.tick_params(labelbottom=False)
    bars = found.histogram
    if bars is not None:
        edges = np.array(bars.edges)
        totals = np.array(bars.positive) + np.array(bars.negative)
        below.stairs(totals, edges, fill=True, color=GREY)
    below.set(xlim=(-0.01, 1.01), xlabel="Probability said", ylabel="Cases")
    below.yaxis.get_major_locator().set_params(nbins=2, integer=True)
    return figure


def distribution(found: LabelResult, kind: str) -> Figure | None:
    """Draw how scores are spread in the diseased and in the healthy."""
    bars = found.histogram
    if bars is None:
        return None
    figure = new_figure(4.4, 3.6)
    above, below = figure.subplots(2, 1, sharex=True)
    edges = np.array(bars.edges)
    sides = (
        (above, bars.positive, ORANGE, f"with the finding ({found.n_positive:,})"),
        (below, bars.negative, BLUE, f"without it ({found.n_negative:,})"),
    )
    for axes, counts, colour, words in sides:
        total = max(sum(counts), 1)
        heights = np.array(counts) / total * 100
        axes.stairs(heights, edges, fill=True, color=colour, alpha=0.85)
        axes.set_ylabel("% of them")
        axes.set_title(words, loc="left", fontsize=9, color=INK)
        for dashes, point in zip(_DASHES, found.operating_points, strict=False):
            axes.axvline(point.threshold, color=INK, linewidth=1.0, linestyle=dashes)
    below.set_xlabel("Probability" if kind == "probability" else "Score")
    below.set_xlim(edges[0], edges[-1])
    return figure
