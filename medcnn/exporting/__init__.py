"""A model in other forms: graphs for other programs, and an 8-bit network."""

from medcnn.exporting.areas import WORST, Areas
from medcnn.exporting.forms import AGREEMENT, FORMS, Form, export
from medcnn.exporting.int8 import Quantised, quantise
from medcnn.exporting.verifying import WORST_APART, Agreement, verify

__all__ = [
    "AGREEMENT",
    "FORMS",
    "WORST",
    "WORST_APART",
    "Agreement",
    "Areas",
    "Form",
    "Quantised",
    "export",
    "quantise",
    "verify",
]
