"""What bundle.json says: plain records, checked when they are read."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from medcnn.bands import BandScore
from medcnn.detectors import DetectorSpec
from medcnn.gate import GateRules
from medcnn.preprocessing import Preprocessing
from medcnn.results import NumberKind

__all__ = [
    "AreaChange",
    "BundleSpec",
    "Calibration",
    "HeadNames",
    "InputSpec",
    "Int8Facts",
    "NetworkSpec",
    "OperatingPoint",
    "Score",
    "SiteFacts",
    "Temperature",
    "TrainingFacts",
]

Argument = bool | int | float | str


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkSpec(_Record):
    """A name in `medcnn.networks.NETWORKS`, and the arguments it is built with."""

    name: str
    arguments: dict[str, Argument] = Field(default_factory=dict)


class HeadNames(_Record):
    """Which weights form the linear head: what a class activation map needs."""

    weight: str
    bias: str


class InputSpec(_Record):
    """What the model takes."""

    dims: Literal[2, 3]
    channels: int = Field(ge=1)
    shape: tuple[PositiveInt, ...]

    @model_validator(mode="after")
    def _shape_has_its_dimensions(self) -> "InputSpec":
        if len(self.shape) != self.dims:
            msg = f"shape {self.shape} does not have {self.dims} dimensions"
            raise ValueError(msg)
        return self


class OperatingPoint(_Record):
    """Two thresholds on one label's probability, and how they were chosen."""

    label: str
    flag: float = Field(ge=0, le=1)
    review: float = Field(ge=0, le=1)
    rule: str
    chosen_on: str


class Calibration(_Record):
    """Platt scaling of one label: probability = sigmoid(slope * logit + intercept).

    Of two classes the logit is the first one's less the second one's.

    References:
        [1] Platt, Probabilistic outputs for support vector machines, 1999.
    """

    label: str
    slope: float = 1.0
    intercept: float = 0.0
    fitted_on: str


class Temperature(_Record):
    """Temperature scaling of classes: probabilities = softmax(logits / value).

    References:
        [1] Guo et al., On calibration of modern neural networks, ICML 2017.
    """

    value: float = Field(gt=0)
    fitted_on: str


class SiteFacts(_Record):
    """The cases that probabilities and thresholds were fitted to, after training.

    Attributes:
        data: The table's name.
        sha256: Of its cases and truths.
        date: When.
        cases: How many had a truth and a usable answer.
        patients: How many patients they are of; None if not known.
        labels: What was fitted; other labels keep what they had.
    """

    data: str
    sha256: str
    date: str
    cases: int = Field(ge=1)
    patients: int | None = Field(default=None, ge=1)
    labels: tuple[str, ...]


class AreaChange(_Record):
    """What rounding to 8 bits changed for one label, on the same cases.

    Attributes:
        label: Which.
        n_positive: Cases with it.
        n_negative: Cases without it.
        auroc: Area under the ROC curve at full precision.
        auroc_int8: At 8 bits.
        ci95: Interval of `auroc_int8 - auroc`, paired, clustered by patient.
        flipped: Share of cases that change sides of the flag threshold, which is moved
            so that as many are flagged as before.
    """

    label: str
    n_positive: int = Field(ge=1)
    n_negative: int = Field(ge=1)
    auroc: float = Field(ge=0, le=1)
    auroc_int8: float = Field(ge=0, le=1)
    ci95: tuple[float, float]
    flipped: float = Field(ge=0, le=1)

    @property
    def change(self) -> float:
        """By how much the area grew; below 0 it shrank."""
        return self.auroc_int8 - self.auroc


class Int8Facts(_Record):
    """How the 8-bit network of int8.xml was made, and what that costs.

    Attributes:
        data: The table's name.
        sha256: Of the cases and truths it was verified on.
        date: When.
        calibrated_on: Images that its ranges were measured on, in words.
        images: How many they were.
        cases: How many it was verified on.
        patients: How many patients they are of; None if not known.
        changes: Of each label that the data tell, the main label first.
        method: Of the intervals.
        heatmap_correlation: Median over images, between both precisions' maps of the
            main label; None for a network without places.
        operating_points: The thresholds at 8 bits.
        environment: The libraries that made it.
    """

    data: str
    sha256: str
    date: str
    calibrated_on: str
    images: int = Field(ge=1)
    cases: int = Field(ge=1)
    patients: int | None = Field(default=None, ge=1)
    changes: tuple[AreaChange, ...] = Field(min_length=1)
    method: str
    heatmap_correlation: float | None = Field(default=None, ge=-1, le=1)
    operating_points: tuple[OperatingPoint, ...]
    environment: dict[str, str]


class TrainingFacts(_Record):
    """Where the weights come from."""

    date: str
    commit: str
    data_sha256: str
    seed: int
    recipe: dict[str, Any]
    environment: dict[str, str]


class Score(_Record):
    """One measured area under the ROC curve, with the counts behind it."""

    data: str
    subgroup: str = "all"
    label: str
    n_positive: int = Field(ge=0)
    n_negative: int = Field(ge=0)
    auroc: float = Field(ge=0, le=1)
    ci95: tuple[float, float]
    method: str


class BundleSpec(_Record):
    """All of bundle.json.

    Attributes:
        activation: "sigmoid" for labels that may occur together, "softmax" for classes
            of which exactly one is true.
        labels: The main label first.
        calibration: Of labels that may occur together, one each; of two classes, one,
            of the main class.
        temperature: For softmax only; None is 1.
        site: What calibration and thresholds were fitted to after training; None if
            they are still those of training.
        detector: A normal-only detector on the network's feature maps, whose score is
            what the network's logit is to a classifier; None for one.
        bands: What both thresholds of the main label achieved on held-out cases.
        heatmap_span: How many log-odds above the flag threshold a spot must lie to get
            the hottest display colour; None if it was not measured.
        int8: Of the 8-bit network beside the full one; None if there is none.
        files: SHA-256 of every other file of the bundle.
    """

    format: Literal[1] = 1
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    version: str
    summary: str
    network: NetworkSpec
    head: HeadNames
    input: InputSpec
    preprocessing: Preprocessing
    labels: tuple[str, ...] = Field(min_length=1)
    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    operating_points: tuple[OperatingPoint, ...]
    calibration: tuple[Calibration, ...] = ()
    temperature: Temperature | None = None
    site: SiteFacts | None = None
    gate: GateRules = GateRules()
    detector: DetectorSpec | None = None
    training: TrainingFacts
    evaluation: tuple[Score, ...] = ()
    bands: tuple[BandScore, ...] = ()
    heatmap_span: float | None = Field(default=None, gt=0)
    int8: Int8Facts | None = None
    files: dict[str, str]

    @model_validator(mode="after")
    def _every_label_has_its_point(self) -> "BundleSpec":
        points = tuple(point.label for point in self.operating_points)
        if points != self.labels:
            msg = f"operating points are for {points}, the labels are {self.labels}"
            raise ValueError(msg)
        at_int8 = () if self.int8 is None else self.int8.operating_points
        if at_int8 and tuple(point.label for point in at_int8) != self.labels:
            msg = "the operating points at 8 bits are not for its labels"
            raise ValueError(msg)
        if len(set(self.labels)) < len(self.labels):
            msg = f"labels are named twice: {self.labels}"
            raise ValueError(msg)
        if any(part.label not in self.labels for part in self.calibration):
            msg = "calibration names a label that the model does not have"
            raise ValueError(msg)
        if self.detector is not None and len(self.labels) > 1:
            msg = f"a detector has one label, it has {self.labels}"
            raise ValueError(msg)
        if self.temperature is not None and self.activation != "softmax":
            msg = "a temperature is for softmax, its activation is sigmoid"
            raise ValueError(msg)
        return self

    @property
    def number_kind(self) -> NumberKind:
        """What its numbers from 0 to 1 are.

        A detector's become probabilities where a site's labelled cases calibrate them.
        """
        if self.detector is not None and self.site is None:
            return "anomaly score"
        return "probability"

    @model_validator(mode="after")
    def _two_classes_have_one_calibration(self) -> "BundleSpec":
        if self.activation == "sigmoid" or not self.calibration:
            return self
        fitted = tuple(part.label for part in self.calibration)
        if len(self.labels) != 2 or fitted != self.labels[:1]:
            msg = "of classes only two have a slope and intercept, for the main one; "
            msg += f"got {fitted} of {self.labels}"
            raise ValueError(msg)
        if self.temperature is not None:
            msg = "two classes have a slope and intercept or a temperature, not both"
            raise ValueError(msg)
        return self
