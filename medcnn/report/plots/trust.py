"""Maps against readers' marks, and the curves of deletion and insertion."""

from typing import Any

from matplotlib.figure import Figure

from medcnn.evaluation.trust import Faithfulness, Ordered, Trust
from medcnn.report.plots.style import BLUE, GREY, ORANGE, new_figure

__all__ = ["pixel_curves", "pointing"]


def pointing(trust: Trust | None) -> Figure | None:
    """Draw how often each label's map points inside the marks, beside its rivals."""
    if trust is None or not trust.located:
        return None
    labels = list(trust.located)
    figure = new_figure(6.4, 1.3 + 0.34 * len(labels))
    axes = figure.subplots()
    for place, label in enumerate(labels):
        score = trust.located[label].scores[0]
        if score.value.ci95 is not None:
            axes.plot(score.value.ci95, [place, place], color=BLUE, linewidth=2)
        marks: list[tuple[float | None, str, str, str]] = [
            (score.value.value, "o", BLUE, "map, 95 % interval"),
            (score.centre.value, "D", ORANGE, "centre of the image"),
            (score.random, "|", GREY, "random point"),
            (score.usual, "x", GREY, "other patients' marks"),
        ]
        for value, mark, colour, words in marks:
            if value is not None:
                name = words if place == 0 else None
                axes.plot(value, place, mark, color=colour, markersize=7, label=name)
    axes.set_yticks(range(len(labels)), labels)
    axes.set(
        xlim=(-0.02, 1.02),
        ylim=(len(labels) - 0.5, -0.5),
        xlabel="Share of images whose hottest point lies inside the marks",
    )
    axes.grid(visible=False, axis="y")
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.16 - 0.5 / len(labels)), ncols=4
    )
    return figure


def pixel_curves(trust: Trust | None) -> Figure | None:
    """Draw the mean probability as pixels go and come in three orders."""
    if trust is None or trust.faithfulness is None:
        return None
    found = trust.faithfulness
    figure = new_figure(7.2, 3.3)
    left, right = figure.subplots(1, 2, sharey=True)
    _curves(left, found, found.deletion, "Share of pixels deleted")
    _curves(right, found, found.insertion, "Share of pixels inserted")
    left.set_ylabel(f"Mean probability of {found.label}")
    left.legend(loc="best")
    return figure


def _curves(axes: Any, found: Faithfulness, ordered: Ordered, words: str) -> None:
    """Draw one kind of curve."""
    axes.plot(found.shares, ordered.curve, color=BLUE, label="hottest first")
    axes.plot(found.shares, ordered.centre_curve, color=ORANGE, label="centre first")
    noise = axes.plot(found.shares, ordered.random_curve, color=GREY)[0]
    noise.set(linestyle=(0, (4, 3)), label="random blobs first")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=words)
