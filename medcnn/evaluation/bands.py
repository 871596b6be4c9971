"""What flag and review achieve on held-out cases, to be kept with the model."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.bands import BandScore
from medcnn.bundle import OperatingPoint
from medcnn.errors import UndefinedMetricError
from medcnn.metrics.rates import Rates, Share, clustered_rates

__all__ = ["band_scores"]

Numbers = npt.NDArray[Any]


def band_scores(
    truth: Numbers,
    probability: Numbers,
    patients: Numbers,
    *,
    point: OperatingPoint,
    data: str,
    groups: Mapping[str, npt.NDArray[np.bool_]],
) -> tuple[BandScore, ...]:
    """Count both thresholds of a label on groups of cases.

    A group in which one of the two kinds is missing has no line.

    Args:
        truth: 1, 0, or NaN where unknown, (N,).
        probability: The label's, (N,).
        patients: Which patient each case is of, (N,).
        point: The thresholds.
        data: The split's name.
        groups: Which cases are in each group, (N,).
    """
    found = []
    for subgroup, chosen in groups.items():
        known = chosen & ~np.isnan(truth) & ~np.isnan(probability)
        sides = truth[known], probability[known]
        for band, threshold in (("flag", point.flag), ("review", point.review)):
            try:
                rates = clustered_rates(*sides, threshold, patients[known])
            except UndefinedMetricError:
                continue
            found.append(_score(data, subgroup, band, threshold, rates))
    return tuple(found)


def _score(
    data: str, subgroup: str, band: str, threshold: float, rates: Rates
) -> BandScore:
    counts = rates.counts
    return BandScore.model_validate(
        {
            "data": data,
            "subgroup": subgroup,
            "band": band,
            "threshold": threshold,
            "tp": counts.tp,
            "fn": counts.fn,
            "fp": counts.fp,
            "tn": counts.tn,
            "sensitivity": _numbers(rates.sensitivity),
            "specificity": _numbers(rates.specificity),
        }
    )


def _numbers(share: Share | None) -> tuple[float, float, float] | None:
    return None if share is None else (share.value, share.low, share.high)
