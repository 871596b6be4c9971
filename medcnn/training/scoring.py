"""What a validation says: one area under the ROC curve for each label."""

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from medcnn.dataset import CaseTable
from medcnn.errors import RecipeError, UndefinedMetricError
from medcnn.metrics.roc import roc_auc
from medcnn.planning.sections import Select

__all__ = ["Selection", "label_auc", "ranking"]

FloatArray = npt.NDArray[np.floating]


def ranking(activation: str, logits: FloatArray) -> FloatArray:
    """Return what cases are ranked by, (N, L): logits, or shares of a softmax."""
    if activation == "softmax":
        return np.asarray(softmax(logits.astype(np.float64), axis=1))
    return logits


def label_auc(truth: FloatArray, score: FloatArray) -> float | None:
    """Return the area for the cases whose truth is known, None if undefined."""
    known = ~np.isnan(truth)
    try:
        return roc_auc(truth[known], score[known])
    except UndefinedMetricError:
        return None


class Selection:
    """The score that picks the best epoch.

    Args:
        select: The recipe's part.
        table: The validation cases.

    Raises:
        RecipeError: If the label is none, or the score is undefined on these cases.
    """

    def __init__(self, select: Select, table: CaseTable) -> None:
        labels, several = table.labels, len(table.labels) > 2
        if select.label is not None and select.label not in labels:
            msg = f"select.label is {select.label!r}, the labels are "
            raise RecipeError(msg + ", ".join(labels))
        if select.label is not None:
            self.labels: tuple[str, ...] = (select.label,)
        else:
            every = table.activation == "softmax" and several
            self.labels = labels if every else labels[:1]
        self._columns = [labels.index(label) for label in self.labels]
        self._chosen = table.matching(select.where)
        self._truth = table.truth()
        self._activation = table.activation
        self.name = _name(self.labels, select.where)
        self(np.zeros((len(table.cases), len(labels))))

    def __call__(self, logits: FloatArray) -> float:
        """Return the score of these logits, (N, L) over the validation cases.

        Raises:
            RecipeError: If a label has only one class among them.
        """
        score, areas = ranking(self._activation, logits), []
        for label, column in zip(self.labels, self._columns, strict=True):
            truth = self._truth[self._chosen, column]
            area = label_auc(truth, score[self._chosen, column])
            if area is None:
                known = truth[~np.isnan(truth)]
                msg = f"validation cannot choose by {label!r}: {int(known.sum())} of "
                msg += f"{len(known)} validation cases are positive"
                raise RecipeError(msg, hint="Change [select], or the val split.")
            areas.append(area)
        return float(np.mean(areas))


def _name(labels: tuple[str, ...], where: dict[str, str]) -> str:
    """Say what is scored, in words."""
    what = labels[0] if len(labels) == 1 else f"mean of {len(labels)} classes"
    parts = [f"{name} = {value}" for name, value in where.items()]
    return f"{what} ({', '.join(parts)})" if parts else what
