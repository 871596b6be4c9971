"""A model on labelled images: evaluated, compared, and fitted to a site."""

from medcnn.assessment.calibrating import Fitted, calibrate
from medcnn.assessment.carding import update_card
from medcnn.assessment.comparing import compare
from medcnn.assessment.evaluating import Run, evaluate
from medcnn.assessment.referencing import Referred, refer

__all__ = [
    "Fitted",
    "Referred",
    "Run",
    "calibrate",
    "compare",
    "evaluate",
    "refer",
    "update_card",
]
