"""Statistics of a million scores, beside scikit-learn's area without an interval.

    python benchmarks/metrics.py [CASES]

Prints seconds of one run each. Four cases a patient, one in ten diseased.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from medcnn.metrics.bootstrap import auc_bootstrap
from medcnn.metrics.calibration import brier_parts, slope_intercept
from medcnn.metrics.operating import clustered_rates
from medcnn.metrics.precision import average_precision_ci
from medcnn.metrics.roc import (
    clustered_ci,
    delong_ci,
    paired_difference,
    partial_auc,
    roc_auc,
)


def main() -> None:
    """Time each statistic once."""
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rng = np.random.default_rng(0)
    truth = (rng.random(cases) < 0.1).astype(int)
    score = rng.normal(truth * 1.2, 1)
    other = score + rng.normal(0, 1, cases)
    cluster = rng.integers(0, max(2, cases // 4), cases)
    probability = expit(score - 2.5)
    runs: dict[str, Callable[[], object]] = {
        "scikit-learn, area only": lambda: roc_auc_score(truth, score),
        "area only": lambda: roc_auc(truth, score),
        "area, DeLong": lambda: delong_ci(truth, score),
        "area, by patient": lambda: clustered_ci(truth, score, cluster),
        "two models, by patient": lambda: paired_difference(
            truth, score, other, cluster
        ),
        "partial area": lambda: partial_auc(truth, score, max_fpr=0.1),
        "average precision": lambda: average_precision_ci(truth, score, cluster),
        "rates, by patient": lambda: clustered_rates(truth, score, 1.0, cluster),
        "Brier's parts": lambda: brier_parts(truth, probability),
        "slope, by patient": lambda: slope_intercept(truth, probability, cluster),
        "20 bootstrap samples": lambda: auc_bootstrap(
            truth, score, cluster, samples=20, rng=rng
        ),
    }
    for name, run in runs.items():
        begin = time.perf_counter()
        run()
        print(f"{name:<26}{time.perf_counter() - begin:8.2f} s")


if __name__ == "__main__":
    main()
