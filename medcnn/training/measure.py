"""What a finished bundle achieves: its own answers, by its own engine, on the cases."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.bundle import Bundle, BundleSpec, Calibration, OperatingPoint, Score
from medcnn.dataset import CaseTable
from medcnn.engines import Outputs, open_engine
from medcnn.errors import UndefinedMetricError
from medcnn.io import load
from medcnn.metrics.calibration import platt
from medcnn.metrics.operating import (
    threshold_at_sensitivity,
    threshold_at_specificity,
    youden_threshold,
)
from medcnn.metrics.roc import delong_ci
from medcnn.model import Model
from medcnn.training.recipe import ExtraTruth, Recipe, Rule
from medcnn.training.reporter import Reporter

__all__ = ["Answers", "ask", "calibrations", "operating_points", "scores"]

METHOD = "DeLong, logit scale"
Flags = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network said of some cases.

    Attributes:
        table: The cases.
        logits: (N, L).
        features: Pooled feature vectors, (N, F).
    """

    table: CaseTable
    logits: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]

    def probabilities(self, spec: BundleSpec, bundle: Bundle) -> FloatArray:
        """Return (N, L) as `Model` makes them, with the calibration of `spec`."""
        whole = spec.model_copy(update={"files": bundle.spec.files})
        model = Model(Bundle(bundle.path, whole), _Replay(self))
        blank = np.zeros((1, 1, 1), np.float32)
        told = model.stream(blank for _ in range(len(self.logits)))
        rows = [list(answer.prediction.probabilities.values()) for answer in told]
        return np.array(rows).reshape(-1, len(spec.labels))


class _Replay:
    """An engine that repeats what was said already."""

    name = "replay"
    device = "cpu"

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def stream(self, tensors: Iterable[npt.NDArray[np.float32]]) -> Iterator[Outputs]:
        pairs = zip(self._answers.logits, self._answers.features, strict=True)
        for _, (logits, pooled) in zip(tensors, pairs, strict=True):
            yield Outputs(logits, pooled[:, None, None])


def ask(bundle: Bundle, table: CaseTable, reporter: Reporter, *, what: str) -> Answers:
    """Run a bundle's default engine over cases, from their files on.

    Raises:
        ReadError: If a file cannot be read any more.
    """
    engine = open_engine(bundle)
    steps = bundle.spec.preprocessing
    logits, features = [], []
    with reporter.bar(what, len(table.cases)) as tick:
        tensors = (steps.apply(load(case.path)).tensor for case in table.cases)
        for outputs in engine.stream(tensors):
            logits.append(outputs.logits)
            pooled = outputs.features.reshape(len(outputs.features), -1).mean(axis=1)
            features.append(pooled)
            tick(1, engine.name)
    return Answers(table, np.array(logits), np.array(features))


def calibrations(answers: Answers, chosen: Flags, on: str) -> tuple[Calibration, ...]:
    """Fit Platt scaling for each label that has both classes among the chosen."""
    truth, found = answers.table.truth(), []
    for column, label in enumerate(answers.table.labels):
        known = chosen & ~np.isnan(truth[:, column])
        try:
            fit = platt(truth[known, column], answers.logits[known, column])
        except UndefinedMetricError:
            continue
        slope, intercept = fit
        found.append(
            Calibration(label=label, slope=slope, intercept=intercept, fitted_on=on)
        )
    return tuple(found)


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
            flag, review = (
                _threshold(rule.flag, *sides),
                _threshold(rule.review, *sides),
            )
        except UndefinedMetricError as error:
            flag = review = 0.5
            text = f"none: {error.message}"
        flag, review = min(flag, 1.0), min(review, 1.0)
        points.append(
            OperatingPoint(
                label=label,
                flag=flag,
                review=min(flag, review),
                rule=text,
                chosen_on=on,
            )
        )
    return tuple(points)


def _threshold(
    rule: str, truth: npt.NDArray[np.float32], probability: FloatArray
) -> float:
    kind, _, number = rule.partition(" ")
    if kind == "youden":
        return youden_threshold(truth, probability)
    choose = {
        "sensitivity": threshold_at_sensitivity,
        "specificity": threshold_at_specificity,
    }[kind]
    return choose(truth, probability, float(number))


def scores(
    answers: Answers, probabilities: FloatArray, recipe: Recipe, data: str
) -> tuple[Score, ...]:
    """Measure every label on the whole, and the reported ones on each subgroup."""
    table, truth = answers.table, answers.table.truth()
    everyone = np.ones(len(table.cases), dtype=bool)
    groups = [("all", everyone)]
    if recipe.select.where:
        name = ", ".join(f"{k} = {v}" for k, v in recipe.select.where.items())
        groups.append((name, table.matching(recipe.select.where)))
    wanted = recipe.report.labels or table.labels[:1]
    found: list[Score | None] = []
    for column, label in enumerate(table.labels):
        mine = list(groups)
        if label in wanted:
            mine += [g for g in _subgroups(table, recipe) if g[0] not in dict(groups)]
        for name, chosen in mine:
            sides = truth[chosen, column], probabilities[chosen, column]
            found.append(_score(data, name, label, *sides))
    for name, extra in recipe.report.extra_truth.items():
        found.append(_extra(answers.table, probabilities, name, extra, data))
    return tuple(score for score in found if score is not None)


def _subgroups(table: CaseTable, recipe: Recipe) -> list[tuple[str, Flags]]:
    groups: list[tuple[str, Flags]] = []
    for name in recipe.report.subgroups:
        values = np.array(table.column(name), dtype=object)
        named = sorted({value for value in values if value})
        groups += [(f"{name} = {value}", values == value) for value in named]
    return groups


def _extra(
    table: CaseTable,
    probabilities: FloatArray,
    name: str,
    extra: ExtraTruth,
    data: str,
) -> Score | None:
    label = extra.label or table.labels[0]
    meaning = dict.fromkeys(extra.positive, 1.0)
    meaning = meaning | dict.fromkeys(extra.negative, 0.0)
    values = table.column(extra.column)
    truth = np.array([meaning.get(value, np.nan) for value in values])
    column = probabilities[:, table.labels.index(label)]
    return _score(data, name, label, truth, column)


def _score(
    data: str,
    subgroup: str,
    label: str,
    truth: npt.NDArray[Any],
    probability: FloatArray,
) -> Score | None:
    """Return the area with its interval, None where it is undefined."""
    known = ~np.isnan(truth)
    try:
        area, low, high = delong_ci(truth[known], probability[known])
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
