"""Everything that is measured for one label."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medcnn.evaluation.calibrated import measure_calibration
from medcnn.evaluation.curves import Curves, draw_curves, histogram
from medcnn.evaluation.discrimination import (
    Settings,
    Side,
    area,
    area_by_resampling,
    partial,
    precision_area,
)
from medcnn.evaluation.indeterminate import measure_indeterminate
from medcnn.evaluation.operating import measure_point
from medcnn.evaluation.predictions import Predictions
from medcnn.evaluation.records import GalleryCase, LabelResult
from medcnn.evaluation.rules import Point
from medcnn.evaluation.subgroups import Group, Sides, measure_groups

__all__ = ["measure_label"]

FloatArray = npt.NDArray[np.float64]

MOST_SHOWN = 6
"""Cases of each kind in the gallery of a label."""


def measure_label(
    predictions: Predictions,
    label: str,
    points: Sequence[Point],
    groups: Sequence[Group],
    settings: Settings,
) -> LabelResult:
    """Measure a label on all its cases of known truth and usable answer.

    Args:
        predictions: The cases.
        label: One of their labels.
        points: The thresholds, fixed beforehand, the main one first.
        groups: The subgroups of all cases.
        settings: How numbers are found.
    """
    use = predictions.counts_for(label)
    truth, score = predictions.known(label)
    side = Side(truth, score, predictions.clusters[use], settings)
    undefined: dict[str, str] = {}
    auroc = area(side, undefined)
    is_probability = predictions.kind == "probability"
    curves = _curves(side, is_probability=is_probability)
    threshold = points[0].threshold if points else None
    sides = Sides(truth, score, side.clusters, predictions.has_patients, threshold)
    column = predictions.truth[:, predictions.labels.index(label)]
    patients = len(np.unique(side.clusters)) if predictions.has_patients else None
    worst = measure_indeterminate(predictions, label)
    return LabelResult(
        n_positive=int((truth == 1).sum()),
        n_negative=int((truth == 0).sum()),
        n_unknown=int(np.isnan(column[predictions.is_ok]).sum()),
        n_patients=patients,
        prevalence=float(truth.mean()) if truth.size else None,
        auroc=auroc,
        auroc_bootstrap=area_by_resampling(side),
        auprc=precision_area(side, undefined),
        partial_auroc=partial(side),
        operating_points=tuple(
            measure_point(side, point, worst) for point in points if side.has_both
        ),
        calibration=measure_calibration(side, undefined) if is_probability else None,
        subgroups=measure_groups(groups, sides, use) if truth.size else (),
        net_benefit=() if curves is None else curves.net_benefit,
        workload=None if curves is None else curves.workload,
        roc=None if curves is None else curves.roc,
        precision_recall=None if curves is None else curves.precision_recall,
        histogram=histogram(truth, score, is_probability=is_probability)
        if truth.size
        else None,
        gallery=_gallery(predictions, label, threshold),
        indeterminate=None if worst is None else worst.record,
        undefined=undefined,
    )


def _curves(side: Side, *, is_probability: bool) -> Curves | None:
    """Return what is drawn; None where only one class is there."""
    if not side.has_both:
        return None
    rng = np.random.default_rng(side.settings.seed)
    return draw_curves(
        side.truth, side.score, side.clusters, rng, is_probability=is_probability
    )


def _gallery(
    predictions: Predictions, label: str, threshold: float | None
) -> tuple[GalleryCase, ...]:
    """Return the worst misses and false alarms, worst first."""
    n = predictions.labels.index(label)
    use = predictions.counts_for(label)
    if threshold is None:
        return ()
    truth, score = predictions.truth[:, n], predictions.score[:, n]
    missed = np.flatnonzero(use & (truth == 1) & (score < threshold))
    alarms = np.flatnonzero(use & (truth == 0) & (score >= threshold))
    missed = missed[np.argsort(score[missed], kind="stable")][:MOST_SHOWN]
    alarms = alarms[np.argsort(-score[alarms], kind="stable")][:MOST_SHOWN]
    return tuple(
        GalleryCase(
            kind="missed" if truth[at] == 1 else "false alarm",
            case=predictions.cases[at],
            patient_id=predictions.patients[at],
            score=float(score[at]),
            columns={k: v[at] for k, v in predictions.columns.items() if v[at]},
        )
        for at in [*missed.tolist(), *alarms.tolist()]
    )
