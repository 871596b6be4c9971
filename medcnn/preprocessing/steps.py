"""The steps that turn an image into what a network sees, as data.

A step is a frozen record with no behaviour, so that a bundle can carry it as JSON and
nothing in a bundle is ever executed. `medcnn.preprocessing.pipeline` carries them out.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "Fit",
    "Hang",
    "Normalise",
    "Orient",
    "Percentiles",
    "Resize",
    "Step",
    "Window",
    "ZScore",
]

Fit = Literal["stretch", "letterbox", "spacing"]


class _Step(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Orient(_Step):
    """Permute and flip a volume's axes so that i, j, k point to `codes`.

    "LPS" shows axial slices as a radiologist sees them, from the feet up.
    """

    step: Literal["orient"] = "orient"
    codes: str = Field(default="LPS", pattern="^[RLAPSI]{3}$")


class Hang(_Step):
    r"""Turn and mirror a frontal radiograph to the way radiologists hang it.

    The patient's left comes to the right side and the head to the top, by (0020,0020)
    Patient Orientation. Pictures that hang so (L\F), that are not frontal, or that do
    not say how the patient lies, stay as they are.
    """

    step: Literal["hang"] = "hang"


class Resize(_Step):
    """Bring the picture to (rows, columns), or the volume to (slices, rows, columns).

    Shrinking averages over the area of the old pixels; growing interpolates linearly.
    "stretch" fills the shape whatever the aspect; "letterbox" keeps the aspect and
    fills the rest with the lowest value of the picture; "spacing" brings every image to
    the same millimetres for a pixel, and cuts off or fills around its middle.
    """

    step: Literal["resize"] = "resize"
    shape: tuple[int, ...] = Field(min_length=2, max_length=3)
    fit: Fit = "stretch"
    spacing_mm: tuple[float, ...] | None = None

    @model_validator(mode="after")
    def _spacing_goes_with_its_fit(self) -> Self:
        if (self.fit == "spacing") != (self.spacing_mm is not None):
            msg = f"fit {self.fit!r} with spacing_mm {self.spacing_mm}: one needs the "
            raise ValueError(msg + "other")
        if self.spacing_mm is not None and (
            len(self.spacing_mm) != len(self.shape) or min(self.spacing_mm) <= 0
        ):
            msg = f"spacing_mm {self.spacing_mm} is not one length above 0 for each of "
            raise ValueError(msg + f"{self.shape}")
        return self


class Percentiles(_Step):
    """Map two percentiles of the acquired values to 0 and 1, and clip."""

    step: Literal["percentiles"] = "percentiles"
    low: float = Field(default=0.5, ge=0, lt=100)
    high: float = Field(default=99.5, gt=0, le=100)


class Window(_Step):
    """Map center - width / 2 to 0 and center + width / 2 to 1, and clip; in HU for CT.

    References:
        [1] DICOM PS3.3 C.11.2.1.3.2, VOI LUT Function LINEAR_EXACT.
    """

    step: Literal["window"] = "window"
    center: float
    width: float = Field(gt=0)


class ZScore(_Step):
    """Count values in deviations from their mean, where they are not 0, and clip.

    Values of an MR scan mean nothing by themselves. Its background is 0 and would make
    a small head another contrast than a large one, so it does not count: it becomes 0,
    the lowest. -limit deviations become 0, +limit become 1.
    """

    step: Literal["zscore"] = "zscore"
    limit: float = Field(default=4.0, gt=0)


class Normalise(_Step):
    """Subtract `mean` and divide by `std`."""

    step: Literal["normalise"] = "normalise"
    mean: float
    std: float = Field(gt=0)


Step = Annotated[
    Orient | Hang | Resize | Percentiles | Window | ZScore | Normalise,
    Field(discriminator="step"),
]
