"""What acting on a score brings: decision curve and workload."""

from matplotlib.figure import Figure

from medcnn.evaluation.records import LabelResult
from medcnn.report.plots.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    new_figure,
    shade,
    unit_axes,
)

__all__ = ["decision", "reading"]

_HIGHEST = 0.95
"""Threshold above which net benefit is divided by nearly nothing."""


def decision(found: LabelResult) -> Figure | None:
    """Draw net benefit against the threshold probability, beside all and nobody."""
    if not found.net_benefit or found.prevalence is None:
        return None
    figure = new_figure(4.4, 3.6)
    axes = figure.subplots()
    shown = [one for one in found.net_benefit if one.threshold <= _HIGHEST]
    x = [one.threshold for one in shown]
    top = max(found.prevalence, *(one.model for one in shown), 0.01)
    axes.axhline(0, color=INK, linewidth=1.0, label="act on nobody")
    everybody = [one.all for one in shown]
    axes.plot(x, everybody, color=GREY, linestyle=(0, (4, 2)), label="act on everybody")
    model = [one.model for one in shown]
    sure = [one for one in shown if one.ci95 is not None]
    low, high = ([one.ci95[n] for one in sure if one.ci95] for n in (0, 1))
    shade(axes, [one.threshold for one in sure], low, high)
    axes.plot(x, model, color=BLUE, label="act on the model")
    axes.set(
        xlim=(0, 1),
        ylim=(-0.25 * top, 1.08 * top),
        xlabel="Probability from which one would act",
        ylabel="Net benefit per case",
    )
    axes.legend(loc="upper right")
    return figure


def reading(found: LabelResult) -> Figure | None:
    """Draw the share of cases read against the share of the diseased missed."""
    work = found.workload
    if work is None:
        return None
    figure = new_figure(4.4, 3.6)
    axes = figure.subplots()
    axes.plot([0, 1], [1, 0], color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
    x, y = [one.read for one in work.points], [one.missed for one in work.points]
    shade(axes, work.band_read, work.low, work.high)
    axes.plot(x, y, color=BLUE)
    marks = (
        ("o", work.read_for_95.value, 0.05, "5 % missed"),
        ("s", work.read_for_all, 0.0, "none missed"),
    )
    for mark, at, missed, words in marks:
        label = f"{words}: {100 * at:.0f} % read"
        axes.plot(at, missed, mark, color=ORANGE, label=label, zorder=5, clip_on=False)
    unit_axes(axes, "Share of all cases that are read", "Share of the diseased missed")
    axes.legend(loc="upper right")
    return figure
