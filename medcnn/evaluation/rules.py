"""Operating points: which thresholds are measured, and which cases decided them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medcnn.errors import DataError, UndefinedMetricError
from medcnn.evaluation.predictions import Predictions
from medcnn.metrics.operating import (
    threshold_at_sensitivity,
    threshold_at_specificity,
    youden_threshold,
)

__all__ = [
    "DEFAULT_RULES",
    "Point",
    "Points",
    "choose",
    "given",
    "name_of",
    "threshold_by",
]

DEFAULT_RULES = ("youden", "sensitivity 0.95", "specificity 0.95")
"""The rules that are applied where a model brings no thresholds of its own."""

_NAMES = {
    "youden": "Youden",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
}


@dataclass(frozen=True)
class Point:
    """A threshold that was fixed before it is measured.

    Attributes:
        name: For readers.
        rule: How it was found.
        threshold: A case is called when its score is at or above it.
        chosen_on: Which cases decided it.
        is_optimistic: Whether those are the cases it is measured on.
    """

    name: str
    rule: str
    threshold: float
    chosen_on: str
    is_optimistic: bool = False


Points = dict[str, tuple[Point, ...]]
"""The points of each label."""


def choose(
    predictions: Predictions,
    rules: Sequence[str] = DEFAULT_RULES,
    *,
    chosen_on: str,
    is_optimistic: bool = False,
) -> Points:
    """Choose thresholds for every label on these cases.

    A label with one class only among them gets none, nor one where a rule is met by no
    probability: so many healthy cases have 1 that even that calls too many.

    Args:
        predictions: The cases that decide.
        rules: "youden", "sensitivity 0.95" or "specificity 0.9".
        chosen_on: What to call these cases.
        is_optimistic: Whether the thresholds will be measured on the same cases.

    Raises:
        DataError: If there is no such rule.
    """
    found: Points = {}
    for label in predictions.labels:
        truth, score = predictions.known(label)
        points = []
        for rule in rules:
            try:
                threshold = threshold_by(rule, truth, score)
            except UndefinedMetricError:
                continue
            if predictions.kind == "probability" and threshold > 1:
                continue
            name = name_of(rule)
            points.append(Point(name, rule, threshold, chosen_on, is_optimistic))
        found[label] = tuple(points)
    return found


def given(labels: Sequence[str], thresholds: Sequence[str]) -> Points:
    """Return the thresholds that a user states.

    Args:
        labels: The main label first.
        thresholds: "0.3" for the main label, or "label=0.3".

    Raises:
        DataError: If one is no number, or there is no such label.
    """
    found: dict[str, list[Point]] = {label: [] for label in labels}
    for text in thresholds:
        label, equals, number = text.rpartition("=")
        label = label.strip() if equals else labels[0]
        if label not in found:
            msg = f"there is no label {label!r} for the threshold {text!r}"
            raise DataError(msg, hint=f"Labels: {', '.join(labels)}.")
        try:
            value = float(number)
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            msg = f"the threshold {text!r} is no number"
            raise DataError(msg, hint="Write 0.3, or label=0.3.")
        point = Point(f"Given {value:g}", "given", value, "stated beforehand")
        found[label].append(point)
    return {label: tuple(points) for label, points in found.items()}


def name_of(rule: str) -> str:
    """Return what readers call a rule.

    Examples:
        >>> name_of("sensitivity 0.95")
        'Sensitivity ≥ 0.95'
        >>> name_of("youden")
        'Youden'
    """
    kind, _, number = rule.partition(" ")
    name = _NAMES.get(kind, rule)
    return f"{name} ≥ {number}" if number and kind in _NAMES else name


def threshold_by(rule: str, truth: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Return the threshold that a rule gives.

    Args:
        rule: "youden", "sensitivity 0.95" or "specificity 0.9".
        truth: 1 for diseased, 0 for healthy, (N,).
        score: (N,).

    Raises:
        DataError: If there is no such rule.
        UndefinedMetricError: If only one class is present.
    """
    kind, _, number = rule.strip().partition(" ")
    if kind == "youden" and not number:
        return youden_threshold(truth, score)
    try:
        target = float(number)
    except ValueError:
        target = -1.0
    if kind not in {"sensitivity", "specificity"} or not 0 < target <= 1:
        msg = f"there is no rule {rule!r} for an operating point"
        raise DataError(msg, hint="youden, sensitivity 0.95 or specificity 0.9.")
    if kind == "sensitivity":
        return threshold_at_sensitivity(truth, score, target)
    return threshold_at_specificity(truth, score, target)
