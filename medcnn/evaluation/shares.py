"""Shares as evaluation.json tells them."""

import numpy as np
import numpy.typing as npt

from medcnn.evaluation.records import Estimate
from medcnn.metrics.rates import Share, clustered_share

__all__ = ["estimate_of", "share"]

WILSON = "Wilson"
CLUSTERED = "Wilson, effective number of cases"


def share(called: npt.ArrayLike, clusters: npt.NDArray[np.intp]) -> Estimate | None:
    """Return a share of cases with its interval; None where there is no case.

    Args:
        called: True or false for each case, (N,).
        clusters: Number of whose each case is, (N,).
    """
    if not len(clusters):
        return None
    is_own = int(np.bincount(clusters).max()) == 1
    found = clustered_share(called, clusters)
    return estimate_of(found, WILSON if is_own else CLUSTERED)


def estimate_of(found: Share, method: str) -> Estimate:
    """Return a number and its interval as a record."""
    return Estimate(value=found.value, ci95=(found.low, found.high), method=method)
