"""One case, ready to become DICOM: image, source, answer and maps."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from medcnn.dicom_out.codes import Codes
from medcnn.dicom_out.source import Source
from medcnn.dicom_out.uids import derived_uid
from medcnn.image import Image
from medcnn.model import Model
from medcnn.results import Band, Heatmap, Prediction

__all__ = ["Case", "Mapped", "ModelFacts"]

_FORM = "2"
"""Changes when the same case would be written differently."""


@dataclass(frozen=True)
class ModelFacts:
    """Who answered.

    Attributes:
        name: The bundle's.
        version: The bundle's.
        weights_sha256: Of its weights.
        settings_sha256: Of all of its bundle.json.
        review: The lower threshold of each label.
        software: medcnn's own version.
    """

    name: str
    version: str
    weights_sha256: str
    settings_sha256: str
    review: Mapping[str, float]
    software: str

    @classmethod
    def of(cls, model: Model, *, software: str) -> Self:
        """Return the facts of an open model."""
        spec = model.spec
        settings = hashlib.sha256(spec.model_dump_json().encode()).hexdigest()
        review = {point.label: point.review for point in spec.operating_points}
        return cls(
            spec.name, spec.version, model.bundle.sha256, settings, review, software
        )


@dataclass(frozen=True, eq=False)
class Mapped:
    """One label's heatmap, as values and as a picture.

    Attributes:
        heatmap: Raw relevance.
        levels: It on the scale of the screen, (I, J, K).
        picture: Overlay with its legend, RGB, (rows, columns, 3).
    """

    heatmap: Heatmap
    levels: npt.NDArray[np.float32]
    picture: npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Case:
    """What one image's results are made of.

    Attributes:
        image: The image.
        source: The DICOM objects that it was read from.
        prediction: What the model said.
        maps: One for each explained label.
        model: Who answered.
        codes: What findings are called.
    """

    image: Image
    source: Source
    prediction: Prediction
    maps: tuple[Mapped, ...]
    model: ModelFacts
    codes: Codes = field(default_factory=Codes)

    @cached_property
    def seed(self) -> str:
        """What every identifier of the results follows from: input and model.

        The input is the source's names for itself, its pixels, and what of its header
        is repeated: a sender that changes an object under its old name, or a result
        that tells whose it is beside one that does not, must not share a name.
        """
        facts = (self.model.name, self.model.version, self.model.settings_sha256)
        places = (f"{plane.sop_uid} {plane.frame}" for plane in self.source.planes)
        inside = (self.codes.model_dump_json(), _digest(self.image, self.source))
        return derived_uid(_FORM, *facts, self.model.weights_sha256, *inside, *places)

    def map_of(self, label: str) -> Mapped | None:
        """Return the map of a label, if it was made."""
        return next((m for m in self.maps if m.heatmap.label == label), None)

    def band(self, label: str) -> Band | None:
        """Place a label's probability; None if it must not be believed."""
        if self.prediction.out_of_scope:
            return None
        probability = self.prediction.probabilities[label]
        if probability >= self.prediction.thresholds[label]:
            return Band.FLAG
        is_near = probability >= self.model.review[label]
        return Band.REVIEW if is_near else Band.NO_FLAG


def _digest(image: Image, source: Source) -> str:
    """Return a checksum of an image's values and of its source's clean headers."""
    values = np.ascontiguousarray(image.array)
    digest = hashlib.sha256(f"{values.dtype.str} {values.shape}".encode())
    digest.update(values.data)
    for header in source.headers:
        words = "\n".join(f"{element.tag} {element.value}" for element in header)
        digest.update(words.encode(errors="surrogatepass"))
    return digest.hexdigest()
