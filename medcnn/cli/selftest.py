"""Run a shipped model and compare it with what it said when it was made."""

import time

import numpy as np

from medcnn.engines import EngineName
from medcnn.errors import EngineError
from medcnn.model import Model

__all__ = ["run_selftest"]

_SEED = 7


def run_selftest(name: str, engine: EngineName) -> tuple[str, str]:
    """Run a model once in an engine.

    Returns:
        The device, and what was seen in words.

    Raises:
        BundleError: If the model is damaged.
        EngineError: If the engine cannot run it, or answers wrongly.
        MissingDependencyError: If the engine is not installed.
    """
    model = Model.open(name, engine=engine)
    spec = model.spec.input
    noise = np.random.default_rng(_SEED).standard_normal((spec.channels, *spec.shape))
    tensor = noise.astype(np.float32)
    next(model.stream([tensor]))
    start = time.perf_counter()
    answer = next(model.stream([tensor]))
    milliseconds = (time.perf_counter() - start) * 1000
    values = list(answer.prediction.probabilities.values())
    if not np.isfinite(values).all():
        msg = f"{engine} gives {values} for {name}: not finite numbers"
        raise EngineError(msg)
    device = model.engine.device
    return device, f"{milliseconds:.0f} ms an image on {device}"
