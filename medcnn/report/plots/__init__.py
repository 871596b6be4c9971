"""The figures of an evaluation, in one style, as SVG and PNG."""

from matplotlib.figure import Figure

from medcnn.evaluation import Evaluation
from medcnn.report.plots.benefit import decision, reading
from medcnn.report.plots.curves import precision_recall, roc
from medcnn.report.plots.groups import confusion, label_areas, subgroups
from medcnn.report.plots.scores import calibration, distribution
from medcnn.report.plots.style import Rendered, drawing, render
from medcnn.report.plots.trust import pixel_curves, pointing

__all__ = ["Rendered", "evaluation_figures"]


def evaluation_figures(evaluation: Evaluation) -> dict[tuple[str, str], Rendered]:
    """Draw everything that there is to draw.

    Returns:
        By label ("" for all labels together) and kind: roc, precision-recall,
        calibration, decision, workload, scores, subgroups; labels, confusion, pointing,
        pixels.
    """
    found: dict[tuple[str, str], Rendered] = {}
    with drawing():
        for label, result in evaluation.labels.items():
            drawn = {
                "roc": roc(result),
                "precision-recall": precision_recall(result),
                "calibration": calibration(result),
                "decision": decision(result),
                "workload": reading(result),
                "scores": distribution(result, evaluation.scores),
                "subgroups": subgroups(result),
            }
            _add(found, label, drawn)
        _add(
            found,
            "",
            {
                "labels": label_areas(evaluation),
                "confusion": confusion(evaluation),
                "pointing": pointing(evaluation.trust),
                "pixels": pixel_curves(evaluation.trust),
            },
        )
    return found


def _add(
    found: dict[tuple[str, str], Rendered],
    label: str,
    drawn: dict[str, Figure | None],
) -> None:
    for kind, figure in drawn.items():
        if figure is not None:
            found[label, kind] = render(figure)
