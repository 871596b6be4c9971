"""The table in which a model stands beside the baselines, and what it says in words."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.roc import clustered_ci, paired_difference

__all__ = ["Asked", "Comparison", "Row", "compare"]

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
        ci95: Its interval, clustered by patient.
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


@dataclass(frozen=True, eq=False)
class Asked:
    """What some models say of the same cases.

    Attributes:
        truth: (N, L), NaN where unknown.
        patients: Number of whose each case is, (N,).
        models: Each model's probabilities, (N, L).
    """

    truth: FloatArray
    patients: FloatArray
    models: Mapping[str, FloatArray]


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
            "interval": "DeLong, clustered by patient (Obuchowski), logit scale",
            "verdict": self.verdict,
            "beaten": self.beaten,
            "rows": [asdict(row) for row in self.rows],
        }


def compare(
    labels: Sequence[str],
    splits: Mapping[str, Asked],
    *,
    network: str,
    trained: Collection[str] = (),
    judged: Sequence[str],
) -> Comparison:
    """Measure models beside each other.

    Args:
        labels: The main label first.
        splits: What is said of each split's cases, the trained model first. The last
            split decides the verdict.
        network: Name of the trained model among the models.
        trained: Names of it and of the networks it is made of: they are no baselines.
        judged: Labels whose mean area decides the verdict.
    """
    own = {network, *trained}
    every = (
        _row((name, name in own, split, label), asked, column)
        for split, asked in splits.items()
        for column, label in enumerate(labels)
        for name in asked.models
    )
    found = tuple(row for row in every if row is not None)
    last = list(splits)[-1]
    areas = _areas(found, last, judged, network)
    best = max(
        areas.keys() - {network}, key=lambda name: np.mean(areas[name]), default=""
    )
    if not best or network not in areas:
        return Comparison(network, found, "", beaten=False)
    mine, theirs = float(np.mean(areas[network])), float(np.mean(areas[best]))
    what = judged[0] if len(judged) == 1 else f"mean of {len(judged)} classes"
    told = f"AUC on {last} ({what}): network {mine:.3f}, best baseline {theirs:.3f} "
    told += f"({best[0].lower()}{best[1:]})."
    if len(judged) == 1:
        told += _difference(splits[last], labels.index(judged[0]), (network, best))
    beaten = theirs >= mine
    if beaten:
        told = f"A baseline is as good as the network or better. {told}"
    return Comparison(network, found, told, beaten)


def _areas(
    rows: Sequence[Row], split: str, judged: Sequence[str], network: str
) -> dict[str, list[float]]:
    """Return the areas that count for the verdict, of the model and the baselines."""
    areas: dict[str, list[float]] = {}
    for row in rows:
        counts = row.split == split and row.label in judged
        if counts and (row.model == network or not row.trained):
            areas.setdefault(row.model, []).append(row.auroc)
    return areas


def _difference(asked: Asked, column: int, names: tuple[str, str]) -> str:
    """Say how far two models are apart, "" where that is undefined."""
    known = ~np.isnan(asked.truth[:, column])
    first, second = (asked.models[name][known, column] for name in names)
    truth = asked.truth[known, column]
    try:
        found = paired_difference(truth, first, second, asked.patients[known])
    except UndefinedMetricError:
        return ""
    told = f" Difference {found.difference:.3f}, 95 % interval {found.low:.3f} to "
    return told + f"{found.high:.3f}."


def _row(head: tuple[str, bool, str, str], asked: Asked, column: int) -> Row | None:
    """Return a model's row for a label, None where its area is undefined."""
    truth, told = asked.truth[:, column], asked.models[head[0]][:, column]
    known = ~np.isnan(truth)
    sides = truth[known], told[known]
    try:
        area, low, high = clustered_ci(*sides, asked.patients[known])
    except UndefinedMetricError:
        return None
    return Row(
        *head,
        n_positive=int((truth == 1).sum()),
        n_negative=int((truth == 0).sum()),
        auroc=area,
        ci95=(low, high),
        brier=float(np.mean((sides[1] - sides[0]) ** 2)),
    )
