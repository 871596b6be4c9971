"""What every detector does, and how one comes back from a bundle."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from medcnn.detectors.cells import DetectorSpec, Places, top_mean
from medcnn.detectors.padim import Padim
from medcnn.detectors.patchcore import PatchCore
from medcnn.errors import DataError

__all__ = ["DETECTOR", "Detector", "detector_of"]

FloatArray = npt.NDArray[Any]

DETECTOR = "detector.safetensors"
"""File of a bundle with a detector's numbers."""


class Kind(Protocol):
    """One way to say how unusual a place is."""

    @property
    def features(self) -> int:
        """Channels of the feature map that it takes."""
        ...

    def unusual(self, places: FloatArray) -> FloatArray:
        """Return how unusual each place is, (P,) >= 0, for (P, F)."""
        ...

    def arrays(self) -> dict[str, FloatArray]:
        """Return what a bundle stores."""
        ...


class Detector:
    """A fitted detector on feature maps.

    Args:
        spec: What the bundle says of it.
        kind: What it compares with.
    """

    def __init__(self, spec: DetectorSpec, kind: Kind) -> None:
        self.spec = spec
        self._kind = kind
        self._places = Places(spec.grid, spec.step)

    @property
    def features(self) -> int:
        """Channels of the feature map that it takes."""
        return self._kind.features

    def arrays(self) -> dict[str, FloatArray]:
        """Return what a bundle stores."""
        return self._kind.arrays()

    def cells(self, features: FloatArray) -> npt.NDArray[np.float32]:
        """Return the anomaly map: how unusual each place is, >= 0.

        Args:
            features: (F, h, w) or (F, d, h, w).

        Raises:
            DataError: If they give another grid than the detector was fitted on.
        """
        places = self._places.of(features)
        if len(places) != self._places.count:
            msg = f"feature maps of {features.shape} give {len(places)} places, "
            msg += f"the detector has {self._places.count}"
            raise DataError(msg, hint="The bundle contradicts itself: copy it again.")
        unusual = self._kind.unusual(places)
        return np.asarray(unusual.reshape(self.spec.grid), np.float32)

    def score(self, features: FloatArray) -> float:
        """Return how unusual an image is: the mean of its most unusual places."""
        return top_mean(self.cells(features), self.spec.top)


def detector_of(spec: DetectorSpec, arrays: Mapping[str, FloatArray]) -> Detector:
    """Make a detector from what a bundle stores.

    Raises:
        DataError: If an array is missing, or its shape or values make no sense.
    """
    kinds: Mapping[str, Any] = {"padim": Padim, "patchcore": PatchCore}
    kind = kinds[spec.kind]
    missing = [name for name in kind.names if name not in arrays]
    if missing:
        msg = f"the detector's numbers lack {', '.join(missing)}"
        raise DataError(msg)
    found = kind(*(np.asarray(arrays[name]) for name in kind.names))
    places = int(np.prod(spec.grid))
    if not found.fits(places):
        msg = "the detector's numbers do not fit each other, or are not finite"
        raise DataError(msg)
    return Detector(spec, found)
