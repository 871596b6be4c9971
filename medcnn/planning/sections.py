"""The sections of a recipe; each key says what it decides."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from medcnn.preprocessing import (
    Hang,
    Normalise,
    Orient,
    Percentiles,
    Preprocessing,
    Resize,
    Step,
    Window,
    ZScore,
)
from medcnn.preprocessing.steps import Fit

__all__ = [
    "About",
    "Augmentation",
    "Card",
    "Count",
    "ExtraTruth",
    "Input",
    "Loss",
    "Network",
    "Optimiser",
    "Report",
    "Rule",
    "Run",
    "Sampling",
    "Section",
    "Select",
]

_RULE = re.compile(r"^(?:youden|(?:sensitivity|specificity) (?:0?\.\d+|1(?:\.0+)?))$")
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A part of a recipe: frozen, and no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class About(Section):
    """What the model is called.

    Attributes:
        name: The bundle's name: small letters, digits, - and _.
        version: Its version.
        summary: One line for lists of models.
    """

    name: str = Field(default="model", pattern=r"^[a-z0-9][a-z0-9_-]*$")
    version: str = "1"
    summary: str = ""


class Network(Section):
    """Which network, and where its weights start.

    Attributes:
        name: A name in `medcnn.networks.NETWORKS`.
        arguments: What its builder takes, such as dropout.
        pretrained: File of pretrained weights, relative to the recipe; none means that
            the network starts from random weights.
    """

    name: str = "resnet18"
    arguments: dict[str, bool | int | float | str] = Field(default_factory=dict)
    pretrained: Path | None = None


class Input(Section):
    """What the network sees of an image.

    Attributes:
        shape: (rows, columns), or (slices, rows, columns) for volumes.
        fit: "stretch" fills the shape; "letterbox" keeps the aspect; "spacing" brings
            images to `spacing_mm`, and cuts off or fills around their middle.
        spacing_mm: (rows, columns) or (slices, rows, columns) in mm, for "spacing".
        channels: 1 for grey, 3 for colour.
        percentiles: Percentiles of an image's values that become 0 and 1.
        window: (center, width) in the image's unit, in place of percentiles.
        zscore: Count values in deviations from the mean of those that are not 0, in
            place of percentiles: MR.
        orient: Where a volume's i, j, k shall point, such as "LPS".
        hang: Whether frontal radiographs are turned to the way radiologists hang them.
        mean: What is subtracted from 0..1; the default is ImageNet's grey mean.
        std: What that is divided by; the default is ImageNet's grey deviation.
        cache_bits: Bits of a value in the cache of decoded images, 8 or 16.
    """

    shape: tuple[Count, ...] = Field(default=(224, 224), min_length=2, max_length=3)
    fit: Fit = "letterbox"
    spacing_mm: tuple[float, ...] | None = None
    channels: Literal[1, 3] = 1
    percentiles: tuple[float, float] = (0.5, 99.5)
    window: tuple[float, float] | None = None
    zscore: bool = False
    orient: str | None = None
    hang: bool = False
    mean: float = 0.449
    std: float = Field(default=0.226, gt=0)
    cache_bits: Literal[8, 16] = 8

    @property
    def dims(self) -> Literal[2, 3]:
        """2 for pictures, 3 for volumes."""
        return 2 if len(self.shape) == 2 else 3

    def unit_range(self) -> Preprocessing:
        """Return the steps up to values in 0..1: what the cache holds."""
        steps: list[Step] = [] if self.orient is None else [Orient(codes=self.orient)]
        if self.hang:
            steps.append(Hang())
        steps.append(Resize(shape=self.shape, fit=self.fit, spacing_mm=self.spacing_mm))
        if self.zscore:
            steps.append(ZScore())
        elif self.window is None:
            steps.append(Percentiles(low=self.percentiles[0], high=self.percentiles[1]))
        else:
            steps.append(Window(center=self.window[0], width=self.window[1]))
        return Preprocessing(channels=self.channels, steps=tuple(steps))

    def preprocessing(self) -> Preprocessing:
        """Return all steps, as the bundle carries them."""
        steps = (*self.unit_range().steps, Normalise(mean=self.mean, std=self.std))
        return Preprocessing(channels=self.channels, steps=steps)


class Optimiser(Section):
    """How the weights move.

    Attributes:
        epochs: Passes over the sampled cases.
        batch_size: Cases in a step.
        lr_head: Highest learning rate of the linear head.
        lr_body: Highest learning rate of the body's last stage.
        stage_decay: Each earlier stage's rate is this much of the next one's.
        weight_decay: AdamW's, for weights of two axes or more.
        beta2: AdamW's memory of squared gradients; 0.99 suits few steps.
        schedule: "one-cycle" rises over `warmup` of all steps as half a cosine and
            falls as half a cosine to 1e-4 of the top; "cosine" rises in a line.
        warmup: Share of all steps that the rate rises over.
        clip: Largest norm of the gradient; 0 is off.
        probe: Start the head as a logistic regression on the pretrained features, with
            this inverse strength of its penalty (0.003 suits a thousand features and as
            many cases); 0 is off.
        frozen_epochs: First epochs in which only the head learns.
        freeze_until: The first stages, so many, never learn.
        freeze_norm: Keep the running statistics of all batch normalisations.
        ema: Decay of the averaged weights per step; 0 is off.
        ema_warmup: Let the decay grow as (1 + n) / (10 + n) up to `ema`.
        patience: Stop after so many epochs without a better score; 0 is off.
    """

    epochs: int = Field(default=30, ge=1)
    batch_size: int = Field(default=32, ge=1)
    lr_head: float = Field(default=1e-3, gt=0)
    lr_body: float = Field(default=3e-4, ge=0)
    stage_decay: float = Field(default=1.0, gt=0, le=1)
    weight_decay: float = Field(default=0.01, ge=0)
    beta2: float = Field(default=0.999, gt=0, lt=1)
    schedule: Literal["one-cycle", "cosine"] = "one-cycle"
    warmup: float = Field(default=0.2, ge=0, lt=1)
    clip: float = Field(default=1.0, ge=0)
    probe: float = Field(default=0.0, ge=0)
    frozen_epochs: int = Field(default=0, ge=0)
    freeze_until: int = Field(default=0, ge=0)
    freeze_norm: bool = False
    ema: float = Field(default=0.0, ge=0, lt=1)
    ema_warmup: bool = True
    patience: int = Field(default=0, ge=0)


class Loss(Section):
    """What is minimised: cross-entropy over what is known.

    Attributes:
        pos_weight: "balanced" weighs positives by negatives / positives, and classes by
            the mean class / the class (at most 10); "none" does not; or a number for
            each label named.
        label_weights: How much a label counts; 1 for those not named.
        label_smoothing: Truths become this much less sure, 0 to 1.
        mixup: Beta parameter of mixing pairs of cases; 0 is off.
        places: How much it counts that a label's map is hot where the table's boxes or
            masks say that the label is, against a truth of the label; 0 is off.
    """

    pos_weight: Literal["none", "balanced"] | dict[str, float] = "none"
    label_weights: dict[str, float] = Field(default_factory=dict)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    mixup: float = Field(default=0.0, ge=0)
    places: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _a_mixed_image_has_no_places(self) -> Self:
        if self.mixup and self.places:
            msg = "mixup and places exclude each other: a mixed image shows two places"
            raise ValueError(msg)
        return self


class Sampling(Section):
    """Which cases make an epoch.

    Attributes:
        column: Attribute column to sample over; none takes every case once.
        samples: How many cases of each of its values an epoch holds; a value that is
            not named gives all its cases.
    """

    column: str | None = None
    samples: dict[str, Count] = Field(default_factory=dict)


class Augmentation(Section):
    """How training images are varied; each draw is uniform in plus or minus.

    Attributes:
        share: Share of images that are varied at all.
        rotation_deg: Turn, in degrees.
        translate: Shift, as a share of the side.
        scale: Zoom by 1 - scale to 1 + scale.
        shear_deg: Shear, in degrees.
        gamma: Exponent exp(+-gamma) on values in 0..1.
        contrast: Factor 1 +- contrast about the mean.
        brightness: Offset in 0..1.
        noise: Highest deviation of Gaussian noise in 0..1.
        blur: Highest deviation of a Gaussian blur, in pixels.
        cutout: Highest side of a square set to the mean, as a share of the side.
        flip: Mirror left and right; off, since laterality carries meaning.
    """

    share: float = Field(default=1.0, ge=0, le=1)
    rotation_deg: float = Field(default=10.0, ge=0, le=180)
    translate: float = Field(default=0.05, ge=0, lt=1)
    scale: float = Field(default=0.1, ge=0, lt=1)
    shear_deg: float = Field(default=0.0, ge=0, lt=60)
    gamma: float = Field(default=0.2, ge=0)
    contrast: float = Field(default=0.2, ge=0, lt=1)
    brightness: float = Field(default=0.1, ge=0, lt=1)
    noise: float = Field(default=0.02, ge=0)
    blur: float = Field(default=0.0, ge=0)
    cutout: float = Field(default=0.0, ge=0, lt=1)
    flip: bool = False


class Select(Section):
    """Which validation score picks the best epoch: an area under the ROC curve.

    Attributes:
        label: Of this label; none means the main label, or for more than two classes
            the mean over all.
        where: Only of cases with these values in these columns; the others of val are
            not looked at before the end.
        epoch: "best" keeps the weights of the best epoch; "last" those of the last,
            which suits averaged weights where val is too small to tell epochs apart.
    """

    label: str | None = None
    epoch: Literal["best", "last"] = "best"
    where: dict[str, str] = Field(default_factory=dict)


class Rule(Section):
    """How operating points and calibration are fitted on the val split.

    Attributes:
        flag: "youden", "sensitivity 0.85" or "specificity 0.90".
        review: The same for the lower threshold.
        where: Only from cases with these values; none means as in `select`.
        calibrate: Whether Platt scaling is fitted.
    """

    flag: str = "youden"
    review: str = "sensitivity 0.95"
    where: dict[str, str] | None = None
    calibrate: bool = True

    @field_validator("flag", "review")
    @classmethod
    def _is_a_rule(cls, rule: str) -> str:
        if not _RULE.match(rule):
            msg = f"got {rule!r}, expected youden, sensitivity 0.85 or specificity 0.9"
            raise ValueError(msg)
        return rule


class Report(Section):
    """What is measured on val and test beside the whole.

    Attributes:
        labels: Labels measured in each subgroup; none means the main label only.
        subgroups: Columns whose values are subgroups.
        baselines: Whether models that need no network are fitted and measured, too.
        extra_truth: Further comparisons, by name.
    """

    labels: tuple[str, ...] = ()
    subgroups: tuple[str, ...] = ()
    baselines: bool = True
    extra_truth: dict[str, "ExtraTruth"] = Field(default_factory=dict)


class ExtraTruth(Section):
    """Another opinion on some cases, to measure a label against.

    Attributes:
        column: The attribute column that holds it.
        positive: Its values that mean diseased.
        negative: Its values that mean healthy; other values are left out.
        label: The label whose score is measured; none means the main label.
    """

    column: str
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    label: str | None = None


class Card(Section):
    """What only a person can say for the model's card; Markdown.

    Attributes:
        data: What the images are, where they come from, their licences.
        intended_use: What it is for, and for whom.
        forbidden_use: What it must not be used for.
        limitations: Known failures and confounders.
        references: What to cite.
        licence: Licence of the weights.
    """

    data: str = "Not stated."
    intended_use: str = "Not stated."
    forbidden_use: str = "Diagnosis or treatment of patients."
    limitations: str = "Not stated."
    references: str = ""
    licence: str = "Not stated."


class Run(Section):
    """How the training runs; nothing here changes what is learnt, but for rounding.

    Attributes:
        precision: "bf16" or "32"; "auto" is bf16 on a GPU, and on a CPU with matrix
            tiles (AMX) for images of 4,096 pixels or more; 32 elsewhere.
        devices: Processes on this machine, each with a device (or a share of the CPU);
            torchrun and SLURM overrule it. The batch is divided among them.
        augment: Where images are varied: "device" varies a batch at once where the
            network runs, "workers" one by one on the CPU; "auto" is "device" on a GPU.
        compile: Whether the network goes through torch.compile, which pays in long
            trainings on a GPU.
        workers: Processes that prepare batches; "auto" is 0 on a CPU, up to 8 on a GPU.
        checkpoint_seconds: How often the state is written, besides each epoch's end.
    """

    precision: Literal["auto", "32", "bf16"] = "auto"
    devices: int = Field(default=1, ge=1)
    augment: Literal["auto", "device", "workers"] = "auto"
    compile: bool = False
    workers: Literal["auto"] | Annotated[int, Field(ge=0)] = "auto"
    checkpoint_seconds: float = Field(default=120.0, ge=0)
