"""Heatmaps: what moved a model's score, on the image's own grid."""

from medcnn.explanation.cam import explain, heatmap_of

__all__ = ["explain", "heatmap_of"]
