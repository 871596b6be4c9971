"""How well the scores tell diseased from healthy."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from medcnn.errors import UndefinedMetricError
from medcnn.evaluation.records import Estimate
from medcnn.metrics.bootstrap import auc_bootstrap, patient_bootstrap
from medcnn.metrics.precision import average_precision, average_precision_ci
from medcnn.metrics.roc import clustered_ci, partial_auc, roc_auc

__all__ = [
    "MAX_FPR",
    "Settings",
    "Side",
    "area",
    "area_by_resampling",
    "partial",
    "precision_area",
]

FloatArray = npt.NDArray[np.float64]

MAX_FPR = 0.1
"""The partial area is over specificities from 0.9 on."""

_WORK = 40_000_000
"""Cases times samples that a bootstrap may take; some seconds."""

_FEWEST_SAMPLES = 200
_DELONG = "DeLong, logit scale"
_OBUCHOWSKI = "DeLong, clustered by patient (Obuchowski), logit scale"


@dataclass(frozen=True)
class Settings:
    """How numbers are found.

    Attributes:
        prevalences: Shares of diseased for which predictive values are told.
        bootstrap: Resampled sets of patients.
        seed: Of resampling.
    """

    prevalences: tuple[float, ...] = ()
    bootstrap: int = 2000
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Side:
    """The cases that count for a label.

    Attributes:
        truth: 1 or 0, (N,).
        score: (N,).
        clusters: Number of whose each case is, (N,).
        settings: How numbers are found.
    """

    truth: FloatArray
    score: FloatArray
    clusters: npt.NDArray[np.intp]
    settings: Settings = field(default_factory=Settings)

    @property
    def has_both(self) -> bool:
        """Whether there are diseased and healthy."""
        return bool(0 < self.truth.sum() < self.truth.size)

    @property
    def is_clustered(self) -> bool:
        """Whether anybody has more than one case."""
        return bool(np.bincount(self.clusters).max(initial=0) > 1)


def area(side: Side, undefined: dict[str, str]) -> Estimate | None:
    """Return the area under the ROC curve; without it, say why in `undefined`."""
    method = _OBUCHOWSKI if side.is_clustered else _DELONG
    try:
        value, low, high = clustered_ci(side.truth, side.score, side.clusters)
    except UndefinedMetricError as error:
        return _alone(side, roc_auc, error, undefined, "auroc")
    return Estimate(value=value, ci95=(low, high), method=method)


def area_by_resampling(side: Side) -> Estimate | None:
    """Return the area with a bootstrap interval over patients, as a check."""
    samples = _samples(side)
    if not side.has_both or not samples:
        return None
    rng = np.random.default_rng(side.settings.seed)
    try:
        value, low, high = auc_bootstrap(
            side.truth, side.score, side.clusters, samples=samples, rng=rng
        )
    except UndefinedMetricError:
        return None
    words = f"bootstrap of patients, {samples:,} samples, percentiles"
    return Estimate(value=value, ci95=(low, high), method=words)


def precision_area(side: Side, undefined: dict[str, str]) -> Estimate | None:
    """Return the area under the precision-recall curve; else say why not."""
    wanted = side.settings.bootstrap
    rng = np.random.default_rng(side.settings.seed)
    if wanted and wanted * side.truth.size <= _WORK / 4:
        try:
            value, low, high = patient_bootstrap(
                average_precision,
                side.truth,
                side.score,
                side.clusters,
                samples=wanted,
                rng=rng,
            )
        except UndefinedMetricError:
            pass
        else:
            words = f"bootstrap of patients, {wanted:,} samples, percentiles"
            return Estimate(value=value, ci95=(low, high), method=words)
    try:
        value, low, high = average_precision_ci(side.truth, side.score, side.clusters)
    except UndefinedMetricError as error:
        return _alone(side, average_precision, error, undefined, "auprc")
    return Estimate(value=value, ci95=(low, high), method="logit, by diseased patients")


def partial(side: Side) -> Estimate | None:
    """Return McClish's partial area where specificity is 0.9 or more."""
    if not side.has_both:
        return None
    found = partial_auc(side.truth, side.score, max_fpr=MAX_FPR)
    words = f"specificity {1 - MAX_FPR:g} to 1, standardised (McClish)"
    return Estimate(value=found.standardised, ci95=None, method=words)


def _samples(side: Side) -> int:
    """Return how many samples a bootstrap may take."""
    wanted = side.settings.bootstrap
    most = max(_FEWEST_SAMPLES, _WORK // max(side.truth.size, 1))
    return min(wanted, most)


def _alone(
    side: Side,
    statistic: Callable[[FloatArray, FloatArray], float],
    error: UndefinedMetricError,
    undefined: dict[str, str],
    name: str,
) -> Estimate | None:
    """Return a number that has no interval, or None, and say why."""
    undefined[name] = error.message
    if not side.has_both:
        return None
    value = statistic(side.truth, side.score)
    return Estimate(value=value, ci95=None, method=f"no interval: {error.message}")
