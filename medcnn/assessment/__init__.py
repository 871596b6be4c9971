"""A model on labelled images: evaluate it, compare two, calibrate one for a site."""

from medcnn.assessment.calibrating import Fitted, calibrate
from medcnn.assessment.carding import update_card
from medcnn.assessment.comparing import compare
from medcnn.assessment.evaluating import Run, evaluate

__all__ = ["Fitted", "Run", "calibrate", "compare", "evaluate", "update_card"]
