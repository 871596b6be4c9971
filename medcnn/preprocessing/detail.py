"""How much of a picture's detail a model can see at all."""

from medcnn.preprocessing.pipeline import Preprocessing
from medcnn.preprocessing.steps import Hang, Resize

__all__ = ["detail_needed"]

_SPARE = 2
"""How many samples a network's pixel must still be averaged over, along a side."""


def detail_needed(preprocessing: Preprocessing) -> int | None:
    """Return how many rows and columns of a picture are enough for a model.

    A picture at least twice as large as what the network sees loses nothing that the
    network could tell: its pixels are averages over four samples or more either way.

    Returns:
        None if every sample counts: for volumes, for a step that looks at single
        values before they are averaged, and where the size depends on millimetres.
    """
    for step in preprocessing.steps:
        if isinstance(step, Resize):
            is_fixed = len(step.shape) == 2 and step.fit != "spacing"
            return _SPARE * max(step.shape) if is_fixed else None
        if not isinstance(step, Hang):
            return None
    return None
