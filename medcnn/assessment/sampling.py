"""What later runs are compared with: the distribution of what a model says of cases."""

import numpy as np

from medcnn.assessment.answers import Answered
from medcnn.drift import Sample, SampleMaker
from medcnn.evaluation import Predictions

__all__ = ["sample_of_answers"]


def sample_of_answers(told: Predictions, answered: Answered, source: str) -> Sample:
    """Return scores, distances and acquisition, of the first image of each patient.

    Args:
        told: The cases with the numbers that count, in an order that does not depend
            on them.
        answered: How the same cases were acquired, and their distances.
        source: What they are, in words.
    """
    maker = SampleMaker()
    for n, status in enumerate(told.statuses):
        if status == "error":
            continue
        score = float(told.score[n, 0])
        facts = {
            **answered.acquisitions[n],
            "score": None if np.isnan(score) else score,
            "distance": answered.distances[n],
            "scope": "in scope" if status == "ok" else "out of scope",
        }
        maker.add(facts, told.patients[n] if told.patients else None)
    return maker.sample(source)
