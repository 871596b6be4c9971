"""Heatmaps: what moved a model's score, on the image's own grid."""

from medcnn.explanation.cam import heatmap_of
from medcnn.explanation.methods import METHODS, Method
from medcnn.explanation.settings import Settings
from medcnn.explanation.shown import Shown, display_window, shown
from medcnn.explanation.surface import Explained, Explainer, explain

__all__ = [
    "METHODS",
    "Explained",
    "Explainer",
    "Method",
    "Settings",
    "Shown",
    "display_window",
    "explain",
    "heatmap_of",
    "shown",
]
