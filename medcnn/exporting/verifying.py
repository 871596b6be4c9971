"""Does a model in another form answer what it answers here?"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.bundle import Bundle
from medcnn.calibration import probabilities_of
from medcnn.engines import open_engine
from medcnn.errors import EngineError
from medcnn.io import load

__all__ = ["WORST_APART", "Agreement", "verify"]

WORST_APART = 1e-3
"""Largest difference of a probability that is let through."""

_EXPECTED = "selftest/expected.json"
_RANDOM = 8

Tensor = npt.NDArray[np.float32]
Runner = Callable[[Sequence[Tensor]], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Agreement:
    """How far a model's answers in another form are from those here.

    Attributes:
        format: The form.
        compared_with: What ran the model here, in words.
        inputs: Tensors that both were given: random ones, and the image that the model
            carries for its self-test, if it does.
        max_difference_logit: The largest difference of a logit.
        max_difference_probability: The largest difference of a calibrated probability.
        environment: Versions of the libraries.
    """

    format: str
    compared_with: str
    inputs: int
    max_difference_logit: float
    max_difference_probability: float
    environment: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def verify(
    bundle: Bundle, run: Runner, *, form: str, libraries: Sequence[str]
) -> Agreement:
    """Compare the logits of another form with those of the model.

    Args:
        bundle: The model.
        run: Tensors (C, ...) in, logits (images, labels) of the other form out.
        form: What it is called.
        libraries: Whose versions are told.

    Raises:
        EngineError: If a probability differs by more than `WORST_APART`.
    """
    tensors = _inputs(bundle)
    engine = open_engine(bundle, device="cpu")
    wanted = np.array([out.logits for out in engine.stream(tensors)])
    got = np.asarray(run(tensors))
    apart = np.abs(got.astype(np.float64) - wanted)
    shares = [
        np.array([probabilities_of(bundle.spec, row) for row in logits])
        for logits in (got, wanted)
    ]
    found = Agreement(
        format=form,
        compared_with=f"{engine.name} on {engine.device}",
        inputs=len(tensors),
        max_difference_logit=float(apart.max()),
        max_difference_probability=float(np.abs(shares[0] - shares[1]).max()),
        environment={name: version(name) for name in libraries},
    )
    if not found.max_difference_probability <= WORST_APART:
        msg = (
            f"as {form} the model answers up to {found.max_difference_probability:.2g} "
            f"beside {found.compared_with}; at most {WORST_APART:.2g} is let through"
        )
        raise EngineError(msg, hint="Choose another --format.")
    return found


def _inputs(bundle: Bundle) -> list[Tensor]:
    """Return what both are given: seeded random tensors, and the self-test's image."""
    spec = bundle.spec
    size = _RANDOM, spec.input.channels, *spec.input.shape
    tensors = list(np.random.default_rng(0).normal(size=size).astype(np.float32))
    if _EXPECTED in spec.files:
        text = (bundle.path / _EXPECTED).read_text(encoding="utf-8")
        image = load(bundle.path / "selftest" / Path(json.loads(text)["input"]).name)
        tensors.append(spec.preprocessing.apply(image).tensor)
    return tensors
