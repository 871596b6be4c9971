"""Image to tensor, and back again for heatmaps: one description for everything."""

from medcnn.preprocessing.pipeline import Prepared, Preprocessing
from medcnn.preprocessing.steps import (
    Hang,
    Normalise,
    Orient,
    Percentiles,
    Resize,
    Step,
    Window,
    ZScore,
)

__all__ = [
    "Hang",
    "Normalise",
    "Orient",
    "Percentiles",
    "Prepared",
    "Preprocessing",
    "Resize",
    "Step",
    "Window",
    "ZScore",
]
