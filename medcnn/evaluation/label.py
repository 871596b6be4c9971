"""Everything that is measured for one label."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medcnn.evaluation.calibrated import measure_calibration, net_benefits
from medcnn.evaluation.curves import histogram, roc_and_precision, thinned
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
from medcnn.evaluation.records import (
    Curve,
    GalleryCase,
    Histogram,
    LabelResult,
    Workload,
    WorkloadPoint,
)
from medcnn.evaluation.rules import Point
from medcnn.evaluation.subgroups import Group, Sides, measure_groups
from medcnn.metrics.workload import workload_at, workload_curve

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
    roc, precision, workload, bars = _curves(side, is_probability=is_probability)
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
        net_benefit=net_benefits(side) if is_probability and side.has_both else (),
        workload=workload,
        roc=roc,
        precision_recall=precision,
        histogram=bars,
        gallery=_gallery(predictions, label, threshold),
        indeterminate=None if worst is None else worst.record,
        undefined=undefined,
    )


def _curves(
    side: Side, *, is_probability: bool
) -> tuple[Curve | None, Curve | None, Workload | None, Histogram | None]:
    """Return what is drawn, None where it does not exist."""
    if not side.truth.size:
        return None, None, None, None
    bars = histogram(side.truth, side.score, is_probability=is_probability)
    if not side.has_both:
        return None, None, None, bars
    rng = np.random.default_rng(side.settings.seed)
    roc, precision = roc_and_precision(side.truth, side.score, side.clusters, rng)
    return roc, precision, _workload(side), bars


def _workload(side: Side) -> Workload:
    """Return which share of the cases must be read to miss how many diseased."""
    read, missed, _ = workload_curve(side.truth, side.score)
    x, y = thinned(read, missed)
    points = [
        WorkloadPoint(read=round(a, 6), missed=round(b, 6))
        for a, b in zip(x.tolist(), y.tolist(), strict=True)
    ]
    return Workload(
        points=tuple(points),
        read_for_95=workload_at(side.truth, side.score, 0.05)[0],
        read_for_all=workload_at(side.truth, side.score, 0.0)[0],
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
