"""What a training starts from: random weights, a file of weights, or a model."""

from pathlib import Path
from typing import Any

from medcnn.bundle import SPEC, WEIGHTS, Bundle, open_bundle
from medcnn.errors import RecipeError

__all__ = ["bundle_of", "start_settings"]


def start_settings(*, init: str | None, weights: Path | None) -> dict[str, Any]:
    """Return the settings that make a training start from a model, or from weights.

    A model brings its network, the size of its input and its weights; of its head the
    rows of labels that are learnt again.

    Args:
        init: A shipped model's name or a model's folder.
        weights: A file of weights.

    Raises:
        BundleError: If the model is not as it should be.
        RecipeError: If both are given.
    """
    if init is not None and weights is not None:
        msg = "--init and --weights both say what to start from"
        raise RecipeError(msg, hint="Give one of them.")
    if weights is not None:
        return {"network.pretrained": weights}
    if init is None:
        return {}
    bundle = open_bundle(init)
    spec = bundle.spec
    return {
        "network.name": spec.network.name,
        "network.arguments": dict(spec.network.arguments),
        "network.pretrained": bundle.path / WEIGHTS,
        "input.shape": spec.input.shape,
        "input.channels": spec.input.channels,
    }


def bundle_of(weights: Path) -> Bundle | None:
    """Return the model whose weights a file is; None for any other file.

    Raises:
        BundleError: If the model is not as it should be.
    """
    if weights.name != WEIGHTS or not (weights.parent / SPEC).is_file():
        return None
    return open_bundle(weights.parent)
