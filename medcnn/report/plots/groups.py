"""Forest plots of subgroups and labels, and the confusion matrix of classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from medcnn.evaluation import Evaluation
from medcnn.evaluation.records import Estimate, LabelResult
from medcnn.report.plots.style import BLUE, GREY, INK, ORANGE, new_figure

__all__ = ["confusion", "label_areas", "subgroups"]

MOST_CLASSES = 30
"""Classes whose numbers can be read in a square."""

_ROW, _LETTER, _FIELD, _NUMBERS = 0.24, 0.085, 3.6, 2.75
"""Height of a row, width of a letter, of the field and of the numbers, in inches."""

_Row = tuple[str, str, Estimate | None, bool]


def subgroups(found: LabelResult) -> Figure | None:
    """Draw the area of every subgroup beside that of all cases."""
    if not found.subgroups or found.auroc is None:
        return None
    rows: list[_Row] = []
    for group in found.subgroups:
        rows.append((group.column, "", None, False))
        for one in group.values:
            counts = f"{one.n_positive} / {one.n_negative}"
            rows.append((f"   {one.value}", counts, one.auroc, one.is_small))
    return _forest(rows, found.auroc, "with / without")


def label_areas(evaluation: Evaluation) -> Figure | None:
    """Draw the area of every label; None where there is one only."""
    if len(evaluation.labels) < 2:
        return None
    rows: list[_Row] = [
        (name, f"{one.n_positive} / {one.n_negative}", one.auroc, False)
        for name, one in evaluation.labels.items()
    ]
    return _forest(rows, evaluation.macro.auroc, "with / without", of_all="mean")


def confusion(evaluation: Evaluation) -> Figure | None:
    """Draw how classes are mixed up: rows are true, columns called."""
    classes = evaluation.multiclass
    if classes is None or len(classes.classes) > MOST_CLASSES:
        return None
    counts = np.array(classes.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = max(3.6, 0.42 * len(counts) + 1.6)
    figure = new_figure(size, size)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.grid(visible=False)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.55 else INK
        axes.text(
            column,
            row,
            f"{count:,}",
            ha="center",
            va="center",
            color=colour,
            fontsize=8,
        )
    places = range(len(counts))
    axes.set_xticks(places, classes.classes, rotation=45, ha="right")
    axes.set_yticks(places, classes.classes)
    axes.set(xlabel="Called", ylabel="True")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _forest(
    rows: Sequence[_Row], whole: Estimate | None, head: str, *, of_all: str = "all"
) -> Figure:
    """Draw estimates with intervals under each other, the first on top."""
    left = _LETTER * max(len(row[0]) for row in rows) + 0.15
    width, height = left + _FIELD + _NUMBERS, _ROW * (len(rows) + 1) + 0.65
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes(
        (left / width, 0.5 / height, _FIELD / width, 1 - 0.55 / height)
    )
    lowest = _lowest(rows, whole)
    if whole is not None:
        ends = [-0.4, len(rows) - 0.4]
        axes.plot([whole.value] * 2, ends, color=ORANGE, linewidth=1.0)
        words = f"{of_all} {whole.value:.3f}"
        is_far_right = whole.value > 1 - 0.15 * (1 - lowest)
        side = "right" if is_far_right else "center"
        axes.text(whole.value, -0.62, words, color=ORANGE, ha=side, fontsize=8.5)
    for n, (_, _, estimate, is_small) in enumerate(rows):
        _draw(axes, n, estimate, colour=GREY if is_small else BLUE, edge=lowest)
    axes.set(xlim=(lowest, 1.005), ylim=(len(rows) - 0.4, -1.0), xlabel="AUC")
    axes.set_yticks(range(len(rows)), [row[0] for row in rows])
    for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_horizontalalignment("left")
        if not row[1]:
            tick.set_fontweight("bold")
    axes.tick_params(axis="y", length=0, pad=72 * left - 4)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    _beside(axes, rows, head)
    return figure


def _draw(
    axes: Any, n: int, estimate: Estimate | None, *, colour: str, edge: float
) -> None:
    """Draw one estimate; an arrow where its interval goes on beyond the field."""
    if estimate is None:
        return
    if estimate.ci95 is not None:
        axes.plot(estimate.ci95, [n, n], color=colour, linewidth=1.4)
        if estimate.ci95[0] < edge:
            axes.plot(edge, n, "<", color=colour, markersize=5, clip_on=False)
    axes.plot(estimate.value, n, "s", color=colour, markersize=5)


def _beside(axes: Any, rows: Sequence[_Row], head: str) -> None:
    """Write counts and numbers to the right of the field."""
    place = axes.get_yaxis_transform()
    axes.text(1.03, -0.62, head, transform=place, fontsize=8, color=GREY)
    for n, (_, counts, estimate, _) in enumerate(rows):
        if not counts:
            continue
        axes.text(1.03, n, counts, transform=place, fontsize=8.5, va="center")
        axes.text(1.24, n, _words(estimate), transform=place, fontsize=8.5, va="center")


def _words(estimate: Estimate | None) -> str:
    if estimate is None:
        return "undefined"
    if estimate.ci95 is None:
        return f"{estimate.value:.3f}"
    low, high = estimate.ci95
    return f"{estimate.value:.3f} ({low:.3f} to {high:.3f})"


def _lowest(rows: Sequence[_Row], whole: Estimate | None) -> float:
    """Return where the axis begins: 0.5, or lower if something lies there."""
    values = [row[2] for row in rows if row[2] is not None and not row[3]]
    values += [whole] if whole is not None else []
    ends = [one.value if one.ci95 is None else one.ci95[0] for one in values]
    return max(0.0, float(np.floor(min([0.5, *ends]) * 10) / 10))
