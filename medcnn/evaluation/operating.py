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
from medcnn.metrics.rates import likelihood_ratios, predictive_values

__all__ = ["measure_point"]

_LOG = "log method; cases counted as independent"


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
    positive, negative = (
        estimate_of(ratio, _LOG) for ratio in likelihood_ratios(counts)
    )
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
            _values(sensitivity.value, specificity.value, prevalence)
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


def _values(
    sensitivity: float, specificity: float, prevalence: float
) -> PredictiveValues:
    """Return the predictive values at a prevalence, by Bayes' rule."""
    ppv, npv = predictive_values(sensitivity, specificity, prevalence)
    return PredictiveValues(prevalence=prevalence, ppv=ppv, npv=npv)


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
