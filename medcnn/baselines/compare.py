"""The table in which a model stands beside the baselines, and what it says in words."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.roc import delong_ci

__all__ = ["Comparison", "Row", "compare"]

FloatArray = npt.NDArray[Any]


@dataclass(frozen=True)
class Row:
    """What one model reaches on one split, for one label.

    Attributes:
        model: What it is called.
        trained: Whether it was trained here: the model, or a network of an ensemble.
        split: val, out-of-fold or test.
        label: The label.
        n_positive: Cases with it.
        n_negative: Cases without it.
        auroc: Area under the ROC curve.
        ci95: Its interval, DeLong's on the logit scale.
        brier: Mean squared difference of probability and truth.
    """

    model: str
    trained: bool
    split: str
    label: str
    n_positive: int
    n_negative: int
    auroc: float
    ci95: tuple[float, float]
    brier: float


@dataclass(frozen=True)
class Comparison:
    """All rows, and one sentence about the best baseline.

    Attributes:
        network: Name of the trained model.
        rows: Label by label of each split, the trained model first.
        verdict: What they mean for the main label, or for the mean over all classes; ""
            where nothing can be compared.
        beaten: Whether a baseline has the larger area.
    """

    network: str
    rows: tuple[Row, ...]
    verdict: str
    beaten: bool

    def spread(self, split: str, label: str) -> tuple[float, float, int] | None:
        """Return mean, standard deviation and number of the networks' areas.

        None where there are not two networks.
        """
        areas = [
            row.auroc
            for row in self.rows
            if row.trained and row.model != self.network
            if (row.split, row.label) == (split, label)
        ]
        if len(areas) < 2:
            return None
        return float(np.mean(areas)), float(np.std(areas, ddof=1)), len(areas)

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "format": 1,
            "interval": "DeLong, logit scale",
            "verdict": self.verdict,
            "beaten": self.beaten,
            "rows": [asdict(row) for row in self.rows],
        }


def compare(
    labels: Sequence[str],
    splits: Mapping[str, tuple[FloatArray, Mapping[str, FloatArray]]],
    *,
    network: str,
    trained: Collection[str] = (),
    judged: Sequence[str],
) -> Comparison:
    """Measure models beside each other.

    Args:
        labels: The main label first.
        splits: For each split, in order, the truth (N, L) with NaN where unknown, and
            each model's probabilities (N, L), the network's first. The last split
            decides the verdict.
        network: Name of the trained model among the models.
        trained: Names of it and of the networks it is made of: they are no baselines.
        judged: Labels whose mean area decides the verdict.
    """
    own = {network, *trained}
    rows = []
    for split, (truth, models) in splits.items():
        for column, label in enumerate(labels):
            for name, told in models.items():
                sides = truth[:, column], told[:, column]
                rows.append(_row((name, name in own, split, label), *sides))
    found = tuple(row for row in rows if row is not None)
    last = list(splits)[-1]
    areas: dict[str, list[float]] = {}
    for row in found:
        asked = row.split == last and row.label in judged
        if asked and (row.model == network or not row.trained):
            areas.setdefault(row.model, []).append(row.auroc)
    verdict, beaten = _verdict(areas, network, last, judged)
    return Comparison(network, found, verdict, beaten)


def _verdict(
    areas: Mapping[str, Sequence[float]],
    network: str,
    split: str,
    judged: Sequence[str],
) -> tuple[str, bool]:
    others = {name: np.mean(found) for name, found in areas.items() if name != network}
    if network not in areas or not others:
        return "", False
    own = np.mean(areas[network])
    best = max(others, key=lambda name: others[name])
    what = judged[0] if len(judged) == 1 else f"mean of {len(judged)} classes"
    beaten = bool(others[best] >= own)
    told = f"AUC on {split} ({what}): network {own:.3f}, best baseline {best} "
    told += f"{others[best]:.3f}."
    if beaten:
        told = f"A baseline is as good as the network or better. {told}"
    return told, beaten


def _row(
    head: tuple[str, bool, str, str], truth: FloatArray, told: FloatArray
) -> Row | None:
    """Return a model's row for a label, None where its area is undefined."""
    known = ~np.isnan(truth)
    try:
        area, low, high = delong_ci(truth[known], told[known])
    except UndefinedMetricError:
        return None
    return Row(
        *head,
        n_positive=int((truth == 1).sum()),
        n_negative=int((truth == 0).sum()),
        auroc=area,
        ci95=(low, high),
        brier=float(np.mean((told[known] - truth[known]) ** 2)),
    )
