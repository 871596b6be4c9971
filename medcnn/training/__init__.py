"""Training: a recipe, labelled images, and a bundle that knows what it is worth."""

from medcnn.planning.recipe import Recipe, read_recipe
from medcnn.training.run import train

__all__ = ["Recipe", "read_recipe", "train"]
