"""What is decided about a trained network: calibration, thresholds, its gate."""

import numpy as np
import numpy.typing as npt

from medcnn.bundle import Bundle, BundleSpec
from medcnn.dataset import CaseTable
from medcnn.errors import DataError
from medcnn.evaluation.fitting import fit_calibration
from medcnn.explanation.scale import measured_span
from medcnn.gate import FeatureModel, GateRules
from medcnn.planning import Recipe
from medcnn.training.answers import Answers
from medcnn.training.material import Material
from medcnn.training.measure import operating_points

__all__ = ["decide", "feature_model", "gate_rules", "some_of_train"]

_MOST_FEATURES = 4000
_OOD_QUANTILE = 0.99


def decide(
    spec: BundleSpec,
    bundle: Bundle,
    recipe: Recipe,
    held: tuple[str, Answers],
    gate: FeatureModel | None,
) -> BundleSpec:
    """Fit calibration, operating points and the gate's limit on what was held out.

    Args:
        spec: What is known by now.
        bundle: The network as a bundle.
        recipe: The recipe.
        held: What was held out: its name and what was said of it.
        gate: The gate's statistics, if there are any.
    """
    name, val = held
    rule = recipe.operating_point
    where = recipe.select.where if rule.where is None else rule.where
    chosen = val.table.matching(where)
    on = ", ".join([name, *(f"{k} = {v}" for k, v in where.items())])
    if rule.calibrate:
        truth = np.where(chosen[:, None], val.table.truth(), np.nan)
        spec = fit_calibration(spec, truth, val.logits, fitted_on=on)
    told = val.probabilities(spec, bundle)
    points = operating_points(val.table, told, chosen, rule, on)
    spec = spec.model_copy(update={"operating_points": points})
    flagged = told[:, 0] >= points[0].flag
    bias = float(bundle.head()[1][0])
    span = measured_span(spec, bias, val.peaks[flagged])
    changes: dict[str, object] = {"heatmap_span": span}
    if gate is not None:
        limit = float(np.quantile(gate.distance(val.features), _OOD_QUANTILE))
        frozen = {"ood_limit": limit, "ood_quantile": _OOD_QUANTILE}
        changes["gate"] = spec.gate.model_copy(update=frozen)
    return spec.model_copy(update=changes)


def gate_rules(recipe: Recipe, train: Answers) -> GateRules:
    """Return the recipe's gate; what it leaves open fits the training images.

    Args:
        recipe: The recipe.
        train: What was said of training cases.
    """
    rules, stated = recipe.gate, recipe.gate.model_fields_set
    changes: dict[str, object] = {}
    if "min_side" not in stated:
        changes["min_side"] = min(rules.min_side, train.smallest)
    if "colour" not in stated:
        changes["colour"] = recipe.input.channels > 1
    if "pattern" not in stated and train.pattern is not None:
        changes["pattern"] = train.pattern.cells
        changes["pattern_limit"] = train.pattern.limit
    return rules.model_copy(update=changes)


def some_of_train(material: Material) -> CaseTable:
    """Return training cases for the gate's statistics, not too many.

    Args:
        material: What was trained on.
    """
    train = material.table.part("train")
    rng = np.random.default_rng((material.recipe.seed, 3))
    order = rng.permutation(len(train.cases))[:_MOST_FEATURES]
    return train.take(sorted(order.tolist()))


def feature_model(features: npt.NDArray[np.float32]) -> FeatureModel | None:
    """Fit the gate's statistics; None where the images are too few.

    Args:
        features: Pooled feature vectors of training cases, (N, F).
    """
    count, size = features.shape
    directions = min(64, count // 4, size // 2)
    try:
        return FeatureModel.fit(features, directions=max(directions, 1))
    except DataError:
        return None
