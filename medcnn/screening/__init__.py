"""Screening: many files, one durable row each, a ranked worklist and a report."""

from medcnn.screening.options import Limits, Options
from medcnn.screening.publish import republish
from medcnn.screening.run import Screening, screen

__all__ = ["Limits", "Options", "Screening", "republish", "screen"]
