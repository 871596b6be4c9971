"""What acting on a score brings: decision curve and workload."""

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

__all__ = ["decision", "reading"]


def decision(found: LabelResult) -> Figure | None:
    """Draw net benefit against the threshold probability, beside all and nobody."""
    if not found.net_benefit or found.prevalence is None:
        return None
    figure = new_figure(4.4, 3.6)
    axes = figure.subplots()
    x = [one.threshold for one in found.net_benefit]
    top = max(found.prevalence, *(one.model for one in found.net_benefit), 0.01)
    axes.axhline(0, color=INK, linewidth=1.0, label="act on nobody")
    everybody = [one.all for one in found.net_benefit]
    axes.plot(x, everybody, color=GREY, linestyle=(0, (4, 2)), label="act on everybody")
    model = [one.model for one in found.net_benefit]
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
    axes.plot(x, y, color=BLUE)
    marks = (
        (work.read_for_95, 0.05, "5 % missed"),
        (work.read_for_all, 0.0, "none missed"),
    )
    for at, missed, words in marks:
        axes.plot(at, missed, "o", color=ORANGE, markersize=6, zorder=5, clip_on=False)
        axes.annotate(
            f"{words}:\n{100 * at:.0f} % read",
            (at, missed),
            xytext=(0, 12 if missed == 0 else 16),
            textcoords="offset points",
            ha="right" if at > 0.8 else "center",
            fontsize=8.5,
        )
    unit_axes(axes, "Share of all cases that are read", "Share of the diseased missed")
    return figure
