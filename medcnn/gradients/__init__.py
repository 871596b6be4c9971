"""Gradients of a torch module's scores: what heatmaps by gradient are made of.

It takes any module and knows no bundle, image or label. It is the one place besides
networks and training that touches torch; `medcnn.explanation` asks for it when a method
needs it.
"""

from medcnn.gradients.attribution import Score, integrated_gradients, smoothgrad
from medcnn.gradients.layers import Layer, Trace, find_layer, trace
from medcnn.gradients.passes import Passed, features_at, pass_through, scores
from medcnn.gradients.state import device_of, dims_of, is_module, to_batch, undisturbed

__all__ = [
    "Layer",
    "Passed",
    "Score",
    "Trace",
    "device_of",
    "dims_of",
    "features_at",
    "find_layer",
    "integrated_gradients",
    "is_module",
    "pass_through",
    "scores",
    "smoothgrad",
    "to_batch",
    "trace",
    "undisturbed",
]
