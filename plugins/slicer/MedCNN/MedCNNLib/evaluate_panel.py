"""The section Evaluate: labelled images, the ROC chart and the table of results."""

import tempfile
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import slicer

from MedCNNLib.client import Job
from MedCNNLib.data_section import DataSection
from MedCNNLib.findings import add_evaluation, summary
from MedCNNLib.steps import Steps
from MedCNNLib.tables import fill_table

__all__ = ["EvaluatePanel"]

_REPORT = "report.html"


class EvaluatePanel(DataSection):
    """Measure the chosen model on labelled images.

    Args:
        ui: The panel's widgets by name.
        owner: The module's widget.
    """

    def __init__(self, ui: Any, owner: Any) -> None:
        super().__init__(ui, owner, ui.evaluatePath)
        ui.evaluateButton.connect("clicked(bool)", self._evaluate)
        ui.evaluateLabel.setOpenExternalLinks(True)

    def refresh(self, *, busy: bool) -> None:
        """Enable what can be done now."""
        can = bool(self._data) and bool(self._owner.classifyPanel.model)
        self._ui.evaluateButton.setEnabled(can and not busy)

    def _evaluate(self, *_: Any) -> None:
        model = self._owner.classifyPanel.model["id"]
        done = partial(self._measured, model, self._data)
        self._ask("Evaluating ...", "evaluate", done, model=model)

    def _measured(self, model: str, data: str, job: Job) -> Steps:
        """Show a finished evaluation: table, ROC charts, and the report's link."""
        found = job.result()
        words = [escape(each) for each in found["evaluation"].get("warnings", [])]
        if _REPORT in found["files"]:
            folder = tempfile.mkdtemp(prefix="medcnn-report-")
            path = yield from self._client.downloading(job.id, _REPORT, folder)
            words.append(f'<a href="{Path(path).as_uri()}">Open the report</a>')
        fill_table(self._ui.evaluateTable, summary(found["evaluation"]))
        scene, measured = slicer.mrmlScene, found["evaluation"]
        _, charts = add_evaluation(scene, measured, model=model, data=data)
        if charts:
            _show_chart(charts[0])
        self._ui.evaluateLabel.setText("<br>".join(words))


def _show_chart(chart: slicer.vtkMRMLPlotChartNode) -> None:
    """Show a chart, in a layout that has a place for it."""
    layouts = getattr(getattr(slicer, "modules", None), "plots", None)
    if layouts is not None and getattr(slicer, "app", None) is not None:
        layouts.logic().ShowChartInLayout(chart)
