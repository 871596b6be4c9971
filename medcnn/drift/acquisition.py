"""What an image says of how it was made; nothing in it names a patient."""

from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.image import Image

__all__ = ["Acquisition", "acquisition_of"]

Acquisition = dict[str, str | float]

_LOOKED_AT = 256
_LONGEST = 64


def acquisition_of(image: Image) -> Acquisition:
    """Return how an image was made, as far as file and pixels say.

    Returns:
        Words: modality, view, device (manufacturer and model) and bits stored. Numbers:
        rows and columns; `brightness`, where the median lies between the 0.5th and the
        99.5th percentile; `contrast`, the share of that range between the quartiles;
        `range_log2`, the range itself in powers of two. What is not known is not there.
    """
    facts = image.facts
    device = f"{facts.get('manufacturer', '')} {facts.get('device_model', '')}"
    words = {
        "modality": image.modality or "",
        "view": facts.get("view", ""),
        "device": device,
        "bits": facts.get("bits", ""),
    }
    found: Acquisition = {
        name: " ".join(text.split())[:_LONGEST]
        for name, text in words.items()
        if text.strip()
    }
    columns, rows, _ = image.shape
    found["rows"] = float(facts.get("rows") or rows)
    found["columns"] = float(facts.get("columns") or columns)
    return found | _exposure(image.array)


def _exposure(array: npt.NDArray[Any]) -> Acquisition:
    """Return where the values of one channel lie, from a grid of its pixels."""
    steps = (max(1, size // _LOOKED_AT) for size in array.shape[1:])
    across, down, deep = steps
    seen = array[0, ::across, ::down, ::deep].astype(np.float64)
    marks = np.percentile(seen, (0.5, 25, 50, 75, 99.5))
    low, first, middle, third, high = (float(mark) for mark in marks)
    if not np.isfinite(marks).all() or high <= low:
        return {}
    return {
        "brightness": round((middle - low) / (high - low), 6),
        "contrast": round((third - first) / (high - low), 6),
        "range_log2": round(float(np.log2(high - low)), 6),
    }
