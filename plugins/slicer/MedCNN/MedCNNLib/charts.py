"""Numbers as Slicer shows them: tables, and the ROC curve as a chart."""

from collections.abc import Mapping, Sequence
from typing import Any

import slicer
import vtk

from MedCNNLib.errors import ViewerError

__all__ = ["roc_chart", "table_node"]

_AREA, _BAND, _CHANCE, _POINTS = "curve", "interval", "chance", "operating points"
_BLUE, _GREY, _ORANGE = (0.0, 0.45, 0.70), (0.6, 0.6, 0.6), (0.84, 0.37, 0.0)
_X, _Y = "1 - specificity", "sensitivity"


def table_node(
    scene: slicer.vtkMRMLScene, name: str, columns: Mapping[str, Sequence[Any]]
) -> slicer.vtkMRMLTableNode:
    """Add a table: numbers stay numbers, None is an empty cell, the rest is text."""
    table = vtk.vtkTable()
    for title, values in columns.items():
        table.AddColumn(_column(title, list(values)))
    table.SetNumberOfRows(max((len(values) for values in columns.values()), default=0))
    node = slicer.vtkMRMLTableNode()
    node.SetName(scene.GenerateUniqueName(name))
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetAndObserveTable(table)
    scene.AddNode(node)
    return node


def roc_chart(
    scene: slicer.vtkMRMLScene, label: str, result: Mapping[str, Any]
) -> slicer.vtkMRMLPlotChartNode:
    """Draw a label's ROC curve with its interval and operating points.

    Args:
        scene: Where tables, series and chart are added.
        label: Whose curve it is.
        result: `labels[label]` of evaluation.json.

    Raises:
        ViewerError: If the label has no curve: one class only.
    """
    curve, area = result.get("roc"), result.get("auroc")
    if not curve or not area:
        healthy, ill = result.get("n_negative"), result.get("n_positive")
        msg = f"{label} has no ROC curve: {ill} cases with it and {healthy} without."
        raise ViewerError(msg, hint="Evaluate on data that hold both.")
    low, high = area["ci95"]
    title = f"{label}: AUC {area['value']:.3f} (95 % CI {low:.3f} to {high:.3f})"
    chart = slicer.vtkMRMLPlotChartNode()
    chart.SetName(scene.GenerateUniqueName(f"ROC {label}"))
    chart.SetTitle(title)
    chart.SetXAxisTitle(_X)
    chart.SetYAxisTitle(_Y)
    for wanted in (chart.SetXAxisRangeAuto, chart.SetYAxisRangeAuto):
        wanted(False)
    chart.SetXAxisRange(0, 1)
    chart.SetYAxisRange(0, 1)
    chart.SetLegendVisibility(True)
    scene.AddNode(chart)
    _add_curves(chart, label, curve)
    points = [at for at in result.get("operating_points", []) if _has_rates(at)]
    if points:
        _add_points(chart, label, points)
    return chart


def _add_curves(
    chart: slicer.vtkMRMLPlotChartNode, label: str, curve: Mapping[str, Any]
) -> None:
    """Add the curve, both edges of its interval and the line of chance."""
    scene = chart.GetScene()
    line = {_X: curve["x"], _Y: curve["y"]}
    _add_line(chart, _table(scene, f"ROC {label}", line), f"{label}", _BLUE)
    for edge in ("low", "high"):
        if curve["band_x"]:
            columns = {_X: curve["band_x"], _Y: curve[edge]}
            table = _table(scene, f"ROC {label} {edge}", columns)
            series = _add_line(chart, table, f"95 % interval, {edge}", _BLUE)
            series.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleDash)
            series.SetLineWidth(1)
    table = _table(scene, "Chance", {_X: [0.0, 1.0], _Y: [0.0, 1.0]})
    _add_line(chart, table, "chance", _GREY).SetLineWidth(1)


def _add_points(
    chart: slicer.vtkMRMLPlotChartNode, label: str, points: list[Mapping[str, Any]]
) -> None:
    """Mark the operating points; the table holds their intervals."""
    columns = {
        _X: [1 - at["specificity"]["value"] for at in points],
        _Y: [at["sensitivity"]["value"] for at in points],
        "rule": [at["name"] for at in points],
        "threshold": [at["threshold"] for at in points],
        "chosen on": [at["chosen_on"] for at in points],
    }
    for rate in ("sensitivity", "specificity"):
        for place, edge in enumerate(("low", "high")):
            columns[f"{rate} {edge}"] = [at[rate]["ci95"][place] for at in points]
    table = table_node(chart.GetScene(), f"Operating points {label}", columns)
    series = _series(chart, table, _POINTS, _ORANGE)
    series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
    series.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleNone)
    series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle)
    series.SetMarkerSize(10)
    series.SetLabelColumnName("rule")


def _has_rates(point: Mapping[str, Any]) -> bool:
    return bool(point.get("sensitivity")) and bool(point.get("specificity"))


def _add_line(
    chart: slicer.vtkMRMLPlotChartNode,
    table: slicer.vtkMRMLTableNode,
    name: str,
    colour: tuple[float, float, float],
) -> slicer.vtkMRMLPlotSeriesNode:
    series = _series(chart, table, name, colour)
    series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
    series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
    return series


def _series(
    chart: slicer.vtkMRMLPlotChartNode,
    table: slicer.vtkMRMLTableNode,
    name: str,
    colour: tuple[float, float, float],
) -> slicer.vtkMRMLPlotSeriesNode:
    """Add a series of a table's first two columns to a chart."""
    series = slicer.vtkMRMLPlotSeriesNode()
    series.SetName(name)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName(_X)
    series.SetYColumnName(_Y)
    series.SetColor(*colour)
    chart.GetScene().AddNode(series)
    chart.AddAndObservePlotSeriesNodeID(series.GetID())
    return series


def _table(
    scene: slicer.vtkMRMLScene, name: str, columns: Mapping[str, Sequence[float]]
) -> slicer.vtkMRMLTableNode:
    return table_node(scene, name, columns)


def _column(title: str, values: list[Any]) -> vtk.vtkAbstractArray:
    """Return a column of numbers if all are, else of text."""
    is_number = all(isinstance(v, (int, float)) and v is not True for v in values)
    column = vtk.vtkDoubleArray() if is_number and values else vtk.vtkStringArray()
    column.SetName(title)
    for value in values:
        empty = "" if value is None else value
        column.InsertNextValue(value if is_number else str(empty))
    return column
