"""A model in other forms: graphs for other programs, and an 8-bit network."""

from medcnn.exporting.forms import AGREEMENT, FORMS, Form, export
from medcnn.exporting.int8 import WORST, Quantised, quantise
from medcnn.exporting.verifying import WORST_APART, Agreement, verify

__all__ = [
    "AGREEMENT",
    "FORMS",
    "WORST",
    "WORST_APART",
    "Agreement",
    "Form",
    "Quantised",
    "export",
    "quantise",
    "verify",
]
