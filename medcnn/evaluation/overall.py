"""What is measured over all labels together."""

import numpy as np

from medcnn.errors import UndefinedMetricError
from medcnn.evaluation.discrimination import Settings
from medcnn.evaluation.macro import mean_precision
from medcnn.evaluation.predictions import Predictions
from medcnn.evaluation.records import Estimate, LabelResult, Macro, MultiClass
from medcnn.evaluation.shares import share
from medcnn.metrics.multiclass import confusion_matrix, macro_auc, macro_auc_ci

__all__ = ["measure_accuracy", "measure_classes", "measure_macro"]

_HALF = 0.5
_MACRO = "mean of the labels, DeLong components of all labels, clustered, logit scale"


def measure_macro(
    predictions: Predictions, labels: dict[str, LabelResult], settings: Settings
) -> Macro:
    """Return the mean areas over the labels that have one.

    The intervals know that the labels share their cases.
    """
    there = tuple(name for name, found in labels.items() if found.auroc is not None)
    return Macro(
        auroc=_mean_area(predictions, there) if there else None,
        auprc=_mean_precision(predictions, labels, there, settings),
        labels=there,
        left_out=tuple(name for name in labels if name not in there),
    )


def _mean_precision(
    predictions: Predictions,
    labels: dict[str, LabelResult],
    there: tuple[str, ...],
    settings: Settings,
) -> Estimate | None:
    """Return the mean average precision; of a single label its own."""
    if not there:
        return None
    if len(there) == 1:
        return labels[there[0]].auprc
    return mean_precision(predictions, there, settings)


def measure_accuracy(predictions: Predictions) -> Estimate | None:
    """Return the share of right calls as MedMNIST defines it.

    For classes the highest score is the call; for labels a probability above 0.5 is,
    and the shares of the labels are averaged. None where nothing is known, or scores
    of labels are no probabilities.

    References:
        [1] Yang et al., MedMNIST v2, Sci. Data 10 (2023) 41.
    """
    if predictions.is_exclusive:
        found = measure_classes(predictions)
        return None if found is None else found.accuracy
    if predictions.kind != "probability":
        return None
    known = ~np.isnan(predictions.truth) & predictions.is_ok[:, None]
    rows = known.any(axis=1)
    if not rows.any():
        return None
    right = (predictions.score > _HALF) == (predictions.truth == 1)
    if len(predictions.labels) == 1:
        return share(right[rows, 0], predictions.clusters[rows])
    parts = [right[known[:, n], n].mean() for n in np.flatnonzero(known.any(axis=0))]
    words = "mean over labels of right calls at 0.5; no interval"
    return Estimate(value=float(np.mean(parts)), ci95=None, method=words)


def measure_classes(predictions: Predictions) -> MultiClass | None:
    """Return how classes are mixed up; None if the labels are no classes."""
    if not predictions.is_exclusive:
        return None
    use = predictions.is_ok & ~np.isnan(predictions.truth).any(axis=1)
    if not use.any():
        return None
    true = predictions.truth[use].argmax(axis=1)
    called = predictions.score[use].argmax(axis=1)
    clusters = predictions.clusters[use]
    table = confusion_matrix(true, called, len(predictions.labels))
    accuracy = share(true == called, clusters)
    if accuracy is None:
        return None
    return MultiClass(
        classes=predictions.labels,
        confusion=tuple(map(tuple, table.tolist())),
        accuracy=accuracy,
        sensitivities={
            name: share(called[true == n] == n, clusters[true == n])
            for n, name in enumerate(predictions.labels)
        },
    )


def _mean_area(predictions: Predictions, names: tuple[str, ...]) -> Estimate:
    """Return the mean area of labels that have both classes."""
    use = predictions.is_ok
    at = [predictions.labels.index(name) for name in names]
    truth, score = predictions.truth[use][:, at], predictions.score[use][:, at]
    try:
        value, low, high = macro_auc_ci(truth, score, predictions.clusters[use])
    except UndefinedMetricError as error:
        words = f"mean of the labels; no interval: {error.message}"
        return Estimate(value=macro_auc(truth, score), ci95=None, method=words)
    return Estimate(value=value, ci95=(low, high), method=_MACRO)
