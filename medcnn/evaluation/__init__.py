"""Predictions and truth to numbers that survive review: no model, no torch needed."""

from medcnn.evaluation.compare import (
    COMPARISON,
    Comparison,
    compare_predictions,
    write_comparison,
)
from medcnn.evaluation.discrimination import Settings
from medcnn.evaluation.evaluate import (
    Design,
    evaluate_predictions,
    flow_step,
    measured_part,
    medcnn_version,
)
from medcnn.evaluation.predictions import Predictions, refuse_shared_patients
from medcnn.evaluation.records import (
    EVALUATION,
    Evaluation,
    FlowStep,
    ModelFacts,
    read_evaluation,
    write_evaluation,
)
from medcnn.evaluation.rules import Point, Points, choose, threshold_by
from medcnn.evaluation.table import PREDICTIONS, read_predictions, write_predictions

__all__ = [
    "COMPARISON",
    "EVALUATION",
    "PREDICTIONS",
    "Comparison",
    "Design",
    "Evaluation",
    "FlowStep",
    "ModelFacts",
    "Point",
    "Points",
    "Predictions",
    "Settings",
    "choose",
    "compare_predictions",
    "evaluate_predictions",
    "flow_step",
    "measured_part",
    "medcnn_version",
    "read_evaluation",
    "read_predictions",
    "refuse_shared_patients",
    "threshold_by",
    "write_comparison",
    "write_evaluation",
    "write_predictions",
]
