"""How large an image may be that this process reads.

Like a resource limit of the system it belongs to a process, and worker processes set it
once, when they start: readers ask it wherever a header declares a size.
"""

from dataclasses import dataclass

__all__ = ["MAX_FRAMES", "MAX_SAMPLES", "Bounds", "bounds", "set_bounds"]

MAX_SAMPLES = 2**28
"""Most numbers one image may declare (columns x rows x slices x channels)."""

MAX_FRAMES = 2**20
"""Most frames one DICOM object may declare."""


@dataclass(frozen=True)
class Bounds:
    """Largest sizes that are read.

    Attributes:
        samples: Columns x rows x slices x channels of one image.
        frames: Of one DICOM object.
    """

    samples: int = MAX_SAMPLES
    frames: int = MAX_FRAMES


_BOUNDS = [Bounds()]


def bounds() -> Bounds:
    """Return the bounds of this process."""
    return _BOUNDS[0]


def set_bounds(wanted: Bounds) -> None:
    """Set the bounds of this process, for all that it reads from now on."""
    _BOUNDS[0] = wanted
