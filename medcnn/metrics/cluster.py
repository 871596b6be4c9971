"""The area under the ROC curve where a patient has several images."""

import numpy.typing as npt

from medcnn.metrics.classes import Clusters, both_classes, checked, cluster_codes
from medcnn.metrics.components import (
    count_patients,
    influence,
    logit_interval,
    spread,
)

__all__ = ["clustered_ci"]


def clustered_ci(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    cluster: Clusters,
    *,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """Return the area under the ROC curve with an interval for correlated images.

    Images of one patient are alike; counted as independent they make the interval too
    short. Here only patients are independent: DeLong's components are summed within
    each patient (Obuchowski). A patient may have diseased and healthy images. The
    interval is made on the logit scale; perfectly separated classes, equal scores and
    fewer than 20 patients in a class give a wider interval, never an empty one.

    Args:
        truth: 1 for diseased, 0 for healthy, shape (N,).
        score: Higher means more likely diseased, shape (N,).
        cluster: Which patient each image is of, (N,); None: each its own, which is
            DeLong's interval.
        level: Coverage, between 0 and 1.

    Returns:
        (area, lower bound, upper bound).

    Raises:
        UndefinedMetricError: If only one class is present, or one class has a single
            patient, so that no variance can be estimated.

    Examples:
        >>> import numpy as np
        >>> patients = np.repeat(range(60), 2)  # two images of each
        >>> truth, score = patients % 2, (patients * 7) % 41 + 5 * (patients % 2)
        >>> [round(v, 3) for v in clustered_ci(truth, score, patients)]
        [0.636, 0.487, 0.762]
        >>> [round(v, 3) for v in clustered_ci(truth, score, None)]
        [0.636, 0.533, 0.727]

    References:
        [1] Obuchowski, Biometrics 53 (1997) 567-578.
        [2] DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837-845.
    """
    both_classes(truth, score)
    is_diseased, value = checked(truth, score)
    codes = cluster_codes(cluster, len(value))
    sample = count_patients(is_diseased, codes)
    sample.check()
    area, added = influence(is_diseased, value)
    variance = spread(added, is_diseased.astype(int), codes)
    return area, *logit_interval(area, variance, sample.effective, level)
