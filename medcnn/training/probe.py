"""Start the head where the pretrained features already lead: a linear probe.

A fresh head sends noise back through the body, and spends epochs on what a logistic
regression on the frozen features finds in seconds. The body then only has to improve on
it.

References:
    [1] Kumar et al., Fine-tuning can distort pretrained features and underperform
        out-of-distribution, ICLR 2022.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression

from medcnn.networks import Classifier
from medcnn.training.batches import full_images
from medcnn.training.material import Material, epoch_plan

__all__ = ["fit_probe", "start_head"]

FloatArray = npt.NDArray[np.float64]


def start_head(network: Classifier, material: Material) -> None:
    """Set the head to logistic regressions on the body's pooled features.

    One epoch's training cases are taken, unvaried.

    Args:
        network: With its pretrained body; the head is overwritten.
        material: What the training works on.
    """
    recipe, table = material.recipe, material.table
    plan = epoch_plan(recipe, table, material.indices("train"))
    order = plan.order(0)
    with material.reporter.bar("starting the head", len(order)) as tick:
        features = _features(network, material, order, lambda n: tick(n, ""))
    truth = table.truth()[order]
    strength = recipe.optimiser.probe
    for column in range(truth.shape[1]):
        known = ~np.isnan(truth[:, column])
        found = fit_probe(features[known], truth[known, column], strength=strength)
        if found is None:
            continue
        weight, bias = found
        with torch.no_grad():
            network.head.weight[column] = torch.from_numpy(weight).float()
            network.head.bias[column] = bias


def fit_probe(
    features: FloatArray, truth: npt.NDArray[np.float32], *, strength: float
) -> tuple[FloatArray, float] | None:
    """Fit one logistic regression on standardised features.

    Args:
        features: (N, F).
        truth: 0 or 1, (N,).
        strength: Inverse of the L2 penalty, > 0.

    Returns:
        Weight (F,) and bias on the features as they are; None if only one class is
        present.
    """
    if len(np.unique(truth)) < 2:
        return None
    mean, deviation = features.mean(0), features.std(0) + 1e-6
    model = LogisticRegression(C=strength, max_iter=1000)
    model.fit((features - mean) / deviation, truth)
    weight = model.coef_[0] / deviation
    return weight, float(model.intercept_[0] - weight @ mean)


@torch.no_grad()
def _features(
    network: Classifier,
    material: Material,
    indices: npt.NDArray[np.intp],
    tick: Callable[[int], None],
) -> FloatArray:
    """Return pooled features of unvaried images, (N, F)."""
    spec = material.recipe.input
    network.eval().to(material.device)
    pooled = []
    size = material.recipe.optimiser.batch_size
    for start in range(0, len(indices), size):
        images = full_images(material.pixels, indices[start : start + size])
        batch = ((images - spec.mean) / spec.std).to(material.device)
        with material.fabric.autocast():
            features = network.body(batch)
        pooled.append(network.pool(features.float()).cpu())
        tick(len(images))
    return torch.cat(pooled).double().numpy()
