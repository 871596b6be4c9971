"""What later runs are compared with: scores and acquisition of held-out cases."""

from typing import Any

import numpy.typing as npt

from medcnn.bundle import BundleSpec
from medcnn.drift import SampleMaker
from medcnn.gate import FeatureModel, look_at_features
from medcnn.training.answers import Answers

__all__ = ["reference_json"]


def reference_json(
    spec: BundleSpec,
    answers: Answers,
    told: npt.NDArray[Any],
    gate: FeatureModel | None,
    held: str,
) -> bytes:
    """Return the sample of held-out cases as a bundle keeps it.

    As in a screening run, a case that the gate's rules refuse by its facts has no
    score, and the first image of each patient counts.

    Args:
        spec: With the gate's limit.
        answers: What the network said of the cases.
        told: Their probabilities, (N, L).
        gate: The gate's statistics, if there are any.
        held: What the cases are called.
    """
    distances = None if gate is None else gate.distance(answers.features)
    maker = SampleMaker()
    for n, case in enumerate(answers.table.cases):
        refused = answers.reasons[n]
        distance = None if distances is None else float(distances[n])
        outside = refused or look_at_features(spec.gate, distance)
        facts: dict[str, str | float | None] = {
            **answers.acquisitions[n],
            "score": None if refused else float(told[n, 0]),
            "distance": None if refused else distance,
            "scope": "out of scope" if outside else "in scope",
        }
        maker.add(facts, case.patient_id)
    name = f"the {held} cases of {spec.name} {spec.version}"
    return maker.sample(name).model_dump_json().encode()
