"""What the data is, and how a model is to be trained on it: fingerprint and plan."""

from medcnn.planning.recipe import Recipe, read_recipe

__all__ = ["Recipe", "read_recipe"]
