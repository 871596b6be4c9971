"""Does a model in another form answer what it answers here?"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.bundle import Bundle, BundleSpec
from medcnn.calibration import probabilities_of
from medcnn.engines import open_engine
from medcnn.errors import EngineError
from medcnn.io import load

__all__ = ["PROBES", "WORST_APART", "Agreement", "Runner", "probes", "verify"]

WORST_APART = 1e-3
"""Largest difference of a probability that is let through."""

PROBES = 4
"""Random inputs whose logits export.json keeps."""

_EXPECTED = "selftest/expected.json"
_RANDOM = 8

Tensor = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]
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
        probe: Logits here of the first random inputs, so that whoever reads the form
            back can see that nothing changed.
        selftest: What both say of the self-test's image: by label the probability here
            and there, and the labels that would be decided otherwise. None if the
            model carries no image.
        areas: What changed in area under the ROC curve on labelled images, as
            `medcnn.exporting.areas.Areas`. None if none were named: a single image
            without a truth has no area.
    """

    format: str
    compared_with: str
    inputs: int
    max_difference_logit: float
    max_difference_probability: float
    environment: dict[str, str]
    probe: tuple[tuple[float, ...], ...] = ()
    selftest: dict[str, Any] | None = None
    areas: dict[str, Any] | None = None

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
        probe=tuple(tuple(map(float, row)) for row in wanted[:PROBES]),
        selftest=_selftest(bundle.spec, *shares) if len(tensors) > _RANDOM else None,
    )
    if not found.max_difference_probability <= WORST_APART:
        msg = (
            f"as {form} the model answers up to {found.max_difference_probability:.2g} "
            f"beside {found.compared_with}; at most {WORST_APART:.2g} is let through"
        )
        raise EngineError(msg, hint="Choose another --format.")
    return found


def probes(spec: BundleSpec, count: int = PROBES) -> list[Tensor]:
    """Return seeded random tensors, the same ones for the same model every time."""
    size = count, spec.input.channels, *spec.input.shape
    return list(np.random.default_rng(0).normal(size=size).astype(np.float32))


def _inputs(bundle: Bundle) -> list[Tensor]:
    """Return what both are given: seeded random tensors, and the self-test's image."""
    spec = bundle.spec
    tensors = probes(spec, _RANDOM)
    if _EXPECTED in spec.files:
        text = (bundle.path / _EXPECTED).read_text(encoding="utf-8")
        image = load(bundle.path / "selftest" / Path(json.loads(text)["input"]).name)
        tensors.append(spec.preprocessing.apply(image).tensor)
    return tensors


def _selftest(spec: BundleSpec, there: Values, here: Values) -> dict[str, Any]:
    """Return what both say of the last input, the self-test's image."""
    by_label = dict(
        zip(spec.labels, zip(here[-1], there[-1], strict=True), strict=True)
    )
    changed = [
        point.label
        for point in spec.operating_points
        for threshold in {point.flag, point.review}
        if len({share >= threshold for share in by_label[point.label]}) > 1
    ]
    return {
        "probabilities": {k: list(map(float, v)) for k, v in by_label.items()},
        "decided_otherwise": sorted(set(changed)),
    }
