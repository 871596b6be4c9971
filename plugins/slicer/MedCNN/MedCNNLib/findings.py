"""A model's answer put into the scene: a table, and heatmaps over the image."""

import math
from typing import Any

import numpy as np
import slicer

from MedCNNLib.charts import roc_chart, table_node
from MedCNNLib.client import Heatmap, Result
from MedCNNLib.errors import ViewerError
from MedCNNLib.file_order import as_in_volume
from MedCNNLib.heat import Scale, lay_over, show_as_heat
from MedCNNLib.steps import Steps, finish
from MedCNNLib.volumes import adding_node, image_from_node

__all__ = [
    "add_evaluation",
    "add_heatmaps",
    "adding_heatmaps",
    "answer_columns",
    "heatmaps_of",
    "labels_to_ask",
    "scale_of",
    "summary",
    "volume_of",
]

_ALL_UP_TO = 2**22
"""Voxels of an image that gets a heatmap of every label: 16 MB each."""

_LABEL, _IMAGE = "MedCNN.Label", "MedCNN.Image"
_LOW, _HIGH = "MedCNN.WindowLow", "MedCNN.WindowHigh"
_BANDS = {"flag": "flag", "review": "review", "no-flag": "no flag"}


def labels_to_ask(shape: tuple[int, ...]) -> list[str] | None:
    """Return whose heatmaps to ask for: all; of large volumes the main label's (None).

    A heatmap is as large as its image, and each takes its time and memory.
    """
    return ["all"] if math.prod(shape) <= _ALL_UP_TO else None


def answer_columns(result: Result) -> dict[str, list[Any]]:
    """Return the answer as a table: label, number, both thresholds, band.

    The number is headed by what it is: a probability, or a detector's anomaly score.
    """
    labels = list(result.labels)
    thresholds = [result.thresholds.get(label) or {} for label in labels]
    return {
        "label": labels,
        result.number_kind: [result.probabilities[label] for label in labels],
        "review from": [each.get("review") for each in thresholds],
        "flag from": [each.get("flag") for each in thresholds],
        "band": [_BANDS.get(result.bands.get(label, ""), "") for label in labels],
    }


def add_heatmaps(
    node: slicer.vtkMRMLVolumeNode, result: Result, *, opacity: float
) -> dict[str, slicer.vtkMRMLScalarVolumeNode]:
    """Add an answer's table and heatmaps; lay the main label's over its image.

    Returns:
        The heatmaps' nodes by label.
    """
    return finish(adding_heatmaps(node, result, opacity=opacity))


def adding_heatmaps(
    node: slicer.vtkMRMLVolumeNode, result: Result, *, opacity: float
) -> Steps:
    """As `add_heatmaps`, in steps of milliseconds."""
    nodes = {}
    for label, heat in result.heatmaps.items():
        name = f"{_still_there(node)} {label} heat"
        nodes[label] = yield from _adding_heatmap(node, heat, name)
    name = f"{_still_there(node)} {result.model}"
    table_node(node.GetScene(), name, answer_columns(result))
    if nodes:
        lay_over(
            node, nodes.get(result.label, next(iter(nodes.values()))), opacity=opacity
        )
    return nodes


def scale_of(heat: slicer.vtkMRMLScalarVolumeNode) -> Scale:
    """Return the scale of a heatmap that was added, also of a scene read again."""
    low, high = (float(heat.GetAttribute(edge)) for edge in (_LOW, _HIGH))
    return Scale(low, high, heat.GetDescription())


def volume_of(
    heat: slicer.vtkMRMLScalarVolumeNode,
) -> slicer.vtkMRMLVolumeNode | None:
    """Return the image of a heatmap, also of a scene read again; None if it is gone."""
    return heat.GetNodeReference(_IMAGE)


def heatmaps_of(
    volume: slicer.vtkMRMLVolumeNode,
) -> dict[str, slicer.vtkMRMLScalarVolumeNode]:
    """Return the last heatmaps that were added to an image, by label."""
    scene, kind = volume.GetScene(), "vtkMRMLScalarVolumeNode"
    count = scene.GetNumberOfNodesByClass(kind)
    nodes = [scene.GetNthNodeByClass(n, kind) for n in range(count)]
    return {
        node.GetAttribute(_LABEL): node
        for node in nodes
        if node.GetAttribute(_LABEL) and volume_of(node) is volume
    }


def add_evaluation(
    scene: slicer.vtkMRMLScene, evaluation: dict[str, Any]
) -> tuple[slicer.vtkMRMLTableNode, list[slicer.vtkMRMLPlotChartNode]]:
    """Add a table of results, and an ROC chart of every label that has a curve."""
    table = table_node(scene, "Evaluation", summary(evaluation))
    results = evaluation["labels"].items()
    charts = [roc_chart(scene, label, each) for label, each in results if each["roc"]]
    return table, charts


def summary(evaluation: dict[str, Any]) -> dict[str, list[Any]]:
    """Return an evaluation as a table: cases, area and points of each label."""
    rows = []
    for label, each in evaluation["labels"].items():
        points = each["operating_points"] or [None]
        rows += [_row(label, each, point) for point in points]
    return {title: [row[title] for row in rows] for title in rows[0]} if rows else {}


def _row(
    label: str, result: dict[str, Any], point: dict[str, Any] | None
) -> dict[str, Any]:
    point = point or {}
    return {
        "label": label,
        "with / without": f"{result['n_positive']} / {result['n_negative']}",
        "AUC (95 % CI)": _estimate(result["auroc"]),
        "operating point": point.get("name", ""),
        "threshold": point.get("threshold"),
        "sensitivity (95 % CI)": _estimate(point.get("sensitivity")),
        "specificity (95 % CI)": _estimate(point.get("specificity")),
        "chosen on": point.get("chosen_on", ""),
    }


def _estimate(found: dict[str, Any] | None) -> str:
    if not found:
        return ""
    if not found.get("ci95"):
        return f"{found['value']:.3f}"
    low, high = found["ci95"]
    return f"{found['value']:.3f} ({low:.3f} to {high:.3f})"


def _still_there(node: slicer.vtkMRMLVolumeNode) -> str:
    """Return a volume's name.

    Raises:
        ViewerError: If it was removed from its scene meanwhile.
    """
    if node.GetScene() is None:
        msg = f"{node.GetName()} was removed while it was classified."
        raise ViewerError(msg, hint="Load it again, and classify it.")
    return node.GetName()


def _adding_heatmap(node: slicer.vtkMRMLVolumeNode, heat: Heatmap, name: str) -> Steps:
    """Add a heatmap on its image's grid, and its colours."""
    image = image_from_node(node)
    array = np.asarray(heat.ijk(), np.float32)
    is_own_grid = array.shape == image.array.shape or heat.affine is None
    affine = image.affine if is_own_grid else heat.affine
    if is_own_grid:
        array = as_in_volume(array, heat.affine, image)
    scene = node.GetScene()
    added = yield from adding_node(scene, array, affine, like=node, name=name)
    low, high = heat.window
    added.SetDescription(f"{heat.label}: {heat.window_words}")
    for key, value in ((_LABEL, heat.label), (_LOW, low), (_HIGH, high)):
        added.SetAttribute(key, str(value))
    added.SetNodeReferenceID(_IMAGE, node.GetID())
    show_as_heat(added, Scale(low, high, _legend(heat)))
    return added


def _legend(heat: Heatmap) -> str:
    return f"{heat.label}\n{heat.method} [{heat.unit}]" if heat.unit else heat.label
