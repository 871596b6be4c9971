"""What medcnn finds out about an image: frozen records that go to JSON and back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medcnn.errors import GeometryError
from medcnn.geometry import Geometry

__all__ = [
    "LIMITS_OF_A_MAP",
    "TILE_METHODS",
    "Band",
    "CaseResult",
    "Heatmap",
    "NumberKind",
    "Prediction",
    "Status",
]

LIMITS_OF_A_MAP = "shows what moved the score, not a lesion's outline"
"""What must be read beside every heatmap."""

NumberKind = Literal["probability", "anomaly score"]
"""What a model's numbers from 0 to 1 are. An anomaly score is a detector's: about the
share of held-out normal images that look less unusual; no probability of anything."""

TILE_METHODS: dict[NumberKind, str] = {
    "probability": "tile probability",
    "anomaly score": "tile anomaly score",
}
"""The method of a heatmap whose values are the numbers of a slide's tiles."""


class Status(StrEnum):
    """What became of a file in a screening run."""

    OK = "ok"
    OUT_OF_SCOPE = "out_of_scope"
    ERROR = "error"


class Band(StrEnum):
    """Where a score lies between the two operating points."""

    FLAG = "flag"
    """At or above the flag threshold."""
    REVIEW = "review"
    """Between the two thresholds."""
    NO_FLAG = "no-flag"
    """Below the review threshold."""


@dataclass(frozen=True)
class Prediction:
    """The probability of every label for one image, or a detector's anomaly score.

    Attributes:
        probabilities: 0 to 1 for each label, the model's main label first.
        thresholds: The operating point of each label, on the same scale.
        model: Name of the bundle.
        model_sha256: Checksum of its weights.
        ood_score: Distance from the training images; above `ood_limit` is far away.
        ood_limit: The limit the bundle froze; None if it carries no gate.
        out_of_scope: Why the model must not be believed here; empty if it may.
        kind: What these numbers are.
    """

    probabilities: Mapping[str, float]
    thresholds: Mapping[str, float]
    model: str
    model_sha256: str
    ood_score: float | None = None
    ood_limit: float | None = None
    out_of_scope: str = ""
    kind: NumberKind = "probability"

    @property
    def label(self) -> str:
        """The model's main label."""
        return next(iter(self.probabilities))

    @property
    def probability(self) -> float:
        """The main label's probability, or anomaly score."""
        return self.probabilities[self.label]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"label": self.label, "probability": self.probability}


@dataclass(frozen=True, eq=False)
class Heatmap:
    """Relevance of each voxel of an image for one label; hot is high.

    Attributes:
        array: Raw relevance >= 0 on the image's own grid, shape (I, J, K).
        geometry: That grid, or None if the image had none.
        label: The label that is explained.
        method: How it was made, such as "cam".
        model: Name of the bundle.
        layer: Whose feature map it is made of; empty if of none.
        unit: Of its values.
        meaning: What a value says, in a sentence.
        cells: How many cells that feature map has; 0 if there is none.

    Raises:
        GeometryError: If the array is not (I, J, K) or not the geometry's shape.
    """

    array: npt.NDArray[np.float32]
    geometry: Geometry | None
    label: str
    method: str
    model: str
    layer: str = ""
    unit: str = ""
    meaning: str = ""
    cells: int = 0

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            msg = f"a heatmap has shape (I, J, K), got {self.array.shape}"
            raise GeometryError(msg)
        if self.geometry is not None and self.array.shape != self.geometry.shape:
            msg = f"heatmap is {self.array.shape}, its grid {self.geometry.shape}"
            raise GeometryError(msg)

    @property
    def limits(self) -> str:
        """What must be read beside it."""
        return LIMITS_OF_A_MAP

    @property
    def peak(self) -> tuple[int, int, int]:
        """Voxel (i, j, k) of the highest relevance.

        Of several that are equally high it is the one nearest to their middle, so that
        the order in which a file keeps its voxels does not choose.
        """
        most = self.array.max()
        if most == self.array.min():  # all alike: the middle, and no list of all voxels
            low = [(n - 1) // 2 for n in self.array.shape]
            around = np.ones([2 - n % 2 for n in self.array.shape])
            highest = np.argwhere(around) + low
        else:
            hot = self.array == most
            along = hot.flags.c_contiguous  # looked through as it lies in memory
            highest = np.argwhere(hot) if along else np.argwhere(hot.T)[:, ::-1]
        affine = np.eye(4) if self.geometry is None else self.geometry.affine
        places = highest @ affine[:3, :3].T
        far = np.linalg.norm(places - places.mean(axis=0), axis=1)
        order = np.lexsort((*places.T[::-1].round(6), far.round(6)))
        i, j, k = highest[order[0]]
        return int(i), int(j), int(k)


@dataclass(frozen=True)
class CaseResult:
    """One row of a screening run: what became of one file.

    Attributes:
        path: The file, relative to the folder that was named where there was one.
        status: ok, out_of_scope or error.
        band: flag, review or no-flag; None unless the status is ok.
        prediction: None for an error.
        reason: Why it is out of scope or an error; empty if ok.
        stage: Where an error happened; empty otherwise.
        hint: What to do about an error.
        identity: study_uid, series_uid, sop_uid as the file says; patient_id too where
            the run keeps it, else a pseudonym.
        heatmap: File name of the overlay below the output folder; empty if none.
        thumbnail: File name of the small picture; empty if none.
        acquisition: How the image was made, see `medcnn.drift.acquisition_of`.
    """

    path: str
    status: Status
    band: Band | None = None
    prediction: Prediction | None = None
    reason: str = ""
    stage: str = ""
    hint: str = ""
    identity: Mapping[str, str | None] = field(default_factory=dict)
    heatmap: str = ""
    thumbnail: str = ""
    acquisition: Mapping[str, str | float] = field(default_factory=dict)
