"""History of a training: a table, and curves that show when it began to overfit."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from medcnn.errors import OutputError

__all__ = ["CURVES", "HISTORY", "draw_curves", "write_history"]

HISTORY = "history.csv"
CURVES = "curves.png"
Rows = Sequence[dict[str, float | None]]


def write_history(folder: Path, rows: Rows) -> None:
    """Write history.csv.

    Args:
        folder: Where it goes.
        rows: One for each finished epoch, all with the same keys.

    Raises:
        OutputError: If the disk refuses.
    """
    try:
        with (folder / HISTORY).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        msg = f"the training's history cannot be written to {folder}: {error}"
        raise OutputError(msg) from error


def draw_curves(folder: Path, rows: Rows, *, name: str) -> None:
    """Draw curves.png: loss and AUC of training and validation over the epochs.

    Args:
        folder: Where it goes.
        rows: One for each finished epoch.
        name: What val_auc is the area of.

    Raises:
        OutputError: If the disk refuses.
    """
    try:
        _draw(rows, name).savefig(folder / CURVES, dpi=120)
    except OSError as error:
        msg = f"the training's curves cannot be written to {folder}: {error}"
        raise OutputError(msg) from error


def _draw(rows: Rows, name: str) -> Figure:
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    loss, auc = figure.subplots(1, 2)
    _lines(loss, rows, "loss")
    _lines(auc, rows, "auc")
    best = max(rows, key=_merit)
    for axes in (loss, auc):
        axes.axvline(best["epoch"] or 0, color="0.6", linestyle=":", linewidth=1)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    loss.set_title("Loss", loc="left")
    auc.set_title(f"AUC: {name}", loc="left")
    text = f"best: {best['val_auc']:.3f} in epoch {best['epoch']:.0f}"
    auc.legend(title=text, frameon=False, loc="lower right")
    return figure


def _merit(row: dict[str, float | None]) -> tuple[float, float]:
    """Order epochs as the training does: by score, then by loss."""
    return row["val_auc"] or 0, -(row["val_loss"] or 0)


def _lines(axes: Axes, rows: Rows, what: str) -> None:
    """Draw training (as augmented) and validation beside each other."""
    styles: dict[str, dict[str, Any]] = {
        "train": {"color": "#888888", "label": "training (augmented)"},
        "val": {"color": "#0b6e99", "label": "validation"},
    }
    for part, style in styles.items():
        values = [row[f"{part}_{what}"] for row in rows]
        known = [(row["epoch"], v) for row, v in zip(rows, values, strict=True) if v]
        if known:
            axes.plot(*zip(*known, strict=True), marker=".", **style)
