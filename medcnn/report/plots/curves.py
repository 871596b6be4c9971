"""ROC and precision-recall."""

from typing import Any

from matplotlib.figure import Figure

from medcnn.evaluation.records import Curve, LabelResult, OperatingResult
from medcnn.report.plots.style import BLUE, GREY, ORANGE, new_figure, shade, unit_axes

__all__ = ["MARKS", "precision_recall", "roc"]

MARKS = ("o", "s", "D", "^", "v", "P", "X")
"""The marks of the operating points, in their order."""


def roc(found: LabelResult) -> Figure | None:
    """Draw sensitivity against 1 - specificity, with a band and operating points."""
    if found.roc is None or found.auroc is None:
        return None
    figure = new_figure()
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
    _curve(axes, found.roc, f"AUC {_with_interval(found)}", steps=False)
    for mark, point in zip(MARKS, found.operating_points, strict=False):
        x, y = 1 - point.specificity.value, point.sensitivity.value
        _cross(axes, point)
        axes.plot(x, y, mark, color=ORANGE, markersize=6, label=point.name, zorder=5)
    unit_axes(axes, "1 \N{MINUS SIGN} specificity", "Sensitivity")
    axes.set_aspect("equal")
    axes.legend(loc="lower right")
    return figure


def precision_recall(found: LabelResult) -> Figure | None:
    """Draw PPV against sensitivity; the dashed line is what chance gives."""
    curve, area = found.precision_recall, found.auprc
    if curve is None or area is None or found.prevalence is None:
        return None
    figure = new_figure()
    axes = figure.subplots()
    words = f"prevalence {found.prevalence:.3f}"
    chance = axes.axhline(found.prevalence, color=GREY, linewidth=0.9)
    chance.set(linestyle=(0, (4, 3)), label=words)
    _curve(axes, curve, f"AUPRC {area.value:.3f}", steps=True)
    for mark, point in zip(MARKS, found.operating_points, strict=False):
        if point.ppv is not None:
            x, y = point.sensitivity.value, point.ppv.value
            axes.plot(x, y, mark, color=ORANGE, markersize=6, zorder=5)
    unit_axes(axes, "Recall (sensitivity)", "Precision (PPV)")
    axes.set_aspect("equal")
    axes.legend(loc="lower left")
    return figure


def _curve(axes: Any, curve: Curve, label: str, *, steps: bool) -> None:
    style = "steps-pre" if steps else "default"
    shade(axes, curve.band_x, curve.low, curve.high)
    axes.plot(curve.x, curve.y, color=BLUE, label=label, drawstyle=style, zorder=4)


def _cross(axes: Any, point: OperatingResult) -> None:
    """Draw the intervals of an operating point."""
    x, y = 1 - point.specificity.value, point.sensitivity.value
    if point.specificity.ci95 is not None:
        low, high = point.specificity.ci95
        axes.plot([1 - low, 1 - high], [y, y], color=ORANGE, linewidth=1.0)
    if point.sensitivity.ci95 is not None:
        axes.plot([x, x], point.sensitivity.ci95, color=ORANGE, linewidth=1.0)


def _with_interval(found: LabelResult) -> str:
    if found.auroc is None:
        return ""
    if found.auroc.ci95 is None:
        return f"{found.auroc.value:.3f}"
    low, high = found.auroc.ci95
    return f"{found.auroc.value:.3f} ({low:.3f} to {high:.3f})"
