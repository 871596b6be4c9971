"""The Brier score, and what it is made of."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from medcnn.metrics.classes import probabilities

__all__ = ["Brier", "brier", "brier_parts"]


@dataclass(frozen=True)
class Brier:
    """A Brier score and its parts.

    score = miscalibration - discrimination + uncertainty.

    Attributes:
        score: Mean squared distance of probability and truth.
        miscalibration: What the best rising recalibration would take away.
        discrimination: What the model, so recalibrated, is better than the prevalence.
        uncertainty: The score of the prevalence, p (1 - p).
        scaled: 1 - score / uncertainty: 1 is perfect, 0 no better than the prevalence;
            None where one class is absent.
    """

    score: float
    miscalibration: float
    discrimination: float
    uncertainty: float
    scaled: float | None


def brier(truth: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """Return the mean squared distance of probability and truth.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,); one class may be absent.
        probability: Of disease, 0 to 1, shape (N,).

    Raises:
        UndefinedMetricError: If there is no case.

    Examples:
        >>> round(brier([0, 1], [0.1, 0.7]), 4)
        0.05

    References:
        [1] Brier, Mon. Weather Rev. 78 (1950) 1-3.
    """
    truths, values = probabilities(truth, probability)
    return float(np.square(values - truths).mean())


def brier_parts(truth: npt.ArrayLike, probability: npt.ArrayLike) -> Brier:
    """Return the Brier score with its parts, without any bins.

    The recalibration is the isotonic (pool-adjacent-violators) one, so that the parts
    depend on no choice of bins, are never negative, and add up exactly.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,); one class may be absent.
        probability: Of disease, 0 to 1, shape (N,).

    Raises:
        UndefinedMetricError: If there is no case.

    Examples:
        >>> parts = brier_parts([0, 1, 0, 1], [0.2, 0.2, 0.2, 0.8])
        >>> round(parts.miscalibration, 4), round(parts.discrimination, 4)
        (0.0233, 0.0833)

    References:
        [1] Dimitriadis, Gneiting & Jordan, PNAS 118 (2021) e2016191118 (CORP).
        [2] Steyerberg et al., Epidemiology 21 (2010) 128-138: the scaled score.
    """
    truths, values = probabilities(truth, probability)
    score, prevalence = float(np.square(values - truths).mean()), float(truths.mean())
    _, group = np.unique(values, return_inverse=True)
    weights = np.bincount(group)
    shares = np.bincount(group, weights=truths) / weights
    fitted = isotonic_regression(shares, weights=weights).x[group]
    best = float(np.square(fitted - truths).mean())
    uncertainty = prevalence * (1 - prevalence)
    return Brier(
        score=score,
        miscalibration=max(0.0, score - best),
        discrimination=max(0.0, uncertainty - best),
        uncertainty=uncertainty,
        scaled=1 - score / uncertainty if uncertainty else None,
    )
