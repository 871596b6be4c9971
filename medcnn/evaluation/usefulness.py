"""What acting on a score, or reading in its order, would bring; with intervals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medcnn.evaluation.records import Estimate, NetBenefit, Workload, WorkloadPoint
from medcnn.evaluation.resampling import Counts, Ranked, band
from medcnn.metrics.decision import benefit_of_counts
from medcnn.metrics.workload import least_read, read_and_missed

__all__ = ["THRESHOLDS", "Acting", "Reading"]

FloatArray = npt.NDArray[np.float64]
Thinned = Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]

THRESHOLDS = np.linspace(0.01, 0.99, 99)
"""Threshold probabilities of the decision curve."""

_MAY_MISS = 0.05
_FEWEST_MISSED = 2.0
"""Diseased that 5 % must come to before a sample can tell an interval of it."""

_METHOD = "resampled patients, percentiles"


@dataclass(frozen=True, eq=False)
class Acting:
    """The decision curve: acting on the model, on everybody, or on nobody.

    Attributes:
        thresholds: Probabilities from which one would act, (K,).
        at: At each how many distinct scores are called, (K,).

    References:
        [1] Vickers & Elkin, Med. Decis. Making 26 (2006) 565-574.
        [2] Vickers et al., BMC Med. Inform. Decis. Mak. 8 (2008) 53: intervals by
            resampling.
    """

    thresholds: FloatArray
    at: npt.NDArray[np.intp]

    @classmethod
    def of(cls, ranked: Ranked, thresholds: FloatArray) -> "Acting":
        """Find the thresholds among the scores of ranked cases."""
        called = np.searchsorted(-ranked.scores, -thresholds, side="right")
        return cls(thresholds, called.astype(np.intp))

    def row(self, counts: Counts) -> FloatArray:
        """Return the model's net benefit, then everybody's, (2 K,)."""
        true = np.append(0.0, counts.true)[self.at]
        false = np.append(0.0, counts.false)[self.at]
        cases = counts.true[-1] + counts.false[-1]
        all_true, all_false = (np.full(len(true), end[-1]) for end in counts.both)
        sides = ((true, false), (all_true, all_false))
        rows = [benefit_of_counts(a, b, self.thresholds) for a, b in sides]
        return np.asarray(np.concatenate(rows) / cases)

    def record(self, counts: Counts, rows: FloatArray) -> tuple[NetBenefit, ...]:
        """Return the curve with the intervals that resampled rows (S, 2 K) give."""
        many = len(self.thresholds)
        if not many:
            return ()
        whole = self.row(counts)
        model, gain = band(rows[:, :many]), band(rows[:, :many] - rows[:, many:])
        return tuple(
            NetBenefit(
                threshold=round(float(self.thresholds[n]), 2),
                model=float(whole[n]),
                ci95=_at(model, n),
                all=float(whole[many + n]),
                over_all_ci95=_at(gain, n),
            )
            for n in range(many)
        )


@dataclass(frozen=True, eq=False)
class Reading:
    """The workload curve: share of cases read against share of the diseased missed.

    Attributes:
        grid: Shares read at which the band is given, (K,).
    """

    grid: FloatArray

    def row(self, counts: Counts) -> FloatArray:
        """Return the share missed on the grid, then what must be read for 95 %."""
        read, missed = read_and_missed(*counts.both)
        last = np.append(np.flatnonzero(np.diff(read)), read.size - 1)
        on_grid = np.interp(self.grid, read[last], missed[last])
        return np.append(on_grid, _least(read, missed, _MAY_MISS))

    def record(self, counts: Counts, rows: FloatArray, thin: Thinned) -> Workload:
        """Return the curve with the intervals that resampled rows (S, K + 1) give."""
        read, missed = read_and_missed(*counts.both)
        x, y = thin(read, missed)
        points = zip(x.round(6).tolist(), y.round(6).tolist(), strict=True)
        edges = band(rows)
        found = Workload(
            points=tuple(WorkloadPoint(read=a, missed=b) for a, b in points),
            read_for_95=_to_read(counts, edges),
            read_for_all=_least(read, missed, 0.0),
        )
        if edges is None:
            return found
        low, high = (tuple(edge[:-1].round(6).tolist()) for edge in edges)
        grid = tuple(self.grid.round(6).tolist())
        return found.model_copy(update={"band_read": grid, "low": low, "high": high})


def _to_read(counts: Counts, edges: tuple[FloatArray, FloatArray] | None) -> Estimate:
    """Return what share must be read to miss 5 % of the diseased at most."""
    value = _least(*read_and_missed(*counts.both), _MAY_MISS)
    diseased = counts.true[-1]
    if edges is None or _MAY_MISS * diseased < _FEWEST_MISSED:
        words = f"no interval: 5 % of {diseased:g} diseased are too few to resample"
        return Estimate(value=value, ci95=None, method=words)
    low, high = (float(edge[-1]) for edge in edges)
    return Estimate(value=value, ci95=(low, high), method=_METHOD)


def _least(read: FloatArray, missed: FloatArray, may_miss: float) -> float:
    """Return the least share read that misses no more."""
    return float(read[least_read(missed, may_miss)])


def _at(
    edges: tuple[FloatArray, FloatArray] | None, n: int
) -> tuple[float, float] | None:
    return None if edges is None else (float(edges[0][n]), float(edges[1][n]))
