"""A model's answer put into the scene: a table, and heatmaps over the image."""

import math
from pathlib import PurePath
from typing import Any

import numpy as np
import slicer

from MedCNNLib.charts import roc_chart, table_node
from MedCNNLib.client import Heatmap, Result
from MedCNNLib.errors import ViewerError
from MedCNNLib.file_order import as_in_volume
from MedCNNLib.heat import Scale, lay_over, show_as_heat
from MedCNNLib.renewal import Question, nodes_of, remove_with_displays
from MedCNNLib.steps import Steps, finish
from MedCNNLib.volumes import filling, image_from_node, renew_voxels

__all__ = [
    "add_evaluation",
    "add_heatmaps",
    "adding_heatmaps",
    "answer_columns",
    "heatmaps_beside",
    "labels_to_ask",
    "remove_answers",
    "scale_of",
    "summary",
    "volume_of",
]

_ALL_UP_TO = 2**22
"""Voxels of an image that gets a heatmap of every label: 16 MB each."""

_LABEL, _IMAGE = "MedCNN.Label", "MedCNN.Image"
_LOW, _HIGH = "MedCNN.WindowLow", "MedCNN.WindowHigh"
_MODEL, _METHOD = "MedCNN.Model", "MedCNN.Method"
_VOLUME = "vtkMRMLScalarVolumeNode"
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

    Those of the same image, model, label and method are renewed, also in a scene that
    was read again, or under a name that the user gave them.

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
        nodes[label] = yield from _adding_heatmap(node, heat, result.model)
    name = f"{_still_there(node)} {result.model}"
    asked = Question(node.GetScene(), "classify", result.model, image=node)
    table_node(asked, name, answer_columns(result))
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


def heatmaps_beside(
    heat: slicer.vtkMRMLScalarVolumeNode,
) -> dict[str, slicer.vtkMRMLScalarVolumeNode]:
    """Return the heatmaps of a heatmap's own answer by label, itself among them."""
    image = volume_of(heat)
    own = [heat.GetAttribute(name) for name in (_MODEL, _METHOD)]
    return {
        node.GetAttribute(_LABEL): node
        for node in nodes_of(heat.GetScene(), _VOLUME)
        if node.GetAttribute(_LABEL)
        and volume_of(node) is image
        and [node.GetAttribute(name) for name in (_MODEL, _METHOD)] == own
    }


def remove_answers(node: slicer.vtkMRMLVolumeNode) -> None:
    """Remove the tables and heatmaps of an image, and what shows them."""
    for kind in (_VOLUME, "vtkMRMLTableNode"):
        for answer in nodes_of(node.GetScene(), kind):
            if answer.GetNodeReference(_IMAGE) is node:
                remove_with_displays(answer)


def add_evaluation(
    scene: slicer.vtkMRMLScene, evaluation: dict[str, Any], *, model: str, data: str
) -> tuple[slicer.vtkMRMLTableNode, list[slicer.vtkMRMLPlotChartNode]]:
    """Add a table of results, and an ROC chart of every label that has a curve.

    Those of the same model on the same data are renewed.

    Args:
        scene: Where they are added.
        evaluation: evaluation.json.
        model: The id of what was measured.
        data: The path of what it was measured on.
    """
    asked = Question(scene, "evaluate", model, data)
    of = f"{model} {PurePath(data).name}"
    table = table_node(asked, f"Evaluation {of}", summary(evaluation))
    results = evaluation["labels"].items()
    charts = [
        roc_chart(asked, label, each, of=of) for label, each in results if each["roc"]
    ]
    asked.remove_others()
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


def _adding_heatmap(node: slicer.vtkMRMLVolumeNode, heat: Heatmap, model: str) -> Steps:
    """Add or renew a heatmap on its image's grid, and its colours."""
    image = image_from_node(node)
    array = np.asarray(heat.ijk(), np.float32)
    is_own_grid = array.shape == image.array.shape or heat.affine is None
    affine = image.affine if is_own_grid else heat.affine
    if is_own_grid:
        array = as_in_volume(array, heat.affine, image)
    voxels = yield from filling(array)
    by = (model, heat.method)
    name = f"{_still_there(node)} {heat.label} heat ({', '.join(by)})"
    asked = Question(node.GetScene(), "heatmap", *by, heat.label, image=node)
    added = asked.node(_VOLUME, name)
    renew_voxels(added, voxels, affine, node)
    low, high = heat.window
    added.SetDescription(f"{heat.label}: {heat.window_words}")
    facts = {_LABEL: heat.label, _MODEL: model, _METHOD: heat.method}
    for key, value in (facts | {_LOW: low, _HIGH: high}).items():
        added.SetAttribute(key, str(value))
    show_as_heat(added, Scale(low, high, _legend(heat)))
    return added


def _legend(heat: Heatmap) -> str:
    return f"{heat.label}\n{heat.method} [{heat.unit}]" if heat.unit else heat.label
