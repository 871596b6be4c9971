"""Trust scores made up for tests of pages, cards and words."""

from medcnn.evaluation.measures import Estimate
from medcnn.evaluation.trust import (
    Agreement,
    Faithfulness,
    Located,
    LocationScore,
    Ordered,
    Randomised,
    Trust,
)

__all__ = ["made_up_trust"]

SHARES = (0.0, 0.5, 1.0)


def about(value):
    return Estimate(value=value, ci95=(value - 0.1, value + 0.1), method="made up")


def made_up_located(verdict):
    scores = tuple(
        LocationScore(
            name=name,
            value=about(0.6 - 0.1 * n),
            centre=about(0.2),
            random=0.1,
            usual=0.3 if n < 2 else None,
            less_centre=about(0.4 - 0.1 * n),
        )
        for n, name in enumerate(("pointing", "energy", "iou", "auprc"))
    )
    return Located(
        images=31,
        patients=20,
        empty_maps=2,
        area=0.1,
        scores=scores,
        verdict=verdict,
    )


def made_up_ordered(value):
    return Ordered(
        value=about(value),
        random=about(0.5),
        centre=about(0.45),
        less_random=about(value - 0.5),
        less_centre=about(value - 0.45),
        curve=(0.9, value, 0.1),
        random_curve=(0.9, 0.5, 0.1),
        centre_curve=(0.9, 0.45, 0.1),
    )


def made_up_trust(verdict="better", *, correlation=0.1):
    """Return scores of two labels, the second of which has too few patients."""
    return Trust(
        method="cam",
        located={
            "abnormal": made_up_located(verdict),
            "mass": made_up_located("too few"),
        },
        faithfulness=Faithfulness(
            label="abnormal",
            images=31,
            shares=SHARES,
            deletion=made_up_ordered(0.3),
            insertion=made_up_ordered(0.7),
            deleted_become="the image's mean",
            inserted_into="the blurred image",
            verdict=verdict,
        ),
        randomised=(
            Randomised(
                part="head", images=31, correlation=about(correlation), equal_maps=3
            ),
        ),
        agreement=(
            Agreement(
                first="cam",
                second="occlusion",
                images=31,
                correlation=about(0.7),
                overlap=about(0.4),
            ),
        ),
        notes=("A note.",),
    )
