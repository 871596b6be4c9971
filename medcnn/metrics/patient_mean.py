"""The mean of a number that each image has, with an interval over patients."""

import numpy as np
import numpy.typing as npt

from medcnn.metrics.bootstrap import patient_bootstrap
from medcnn.metrics.classes import Clusters
from medcnn.metrics.rates import clustered_share

__all__ = ["patient_mean", "resampled_mean"]


def patient_mean(
    values: npt.ArrayLike,
    cluster: Clusters,
    *,
    samples: int = 2000,
    rng: np.random.Generator,
) -> tuple[float, float, float, str]:
    """Return the mean over images with its 95 % interval for correlated images.

    Values that are all 0 or 1 are a share, and get Wilson's interval with N over the
    design effect, which also exists where all are alike. All others get percentiles of
    resampled patients.

    Args:
        values: One finite number of each image, (N,).
        cluster: Which patient each image is of, (N,), or None: each its own.
        samples: How many are drawn.
        rng: Where chance comes from.

    Returns:
        (mean, lower bound, upper bound, method in words).

    Raises:
        UndefinedMetricError: If there is a single patient, or every sample has the same
            mean, so that there is no interval.
        ValueError: If a value is no finite number, or there is none.

    References:
        [1] Rao & Scott, Biometrics 48 (1992) 577-585: the design effect.
        [2] Davison & Hinkley, Bootstrap Methods, 1997, section 3.8: clusters.
    """
    found = np.asarray(values, np.float64)
    if found.ndim != 1 or not found.size or not np.isfinite(found).all():
        msg = f"values must be finite numbers, (N,), at least one; got {found.shape}"
        raise ValueError(msg)
    if ((found == 0) | (found == 1)).all():
        share = clustered_share(found == 1, cluster)
        return share.value, share.low, share.high, "Wilson, by patient"
    return resampled_mean(found, cluster, samples=samples, rng=rng)


def resampled_mean(
    values: npt.NDArray[np.float64],
    cluster: Clusters,
    *,
    samples: int = 2000,
    rng: np.random.Generator,
) -> tuple[float, float, float, str]:
    """Return the mean over images with percentiles of resampled patients.

    Args and what is returned are those of `patient_mean`, which is for numbers that may
    be shares.

    Raises:
        UndefinedMetricError: If there is a single patient, or every sample has the same
            mean, so that there is no interval.
    """
    value, low, high = patient_bootstrap(
        lambda _, drawn: float(drawn.mean()),
        np.zeros(len(values)),
        values,
        cluster,
        samples=samples,
        rng=rng,
    )
    return value, low, high, f"bootstrap of patients, {samples:,} samples, percentiles"
