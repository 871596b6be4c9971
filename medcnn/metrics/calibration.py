"""Calibration: from a network's logit to a probability that means what it says."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from medcnn.metrics.roc import both_classes

__all__ = ["platt"]

_FLATTEST = 1e-3
"""Smallest slope: the order of the cases is never turned round."""


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
