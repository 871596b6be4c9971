"""Whether the images of a run still come from the world that a model was trained in.

What is compared is no truth, which nobody has yet, but what every run knows: scores,
the gate's distance, and how the images were acquired. The tests are in
`medcnn.drift.compare`: whoever only opens a model does not load scipy.stats.
"""

from medcnn.drift.acquisition import acquisition_of
from medcnn.drift.comparison import ALPHA, FEWEST, LEAST_SHIFT, Comparison, Move
from medcnn.drift.sample import REFERENCE, Numbers, Sample, SampleMaker, read_sample

__all__ = [
    "ALPHA",
    "FEWEST",
    "LEAST_SHIFT",
    "REFERENCE",
    "Comparison",
    "Move",
    "Numbers",
    "Sample",
    "SampleMaker",
    "acquisition_of",
    "read_sample",
]
