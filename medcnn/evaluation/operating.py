"""What a threshold achieves, with intervals."""

from dataclasses import asdict

import numpy as np
import numpy.typing as npt

from medcnn.errors import UndefinedMetricError
from medcnn.evaluation.discrimination import Side
from medcnn.evaluation.indeterminate import Open
from medcnn.evaluation.records import (
    Counts,
    Estimate,
    OperatingResult,
    PredictiveValues,
    WorstCase,
)
from medcnn.evaluation.rules import Point
from medcnn.evaluation.shares import estimate_of, share
from medcnn.metrics.counts import Confusion
from medcnn.metrics.rates import (
    design_effect,
    likelihood_ratios,
    predictive_values,
    predictive_values_ci,
)

__all__ = ["measure_point"]

_LOG = "log method"
_LOG_CLUSTERED = "log method, effective number of cases"


def measure_point(side: Side, point: Point, others: Open | None) -> OperatingResult:
    """Measure a threshold that was fixed beforehand.

    Args:
        side: Cases with both classes.
        point: The threshold.
        others: The cases without usable answer; None if there are none.
    """
    called, sick = side.score >= point.threshold, side.truth == 1
    sensitivity = _share(called[sick], side.clusters[sick])
    specificity = _share(~called[~sick], side.clusters[~sick])
    counts = Confusion(
        tp=int((called & sick).sum()),
        fp=int((called & ~sick).sum()),
        tn=int((~called & ~sick).sum()),
        fn=int((~called & sick).sum()),
    )
    effects = (
        design_effect(called[sick], side.clusters[sick]),
        design_effect(called[~sick], side.clusters[~sick]),
    )
    positive, negative = _ratios(counts, effects, is_clustered=side.is_clustered)
    return OperatingResult(
        name=point.name,
        rule=point.rule,
        threshold=point.threshold,
        chosen_on=point.chosen_on,
        is_optimistic=point.is_optimistic,
        sensitivity=sensitivity,
        specificity=specificity,
        ppv=share(sick[called], side.clusters[called]),
        npv=share(~sick[~called], side.clusters[~called]),
        lr_positive=positive,
        lr_negative=negative,
        confusion=Counts(**asdict(counts)),
        at_prevalence=tuple(
            _values(counts, effects, prevalence)
            for prevalence in side.settings.prevalences
        ),
        with_indeterminate=None if others is None else _worst(side, called, others),
    )


def _share(called: npt.ArrayLike, clusters: npt.NDArray[np.intp]) -> Estimate:
    """Return a share of cases of which there are some.

    Raises:
        UndefinedMetricError: If there are none.
    """
    found = share(called, clusters)
    if found is None:
        msg = "a share of 0 cases"
        raise UndefinedMetricError(msg)
    return found


def _ratios(
    counts: Confusion, effects: tuple[float, float], *, is_clustered: bool
) -> tuple[Estimate | None, Estimate | None]:
    """Return both likelihood ratios; None for one of a call that nobody got."""
    method = _LOG_CLUSTERED if is_clustered else _LOG
    positive, negative = likelihood_ratios(counts, effects=effects)
    return (
        estimate_of(positive, method) if counts.tp + counts.fp else None,
        estimate_of(negative, method) if counts.tn + counts.fn else None,
    )


def _values(
    counts: Confusion, effects: tuple[float, float], prevalence: float
) -> PredictiveValues:
    """Return the predictive values at a prevalence, by Bayes' rule."""
    sensitivity = counts.tp / (counts.tp + counts.fn)
    specificity = counts.tn / (counts.tn + counts.fp)
    ppv, npv = predictive_values(sensitivity, specificity, prevalence)
    if not 0 < prevalence < 1:
        return PredictiveValues(prevalence=prevalence, ppv=ppv, npv=npv)
    first, second = predictive_values_ci(counts, prevalence, effects=effects)
    return PredictiveValues(
        prevalence=prevalence,
        ppv=ppv,
        ppv_ci95=None if ppv is None else (min(ppv, first.low), max(ppv, first.high)),
        npv=npv,
        npv_ci95=None if npv is None else (min(npv, second.low), max(npv, second.high)),
    )


def _worst(side: Side, called: npt.NDArray[np.bool_], others: Open) -> WorstCase:
    """Count the cases without usable answer as wrong, and as sent to a reader."""
    truth = np.concatenate([side.truth, others.truth])
    clusters = np.concatenate([side.clusters, others.clusters])
    sick = truth == 1
    wrong = np.concatenate([called, others.truth == 0])
    sent = np.concatenate([called, np.ones(others.truth.size, dtype=bool)])
    return WorstCase(
        wrong_sensitivity=_share(wrong[sick], clusters[sick]),
        wrong_specificity=_share(~wrong[~sick], clusters[~sick]),
        called_sensitivity=_share(sent[sick], clusters[sick]),
        called_specificity=_share(~sent[~sick], clusters[~sick]),
    )
