"""Decision curves: is acting on the model better than treating all, or nobody."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medcnn.metrics.classes import FloatArray, probabilities

__all__ = ["NetBenefit", "benefit_of_counts", "net_benefit"]


@dataclass(frozen=True)
class NetBenefit:
    """Net benefit at each threshold, in true positives per case, shapes (K,).

    Attributes:
        threshold: Probability of disease from which on one would act.
        model: Acting on those whom the model puts there.
        treat_all: Acting on everybody.
        treat_none: Acting on nobody: 0.
    """

    threshold: FloatArray
    model: FloatArray
    treat_all: FloatArray
    treat_none: FloatArray


def net_benefit(
    truth: npt.ArrayLike, probability: npt.ArrayLike, thresholds: npt.ArrayLike
) -> NetBenefit:
    """Return the decision curve of calibrated probabilities.

    At threshold t a false positive costs t / (1 - t) of what a true positive gains.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,), as common as in practice.
        probability: Of disease, 0 to 1, shape (N,).
        thresholds: Above 0 and below 1, shape (K,).

    Raises:
        ValueError: If a threshold is outside.
        UndefinedMetricError: If there is no case.

    Examples:
        >>> curve = net_benefit([0, 0, 0, 1], [0.1, 0.2, 0.6, 0.9], [0.5])
        >>> curve.model.tolist(), curve.treat_all.tolist()
        ([0.0], [-0.5])

    References:
        [1] Vickers & Elkin, Med. Decis. Making 26 (2006) 565-574.
    """
    truths, values = probabilities(truth, probability)
    limits = np.atleast_1d(np.asarray(thresholds, np.float64))
    if limits.ndim != 1 or not ((limits > 0) & (limits < 1)).all():
        msg = "thresholds must be one row of numbers above 0 and below 1"
        raise ValueError(msg)
    sides = (np.sort(values[truths == 1]), np.sort(values[truths == 0]))
    tp, fp = (len(side) - np.searchsorted(side, limits, side="left") for side in sides)
    diseased, healthy = (np.full(len(limits), float(len(side))) for side in sides)
    cases = len(values)
    return NetBenefit(
        threshold=limits,
        model=benefit_of_counts(tp, fp, limits) / cases,
        treat_all=benefit_of_counts(diseased, healthy, limits) / cases,
        treat_none=np.zeros(len(limits)),
    )


def benefit_of_counts(
    true: npt.ArrayLike, false: npt.ArrayLike, thresholds: FloatArray
) -> FloatArray:
    """Return true calls less false ones weighted by what one would put up with.

    Args:
        true: Diseased that are called at each threshold, (K,); may be weighted.
        false: Healthy that are, (K,).
        thresholds: Above 0 and below 1, (K,).
    """
    cost = thresholds / (1 - thresholds)
    return np.asarray(true, np.float64) - np.asarray(false, np.float64) * cost
