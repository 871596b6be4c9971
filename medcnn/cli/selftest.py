"""Run a shipped model and compare it with what it said when it was made."""

import json
import time
from pathlib import Path
from typing import Any

from medcnn.engines import EngineName
from medcnn.errors import BundleError, EngineError
from medcnn.io import load
from medcnn.model import Model

__all__ = ["run_selftest"]

_EXPECTED = "selftest/expected.json"


def run_selftest(name: str | Path, engine: EngineName) -> tuple[str, str]:
    """Run a model in an engine on the image that it carries for this.

    Returns:
        The device, and what was seen in words.

    Raises:
        BundleError: If the model is damaged or carries no such image.
        EngineError: If the engine cannot run it, or answers something else.
        MissingDependencyError: If the engine is not installed.
    """
    model = Model.open(name, engine=engine)
    expected = _expected(model)
    image = load(model.bundle.path / "selftest" / expected["input"])
    model.predict(image)
    start = time.perf_counter()
    found = model.predict(image).probabilities
    milliseconds = (time.perf_counter() - start) * 1000
    worst = max(abs(found[n] - p) for n, p in expected["probabilities"].items())
    device = model.engine.device
    if not worst <= expected["tolerance"]:
        msg = (
            f"{engine} on {device} answers up to {worst:.2g} beside what {name} said "
            f"when it was made; at most {expected['tolerance']:.2g} is allowed"
        )
        raise EngineError(msg, hint="Do not use this engine here.")
    return device, f"right within {worst:.1g}, {milliseconds:.0f} ms an image"


def _expected(model: Model) -> dict[str, Any]:
    """Read what a model said when it was made.

    Raises:
        BundleError: If it carries nothing of the kind.
    """
    if _EXPECTED not in model.spec.files:
        msg = f"{model.bundle.path} carries no {_EXPECTED}"
        raise BundleError(msg, hint="It cannot be told whether it works.")
    text = (model.bundle.path / _EXPECTED).read_text(encoding="utf-8")
    return dict(json.loads(text))
