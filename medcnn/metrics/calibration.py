"""Calibration: from a network's logit to a probability that means what it says."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.brier import Brier, brier, brier_parts
from medcnn.metrics.classes import both_classes, checked
from medcnn.metrics.cox import Cox, slope_intercept
from medcnn.metrics.multiclass import class_numbers
from medcnn.metrics.reliability import Bin, expected_calibration_error, reliability

__all__ = [
    "Bin",
    "Brier",
    "Cox",
    "brier",
    "brier_parts",
    "expected_calibration_error",
    "platt",
    "reliability",
    "slope_intercept",
    "temperature",
]

_FLATTEST = 1e-3
"""Smallest slope: the order of the cases is never turned round."""

_COLDEST, _HOTTEST = 0.05, 20.0
"""Temperatures that are tried; where every class is right the best would be 0."""


def platt(truth: npt.ArrayLike, logit: npt.ArrayLike) -> tuple[float, float]:
    """Fit probability = sigmoid(slope * logit + intercept) by maximum likelihood.

    The targets are Platt's: (n+ + 1) / (n+ + 2) and 1 / (n- + 2) in place of 1 and 0,
    which keeps the fit finite where the classes are perfectly apart.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        logit: The network's output, shape (N,).

    Returns:
        (slope, intercept); the slope is positive.

    Raises:
        UndefinedMetricError: If only one class is present.

    References:
        [1] Platt, Probabilistic outputs for support vector machines, 1999.
        [2] Lin, Lin & Weng, Mach. Learn. 68 (2007) 267-276.
    """
    diseased, healthy = both_classes(truth, logit)
    values = np.concatenate([diseased, healthy])
    targets = np.concatenate(
        [
            np.full(len(diseased), (len(diseased) + 1) / (len(diseased) + 2)),
            np.full(len(healthy), 1 / (len(healthy) + 2)),
        ]
    )
    centre, scale = values.mean(), values.std() or 1.0
    scaled = (values - centre) / scale

    def loss(parameters: npt.NDArray[np.float64]) -> tuple[float, object]:
        z = parameters[0] * scaled + parameters[1]
        off = expit(z) - targets
        value = np.logaddexp(0, z) - targets * z
        return float(value.sum()), np.array([(off * scaled).sum(), off.sum()])

    start = np.array([1.0, np.log(len(diseased) / len(healthy))])
    bounds = [(_FLATTEST * scale, None), (None, None)]
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B")
    slope = float(found.x[0] / scale)
    return slope, float(found.x[1] - slope * centre)


def temperature(truth: npt.ArrayLike, logits: npt.ArrayLike) -> float:
    """Fit probability = softmax(logits / T), or sigmoid(logit / T), by likelihood.

    Args:
        truth: 1 or 0, shape (N,), for one logit a case; the class of each case (N,),
            or one-hot (N, K), for K.
        logits: The network's outputs, shape (N,) or (N, K).

    Returns:
        T, 0.05 to 20; above 1 the network was too sure of itself. 1 where the logits of
        each case are all equal, which no temperature changes.

    Raises:
        ValueError: If the shapes do not fit or a logit is not a finite number.
        UndefinedMetricError: If there is no case.

    Examples:
        >>> round(temperature([0, 0, 0, 1, 1, 1], [-9, -9, 9, -9, 9, 9]), 2)
        12.98

    References:
        [1] Guo et al., Proc. 34th ICML (2017) 1321-1330.
    """
    values = np.asarray(logits, np.float64)
    if values.ndim == 1:
        given, values = checked(truth, values)[0].astype(int), values[:, None]
        values = np.concatenate([np.zeros_like(values), values], axis=1)
    else:
        given = _given_classes(truth, values)
    if not len(given):
        msg = "0 cases to fit a temperature to"
        raise UndefinedMetricError(msg)
    centred = values - values[np.arange(len(given)), given][:, None]
    if not np.any(centred):
        return 1.0
    largest = centred.max(axis=1)  # at least 0: the true class is among them
    below = centred - largest[:, None]

    def loss(log_temperature: float) -> float:
        beta = np.exp(-log_temperature)
        return float((beta * largest + np.log(np.exp(beta * below).sum(axis=1))).mean())

    bounds = (np.log(_COLDEST), np.log(_HOTTEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded")
    return float(np.exp(found.x))


def _given_classes(
    truth: npt.ArrayLike, logits: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Return the class of each case, shape (N,).

    Raises:
        ValueError: If shapes do not fit, a row is not one-hot, or a logit not finite.
    """
    if logits.ndim != 2 or not np.isfinite(logits).all():
        msg = f"logits must be finite, of shape (N,) or (N, K), got {logits.shape}"
        raise ValueError(msg)
    given = np.asarray(truth)
    if given.ndim == 2:
        hot = ((given == 0) | (given == 1)).all() and (given.sum(axis=1) == 1).all()
        if given.shape != logits.shape or not hot:
            msg = f"truth {given.shape} is not one-hot beside logits {logits.shape}"
            raise ValueError(msg)
        given = given.argmax(axis=1)
    classes = class_numbers(given, logits.shape[1])
    if len(classes) != len(logits):
        msg = f"truth has {len(classes)} cases, logits {len(logits)}"
        raise ValueError(msg)
    return classes
