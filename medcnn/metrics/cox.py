"""Calibration slope and intercept: is a model too sure, or too high."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from scipy.stats import norm

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.classes import (
    Clusters,
    FloatArray,
    IntArray,
    both_classes,
    checked_level,
    cluster_codes,
    probabilities,
)
from medcnn.metrics.rates import Share

__all__ = ["Cox", "slope_intercept"]

_NEAREST = 1e-7
"""Probabilities of 0 and 1 are taken to be so far from them: single precision."""

_STEPS = 100


@dataclass(frozen=True)
class Cox:
    """How logit(true share) = intercept + slope * logit(probability) fits.

    Attributes:
        slope: 1 is right; below 1 the model is too sure of itself.
        intercept: Of the same fit.
        in_the_large: Intercept with the slope held at 1: 0 is right; below 0 the
            probabilities are too high on the whole.
    """

    slope: Share
    intercept: Share
    in_the_large: Share


def slope_intercept(
    truth: npt.ArrayLike,
    probability: npt.ArrayLike,
    cluster: Clusters = None,
    *,
    level: float = 0.95,
) -> Cox:
    """Return the calibration slope and intercepts with Wald intervals.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        probability: Of disease, 0 to 1, shape (N,); 0 and 1 count as 1e-7 from there.
        cluster: Which patient each case is of, (N,): errors are then of the sandwich
            kind, summed by patient. None: each its own, errors by likelihood.
        level: Coverage, between 0 and 1.

    Raises:
        UndefinedMetricError: If a class is absent, or the probabilities are all equal
            or set the classes perfectly apart, so that there is no slope, or the cases
            are of a single patient.

    References:
        [1] Cox, Biometrika 45 (1958) 562-565.
        [2] Van Calster et al., BMC Med. 17 (2019) 230.
    """
    both_classes(truth, probability)
    truths, values = probabilities(truth, probability)
    codes = None if cluster is None else cluster_codes(cluster, len(truths))
    if codes is not None and codes.max() < 1:
        msg = f"{len(truths)} cases of 1 patient: a slope's interval needs two"
        raise UndefinedMetricError(msg)
    z = logit(np.clip(values, _NEAREST, 1 - _NEAREST))
    _check_overlap(z[truths == 1], z[truths == 0])
    centre, scale = z.mean(), z.std()
    columns = np.stack([np.ones(len(z)), (z - centre) / scale], axis=1)
    fit, covariance = _logistic(columns, truths, np.zeros(len(z)), codes)
    back = np.array([[1.0, -centre / scale], [0.0, 1 / scale]])
    fit, covariance = back @ fit, back @ covariance @ back.T
    large, spread = _logistic(columns[:, :1], truths, z, codes)
    half = float(norm.ppf((1 + checked_level(level)) / 2))
    return Cox(
        slope=_wald(fit[1], covariance[1, 1], half),
        intercept=_wald(fit[0], covariance[0, 0], half),
        in_the_large=_wald(large[0], spread[0, 0], half),
    )


def _check_overlap(diseased: FloatArray, healthy: FloatArray) -> None:
    """Refuse cases whose slope would be infinite or undetermined.

    Raises:
        UndefinedMetricError: If the classes are apart, or touch in one value only.
    """
    overlap = healthy.max() > diseased.min() and diseased.max() > healthy.min()
    if not overlap:
        msg = (
            f"no calibration slope: the probabilities of {len(diseased)} diseased and "
            f"{len(healthy)} healthy are all equal or perfectly apart"
        )
        raise UndefinedMetricError(msg)


def _logistic(
    columns: FloatArray, truth: FloatArray, offset: FloatArray, codes: IntArray | None
) -> tuple[FloatArray, FloatArray]:
    """Return maximum likelihood coefficients and their covariance, by Newton's method.

    Steps are halved where they would lower the likelihood.

    Raises:
        UndefinedMetricError: If the likelihood has no maximum that can be found.
    """
    beta = np.zeros(columns.shape[1])

    def loss(at: FloatArray) -> float:
        eta = columns @ at + offset
        return float((np.logaddexp(0, eta) - truth * eta).sum())

    here = loss(beta)
    for _ in range(_STEPS):
        p = expit(columns @ beta + offset)
        scores = columns * (truth - p)[:, None]
        information = (columns * (p * (1 - p))[:, None]).T @ columns
        if np.linalg.cond(information) > 1e14:
            break
        gradient = scores.sum(axis=0)
        step = np.linalg.solve(information, gradient)
        if gradient @ step < 1e-14:  # a ten-millionth of a standard error
            return beta + step, _covariance(scores, information, codes)
        while (there := loss(beta + step)) > here + 1e-9 and np.abs(step).max() > 1e-12:
            step = step / 2
        beta, here = beta + step, there
    msg = f"no calibration fit for {int(truth.sum())} diseased of {len(truth)} cases"
    raise UndefinedMetricError(msg)


def _covariance(
    scores: FloatArray, information: FloatArray, codes: IntArray | None
) -> FloatArray:
    """Return the inverse information, or the sandwich of scores by patient.

    References:
        [1] Liang & Zeger, Biometrika 73 (1986) 13-22; with P / (P - 1).
    """
    inverse = np.linalg.inv(information)
    if codes is None:
        return np.asarray(inverse)
    patients = int(codes.max()) + 1
    sums = np.stack([np.bincount(codes, weights=column) for column in scores.T], axis=1)
    meat = patients / (patients - 1) * sums.T @ sums
    return np.asarray(inverse @ meat @ inverse)


def _wald(value: float, variance: float, half: float) -> Share:
    """Return an estimate with the normal interval.

    A variance that is nothing comes out as a hair less than nothing at times.
    """
    reach = half * math.sqrt(max(variance, 0.0))
    return Share(float(value), float(value - reach), float(value + reach))
