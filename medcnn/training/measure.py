"""Choose operating points, and measure what they achieve."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.bands import BandScore
from medcnn.bundle import OperatingPoint, Score
from medcnn.dataset import CaseTable
from medcnn.errors import UndefinedMetricError
from medcnn.evaluation.bands import band_scores
from medcnn.metrics.classes import cluster_codes
from medcnn.metrics.operating import (
    Confusion,
    confusion,
    threshold_at_sensitivity,
    threshold_at_specificity,
    wilson,
    youden_threshold,
)
from medcnn.metrics.roc import clustered_ci
from medcnn.planning.recipe import Recipe
from medcnn.planning.sections import ExtraTruth, Rule
from medcnn.training.answers import Answers

__all__ = [
    "Achieved",
    "achieved",
    "bands",
    "operating_points",
    "patients_of",
    "scores",
]

METHOD = "DeLong, clustered by patient (Obuchowski), logit scale"
Flags = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
Groups = list[tuple[str, Flags]]


@dataclass(frozen=True)
class Achieved:
    """What one threshold of the main label achieves on a group of cases.

    Attributes:
        data: val or test.
        subgroup: Which of its cases.
        band: "flag" or "review".
        counts: True and false calls.
    """

    data: str
    subgroup: str
    band: str
    counts: Confusion

    @property
    def sensitivity(self) -> tuple[float, float, float]:
        """Share of the diseased that are called, with Wilson's interval."""
        return _share(self.counts.tp, self.counts.tp + self.counts.fn)

    @property
    def specificity(self) -> tuple[float, float, float]:
        """Share of the healthy that are not called, with Wilson's interval."""
        return _share(self.counts.tn, self.counts.tn + self.counts.fp)


def _share(part: int, whole: int) -> tuple[float, float, float]:
    return (part / whole, *wilson(part, whole))


def operating_points(
    table: CaseTable, probabilities: FloatArray, chosen: Flags, rule: Rule, on: str
) -> tuple[OperatingPoint, ...]:
    """Choose both thresholds of each label; 0.5 where a label has one class only."""
    truth, points = table.truth(), []
    for column, label in enumerate(table.labels):
        known = chosen & ~np.isnan(truth[:, column])
        sides = truth[known, column], probabilities[known, column]
        text = f"flag: {rule.flag}; review: {rule.review}"
        try:
            flag = min(_threshold(rule.flag, *sides), 1.0)
            review = min(_threshold(rule.review, *sides), flag)
        except UndefinedMetricError as error:
            flag, review, text = 0.5, 0.5, f"none: {error.message}"
        points.append(
            OperatingPoint(
                label=label, flag=flag, review=review, rule=text, chosen_on=on
            )
        )
    return tuple(points)


def _threshold(
    rule: str, truth: npt.NDArray[np.float32], probability: FloatArray
) -> float:
    kind, _, number = rule.partition(" ")
    if kind == "youden":
        return youden_threshold(truth, probability)
    if kind == "sensitivity":
        return threshold_at_sensitivity(truth, probability, float(number))
    return threshold_at_specificity(truth, probability, float(number))


def scores(
    answers: Answers, probabilities: FloatArray, recipe: Recipe, data: str
) -> tuple[Score, ...]:
    """Measure every label on the whole, and the reported ones on each subgroup."""
    table, truth = answers.table, answers.table.truth()
    wanted = recipe.report.labels or table.labels[:1]
    codes = patients_of(table)
    found: list[Score | None] = []
    for column, label in enumerate(table.labels):
        whole, special = _groups(table, recipe)
        for name, chosen in whole + (special if label in wanted else []):
            sides = truth[chosen, column], probabilities[chosen, column], codes[chosen]
            found.append(_score(data, name, label, *sides))
    for name, extra in recipe.report.extra_truth.items():
        found.append(_extra(table, probabilities, name, extra, data))
    return tuple(score for score in found if score is not None)


def achieved(
    answers: Answers,
    probabilities: FloatArray,
    recipe: Recipe,
    point: OperatingPoint,
    data: str,
) -> tuple[Achieved, ...]:
    """Measure both thresholds of the main label on the whole and on each subgroup."""
    table, truth = answers.table, answers.table.truth()[:, 0]
    whole, special = _groups(table, recipe)
    found = []
    for name, chosen in whole + special:
        known = chosen & ~np.isnan(truth)
        for band, threshold in (("flag", point.flag), ("review", point.review)):
            try:
                counts = confusion(truth[known], probabilities[known, 0], threshold)
            except UndefinedMetricError:
                continue
            found.append(Achieved(data, name, band, counts))
    return tuple(found)


def bands(
    answers: Answers,
    probabilities: FloatArray,
    recipe: Recipe,
    point: OperatingPoint,
    data: str,
) -> tuple[BandScore, ...]:
    """Count both thresholds of the main label on the whole and on what decided."""
    table = answers.table
    return band_scores(
        table.truth()[:, 0],
        probabilities[:, 0],
        patients_of(table),
        point=point,
        data=data,
        groups=dict(_groups(table, recipe)[0]),
    )


def _groups(table: CaseTable, recipe: Recipe) -> tuple[Groups, Groups]:
    """Return the whole and what decided; and the subgroups besides."""
    whole: Groups = [("all", np.ones(len(table.cases), dtype=bool))]
    if recipe.select.where:
        name = ", ".join(f"{k} = {v}" for k, v in recipe.select.where.items())
        whole.append((name, table.matching(recipe.select.where)))
    special: Groups = []
    for column in recipe.report.subgroups:
        values = np.array(table.column(column), dtype=object)
        named = sorted({value for value in values if value})
        special += [(f"{column} = {value}", values == value) for value in named]
    known = {name for name, _ in whole}
    return whole, [group for group in special if group[0] not in known]


def patients_of(table: CaseTable) -> npt.NDArray[np.intp]:
    """Number the patients, (N,); a case of nobody known is one of its own."""
    named = [
        case.patient_id if case.patient_id is not None else ("case", n)
        for n, case in enumerate(table.cases)
    ]
    return cluster_codes(named, len(named))


def _extra(
    table: CaseTable,
    probabilities: FloatArray,
    name: str,
    extra: ExtraTruth,
    data: str,
) -> Score | None:
    label = extra.label or table.labels[0]
    meaning = dict.fromkeys(extra.positive, 1.0) | dict.fromkeys(extra.negative, 0.0)
    values = table.column(extra.column)
    truth = np.array([meaning.get(value, np.nan) for value in values])
    column = probabilities[:, table.labels.index(label)]
    return _score(data, name, label, truth, column, patients_of(table))


def _score(
    data: str,
    subgroup: str,
    label: str,
    truth: npt.NDArray[Any],
    probability: FloatArray,
    codes: npt.NDArray[np.intp],
) -> Score | None:
    """Return the area with its interval, None where it is undefined."""
    known = ~np.isnan(truth)
    try:
        area, low, high = clustered_ci(truth[known], probability[known], codes[known])
    except UndefinedMetricError:
        return None
    return Score(
        data=data,
        subgroup=subgroup,
        label=label,
        n_positive=int((truth == 1).sum()),
        n_negative=int((truth == 0).sum()),
        auroc=area,
        ci95=(low, high),
        method=METHOD,
    )
