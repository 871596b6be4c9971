"""Numbers as Slicer shows them: tables, and the ROC curve as a chart."""

from collections.abc import Mapping, Sequence
from typing import Any

import slicer
import vtk

from MedCNNLib.errors import ViewerError
from MedCNNLib.renewal import Question

__all__ = ["roc_chart", "table_node"]

_POINTS = "operating points"
_BLUE, _GREY, _ORANGE = (0.0, 0.45, 0.70), (0.6, 0.6, 0.6), (0.84, 0.37, 0.0)
_X, _Y = "1 - specificity", "sensitivity"


def table_node(
    asked: Question, name: str, columns: Mapping[str, Sequence[Any]], *parts: str
) -> slicer.vtkMRMLTableNode:
    """Add or renew a table: numbers stay numbers, None is an empty cell, the rest text.

    Args:
        asked: What the table answers.
        name: Of a new table.
        columns: Values by title.
        parts: Which part of the question it answers.
    """
    table = vtk.vtkTable()
    for title, values in columns.items():
        table.AddColumn(_column(title, list(values)))
    table.SetNumberOfRows(max((len(values) for values in columns.values()), default=0))
    node = asked.node("vtkMRMLTableNode", name, "table", *parts)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetAndObserveTable(table)
    return node


def roc_chart(
    asked: Question, label: str, result: Mapping[str, Any], *, of: str = ""
) -> slicer.vtkMRMLPlotChartNode:
    """Draw a label's ROC curve with its interval and operating points.

    Args:
        asked: What tables, series and chart answer; they are renewed.
        label: Whose curve it is.
        result: `labels[label]` of evaluation.json.
        of: What was measured on what, for the names of new nodes.

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
    name = f"ROC {label} {of}".strip()
    chart = asked.node("vtkMRMLPlotChartNode", name, "ROC", label)
    chart.SetTitle(title)
    chart.SetXAxisTitle(_X)
    chart.SetYAxisTitle(_Y)
    for wanted in (chart.SetXAxisRangeAuto, chart.SetYAxisRangeAuto):
        wanted(False)
    chart.SetXAxisRange(0, 1)
    chart.SetYAxisRange(0, 1)
    chart.SetLegendVisibility(True)
    lines = _Lines(asked, chart, label, name)
    _add_curves(lines, label, curve)
    points = [at for at in result.get("operating_points", []) if _has_rates(at)]
    if points:
        _add_points(lines, points)
    return chart


class _Lines:
    """The lines of a chart, each with the table of its values.

    Args:
        asked: What they answer.
        chart: Where they are drawn.
        label: Whose curve it is.
        name: That the names of new tables begin with.
    """

    def __init__(
        self, asked: Question, chart: slicer.vtkMRMLPlotChartNode, label: str, name: str
    ) -> None:
        self._asked, self._chart, self._label, self._name = asked, chart, label, name

    def series(
        self,
        part: str,
        words: str,
        columns: Mapping[str, Sequence[Any]],
        colour: tuple[float, float, float],
    ) -> slicer.vtkMRMLPlotSeriesNode:
        """Add or renew a series of a table's first two columns; words are its name."""
        parts = (self._label, part)
        table = table_node(self._asked, f"{self._name}: {part}", columns, *parts)
        series = self._asked.node("vtkMRMLPlotSeriesNode", words, "series", *parts)
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName(_X)
        series.SetYColumnName(_Y)
        series.SetColor(*colour)
        if not self._chart.HasPlotSeriesNodeID(series.GetID()):
            self._chart.AddAndObservePlotSeriesNodeID(series.GetID())
        return series


def _add_curves(lines: _Lines, label: str, curve: Mapping[str, Any]) -> None:
    """Add the curve, both edges of its interval and the line of chance."""
    lines.series("curve", label, {_X: curve["x"], _Y: curve["y"]}, _BLUE)
    for edge in ("low", "high"):
        if curve["band_x"]:
            columns = {_X: curve["band_x"], _Y: curve[edge]}
            words = f"95 % interval, {edge}"
            series = lines.series(f"interval, {edge}", words, columns, _BLUE)
            series.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleDash)
            series.SetLineWidth(1)
    chance = {_X: [0.0, 1.0], _Y: [0.0, 1.0]}
    lines.series("chance", "chance", chance, _GREY).SetLineWidth(1)


def _add_points(lines: _Lines, points: list[Mapping[str, Any]]) -> None:
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
    series = lines.series(_POINTS, _POINTS, columns, _ORANGE)
    series.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleNone)
    series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle)
    series.SetMarkerSize(10)
    series.SetLabelColumnName("rule")


def _has_rates(point: Mapping[str, Any]) -> bool:
    return bool(point.get("sensitivity")) and bool(point.get("specificity"))


def _column(title: str, values: list[Any]) -> vtk.vtkAbstractArray:
    """Return a column of numbers if all are, else of text."""
    is_number = all(isinstance(v, (int, float)) and v is not True for v in values)
    column = vtk.vtkDoubleArray() if is_number and values else vtk.vtkStringArray()
    column.SetName(title)
    for value in values:
        empty = "" if value is None else value
        column.InsertNextValue(value if is_number else str(empty))
    return column
