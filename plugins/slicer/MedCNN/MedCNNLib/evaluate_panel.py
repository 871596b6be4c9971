"""The section Evaluate: labelled images, the ROC chart and the table of results."""

import tempfile
from html import escape
from pathlib import Path
from typing import Any

import slicer

from MedCNNLib.client import Client, Job
from MedCNNLib.findings import add_evaluation, summary
from MedCNNLib.session import Task
from MedCNNLib.tables import fill_table

__all__ = ["EvaluatePanel"]

_REPORT = "report.html"


class EvaluatePanel:
    """Measure the chosen model on labelled images.

    Args:
        ui: The panel's widgets by name.
        owner: The module's widget.
    """

    def __init__(self, ui: Any, owner: Any) -> None:
        self._ui, self._owner = ui, owner
        self._client: Client | None = None
        ui.evaluateButton.connect("clicked(bool)", self._evaluate)
        ui.evaluatePath.connect("currentPathChanged(QString)", self._path_changed)
        ui.evaluateLabel.setOpenExternalLinks(True)

    def refresh(self, *, busy: bool) -> None:
        """Enable what can be done now."""
        can = (
            bool(self._ui.evaluatePath.currentPath) and self._owner.classifyPanel.model
        )
        self._ui.evaluateButton.setEnabled(bool(can) and not busy)

    def _path_changed(self, *_: Any) -> None:
        self.refresh(busy=self._owner.isBusy)

    def _evaluate(self, *_: Any) -> None:
        data = self._ui.evaluatePath.currentPath
        model = self._owner.classifyPanel.model["id"]

        def submit(client: Client) -> Job:
            self._client = client
            return client.submit_evaluate(data, model)

        self._owner.run(Task("Evaluating ...", submit, self._measured))

    def _measured(self, job: Job) -> None:
        """Show a finished evaluation: table, ROC charts, and the report's link."""
        self._owner.done()
        found = job.result()
        evaluation = found["evaluation"]
        fill_table(self._ui.evaluateTable, summary(evaluation))
        _, charts = add_evaluation(slicer.mrmlScene, evaluation)
        if charts:
            _show_chart(charts[0])
        words = [escape(each) for each in evaluation.get("warnings", [])]
        if _REPORT in found["files"]:
            folder = tempfile.mkdtemp(prefix="medcnn-report-")
            path = self._client.download(job.id, _REPORT, folder)
            words.append(f'<a href="{Path(path).as_uri()}">Open the report</a>')
        self._ui.evaluateLabel.setText("<br>".join(words))


def _show_chart(chart: slicer.vtkMRMLPlotChartNode) -> None:
    """Show a chart, in a layout that has a place for it."""
    layouts = getattr(getattr(slicer, "modules", None), "plots", None)
    if layouts is not None and getattr(slicer, "app", None) is not None:
        layouts.logic().ShowChartInLayout(chart)
