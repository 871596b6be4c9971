"""The input gate: is this an image that the model was made for?

Four looks, each a reason in words: what the file says of itself (modality, body part,
view), what the pixels are (size, colour, content), whether it looks like the negative
of a training image, and how far the network's feature vector lies from those of the
training images.
"""

from medcnn.gate.features import FeatureModel, look_at_features
from medcnn.gate.pattern import Pattern, fit_pattern, look_at_pattern
from medcnn.gate.rules import GateRules, look_at_facts

__all__ = [
    "FeatureModel",
    "GateRules",
    "Pattern",
    "fit_pattern",
    "look_at_facts",
    "look_at_features",
    "look_at_pattern",
]
