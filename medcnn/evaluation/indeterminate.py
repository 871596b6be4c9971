"""Cases of known truth without a usable answer: what they could change at worst.

STARD-AI asks (item 19) how indeterminate results were handled. The main analysis leaves
them out; here they are counted in, in the least favourable way and in the way of a
reading room, where an image without an answer goes to a reader.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medcnn.errors import UndefinedMetricError
from medcnn.evaluation.predictions import Predictions
from medcnn.evaluation.records import Estimate, Indeterminate
from medcnn.metrics.roc import clustered_ci

__all__ = ["Open", "measure_indeterminate"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Open:
    """The cases of one label that have no usable answer.

    Attributes:
        record: What is told of them.
        truth: 1 or 0, (M,).
        clusters: Number of whose each is, (M,).
    """

    record: Indeterminate
    truth: FloatArray
    clusters: npt.NDArray[np.intp]


def measure_indeterminate(predictions: Predictions, label: str) -> Open | None:
    """Measure what the cases without usable answer could change; None if none are."""
    n = predictions.labels.index(label)
    truth, score = predictions.truth[:, n], predictions.score[:, n]
    known = ~np.isnan(truth)
    is_open = known & ~predictions.is_ok
    if not is_open.any():
        return None
    clusters = predictions.clusters
    has_score = known & ~np.isnan(score)
    worst = score.copy()
    told = score[known & predictions.is_ok]
    low, high = (told.min() - 1, told.max() + 1) if told.size else (0.0, 1.0)
    worst[is_open] = np.where(truth[is_open] == 1, low, high)
    record = Indeterminate(
        n_positive=int((truth[is_open] == 1).sum()),
        n_negative=int((truth[is_open] == 0).sum()),
        auroc_with_scores=_area(
            truth[has_score],
            score[has_score],
            clusters[has_score],
            "with those that the network still scored",
        ),
        auroc_worst=_area(
            truth[known],
            worst[known],
            clusters[known],
            "each as wrong as it can be",
        ),
    )
    return Open(record, truth[is_open], clusters[is_open])


def _area(
    truth: FloatArray, score: FloatArray, clusters: npt.NDArray[np.intp], method: str
) -> Estimate | None:
    try:
        value, low, high = clustered_ci(truth, score, clusters)
    except UndefinedMetricError:
        return None
    return Estimate(value=value, ci95=(low, high), method=f"DeLong, {method}")
