"""A model in other forms: graphs for other programs, and an 8-bit network."""

from medcnn.exporting.forms import FORMS, Form, export
from medcnn.exporting.int8 import WORST, Quantised, quantise

__all__ = ["FORMS", "WORST", "Form", "Quantised", "export", "quantise"]
