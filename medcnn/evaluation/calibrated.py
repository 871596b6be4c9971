"""Whether probabilities mean what they say."""

from medcnn.errors import UndefinedMetricError
from medcnn.evaluation.discrimination import Side
from medcnn.evaluation.records import Calibration, CalibrationBin
from medcnn.metrics.calibration import brier_parts, slope_intercept
from medcnn.metrics.reliability import expected_calibration_error, reliability

__all__ = ["measure_calibration"]

BINS = 10
"""Bins of equally many cases of the reliability diagram."""


def measure_calibration(side: Side, undefined: dict[str, str]) -> Calibration | None:
    """Return how far probabilities are from what was found; None without cases."""
    if not side.truth.size:
        undefined["calibration"] = "0 cases have a truth and an answer"
        return None
    truth, probability = side.truth, side.score
    cox, note = None, ""
    try:
        cox = slope_intercept(truth, probability, side.clusters)
    except UndefinedMetricError as error:
        note = error.message
    parts = brier_parts(truth, probability)
    return Calibration(
        ece=expected_calibration_error(truth, probability, BINS),
        brier=parts.score,
        brier_scaled=parts.scaled,
        slope=None if cox is None else cox.slope.value,
        slope_ci95=None if cox is None else (cox.slope.low, cox.slope.high),
        intercept=None if cox is None else cox.in_the_large.value,
        intercept_ci95=None
        if cox is None
        else (cox.in_the_large.low, cox.in_the_large.high),
        mean_probability=float(probability.mean()),
        prevalence=float(truth.mean()),
        bins=tuple(
            CalibrationBin(
                low=found.lower,
                high=found.upper,
                mean=found.predicted,
                observed=found.observed,
                ci95=(found.low, found.high),
                n=found.cases,
            )
            for found in reliability(
                truth, probability, BINS, by="count", cluster=side.clusters
            )
        ),
        note=note,
    )
