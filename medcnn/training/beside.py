"""The trained network beside the baselines, on the same cases."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

from medcnn.baselines import (
    BASELINES,
    Asked,
    Baselines,
    Comparison,
    compare,
    image_features,
    metadata_features,
)
from medcnn.training.answers import Answers
from medcnn.training.material import Material
from medcnn.training.measure import patients_of
from medcnn.training.members import Folds

__all__ = ["NETWORK", "Part", "stand_beside"]

NETWORK = "This model"
FloatArray = npt.NDArray[Any]
Indices = npt.NDArray[np.intp]
Part = tuple[Indices, Answers, FloatArray]
"""Cases of the table, what the bundle said of them, and their probabilities."""


def stand_beside(
    material: Material,
    folds: Folds | None,
    parts: Mapping[str, Part],
    members: Mapping[str, Mapping[str, FloatArray]],
) -> Comparison:
    """Fit the baselines on what the networks learnt from, and measure all alike.

    Args:
        material: What was trained on; with folds all but test is train.
        folds: The fold of each case, if there are folds.
        parts: What is asked: val or out-of-fold, and test if there is one.
        members: For each part, the logits of each network alone, (N, L).
    """
    recipe, table = material.recipe, material.table
    learners = _learners(material) if recipe.report.baselines else None
    train = material.indices("train")
    splits = {}
    for name, (chosen, answers, told) in parts.items():
        models = {NETWORK: told}
        models |= {
            member: _shares(table.activation, logits)
            for member, logits in members.get(name, {}).items()
        }
        if learners is not None:
            models |= _told(learners, train, chosen, folds if name != "test" else None)
        patients = patients_of(answers.table)
        splits[name] = Asked(answers.table.truth(), patients, models)
    several = table.activation == "softmax" and len(table.labels) > 2
    judged = table.labels if several else table.labels[:1]
    names = {NETWORK, *(name for part in members.values() for name in part)}
    return compare(table.labels, splits, network=NETWORK, trained=names, judged=judged)


def _learners(material: Material) -> Baselines:
    """Measure all images in plain ways, and make learners of that."""
    recipe, table = material.recipe, material.table
    with material.reporter.bar("baselines", len(material.pixels)) as tick:
        image = image_features(material.pixels, tick=lambda more: tick(more, ""))
    without = {extra.column for extra in recipe.report.extra_truth.values()}
    metadata, _ = metadata_features(table, without=without)
    truth = table.truth()
    return Baselines(truth, table.activation, image, metadata, seed=recipe.seed)


def _told(
    learners: Baselines, train: Indices, chosen: Indices, folds: Folds | None
) -> dict[str, FloatArray]:
    """Ask the baselines; with folds, each about the fold it did not see."""
    if folds is None:
        found = learners.told(train, chosen)
        return {BASELINES[name]: told for name, told in found.items()}
    whole: dict[str, FloatArray] = {}
    for fold in np.unique(folds[chosen]):
        held = folds[chosen] == fold
        found = learners.told(train[folds[train] != fold], chosen[held])
        for name, told in found.items():
            empty = np.zeros((len(chosen), told.shape[1]))
            whole.setdefault(BASELINES[name], empty)[held] = told
    return whole


def _shares(activation: str, logits: FloatArray) -> FloatArray:
    """Return probabilities as they are before calibration."""
    if activation == "softmax":
        return np.asarray(softmax(logits.astype(np.float64), axis=1))
    return np.asarray(expit(logits.astype(np.float64)))
