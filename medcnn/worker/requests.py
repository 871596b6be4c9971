"""What may be asked of the worker: records, checked when they come in."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["JobRequest", "Read", "Upload"]

Text = Annotated[str, Field(min_length=1, max_length=4096)]
Value = bool | int | float | str | list[Any] | dict[str, Any] | None


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Read(_Request):
    """How a file or folder is read: the choices of `medcnn.load`."""

    series: Text | None = None
    part: int | None = Field(default=None, ge=1)
    resample_tilt: bool = False
    allow_gaps: bool = False


class Upload(Read):
    """How a file that is sent is read, and what to call it."""

    name: str = Field(default="", max_length=255)


class LoadRequest(Read):
    """Read an image on the worker's machine, and keep it."""

    kind: Literal["load"]
    path: Text


class ClassifyRequest(Read):
    """Classify an image that was sent, or one on the worker's machine."""

    kind: Literal["classify"]
    image: Text | None = None
    path: Text | None = None
    model: Text = "chest-xray"
    labels: list[Text] | None = Field(default=None, min_length=1, max_length=1000)
    heatmap: bool = True
    method: Text = "auto"
    layer: Text | None = None

    @model_validator(mode="after")
    def _one_image(self) -> "ClassifyRequest":
        if (self.image is None) == (self.path is None):
            msg = "give image or path"
            raise ValueError(msg)
        return self


class EvaluateRequest(_Request):
    """Measure a model on labelled images."""

    kind: Literal["evaluate"]
    data: Text
    model: Text = "chest-xray"
    split: Text | None = None


class PlanRequest(_Request):
    """Say how a training would be done."""

    kind: Literal["plan"]
    data: Text
    settings: dict[str, Value] = Field(default_factory=dict)
    device: Text | None = None


class TrainRequest(_Request):
    """Train a model."""

    kind: Literal["train"]
    data: Text
    name: Text
    settings: dict[str, Value] = Field(default_factory=dict)
    recipe: Text | None = None
    init: Text | None = None
    device: Text | None = None
    allow_leak: bool = False


JobRequest = Annotated[
    LoadRequest | ClassifyRequest | EvaluateRequest | PlanRequest | TrainRequest,
    Field(discriminator="kind"),
]
