"""evaluation.json: what was measured, as frozen records that hold no NaN."""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medcnn.errors import DataError
from medcnn.outputs import write_whole

__all__ = [
    "EVALUATION",
    "Calibration",
    "CalibrationBin",
    "Counts",
    "Curve",
    "DataFacts",
    "Estimate",
    "Evaluation",
    "FlowStep",
    "GalleryCase",
    "Histogram",
    "Indeterminate",
    "LabelResult",
    "Macro",
    "ModelFacts",
    "MultiClass",
    "NetBenefit",
    "OperatingResult",
    "PredictiveValues",
    "Subgroup",
    "SubgroupValue",
    "Workload",
    "WorkloadPoint",
    "WorstCase",
    "read_evaluation",
    "write_evaluation",
]

EVALUATION = "evaluation.json"

Interval = tuple[float, float]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Estimate(_Record):
    """A number, its 95 % confidence interval, and how both were found.

    Attributes:
        ci95: None where no interval exists for so few cases; `method` then says why.
    """

    value: float
    ci95: Interval | None
    method: str = ""


class Counts(_Record):
    """True and false calls."""

    tp: int = Field(ge=0)
    fp: int = Field(ge=0)
    tn: int = Field(ge=0)
    fn: int = Field(ge=0)


class PredictiveValues(_Record):
    """What a call and its absence mean where so large a share is diseased."""

    prevalence: float
    ppv: float | None
    npv: float | None


class WorstCase(_Record):
    """An operating point if the cases without a usable answer are counted too.

    Attributes:
        wrong_sensitivity: If each of them had been answered wrongly.
        wrong_specificity: Likewise.
        called_sensitivity: If each of them were called, that is, sent to a reader.
        called_specificity: Likewise.
    """

    wrong_sensitivity: Estimate
    wrong_specificity: Estimate
    called_sensitivity: Estimate
    called_specificity: Estimate


class OperatingResult(_Record):
    """What a threshold achieves.

    Attributes:
        name: For readers, such as "flag" or "Youden".
        rule: How the threshold was found.
        threshold: A case is called when its score is at or above it.
        chosen_on: Which cases decided it.
        is_optimistic: Whether it was chosen on the very cases it is measured on.
        at_prevalence: The predictive values at stated prevalences.
        with_indeterminate: The same with the cases that have no usable answer.
    """

    name: str
    rule: str
    threshold: float
    chosen_on: str
    is_optimistic: bool
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate | None
    npv: Estimate | None
    lr_positive: Estimate | None
    lr_negative: Estimate | None
    confusion: Counts
    at_prevalence: tuple[PredictiveValues, ...] = ()
    with_indeterminate: WorstCase | None = None


class CalibrationBin(_Record):
    """Cases of similar probability: what was said, what was found.

    Attributes:
        low: Lower edge of the bin.
        high: Upper edge.
        mean: Mean probability said.
        observed: Share found diseased.
        ci95: Wilson's interval of it.
        n: Cases.
    """

    low: float
    high: float
    mean: float
    observed: float
    ci95: Interval
    n: int = Field(ge=1)


class Calibration(_Record):
    """Whether a probability means what it says.

    Attributes:
        ece: Mean distance between said and found, weighted by the cases.
        brier: Mean squared distance between probability and truth.
        brier_scaled: 1 is perfect, 0 no better than the prevalence.
        slope: 1 if probabilities are neither too extreme nor too timid; None where it
            does not exist, for `note`.
        intercept: 0 if they are right on average, at slope 1.
        mean_probability: On average said.
        prevalence: On average found.
        note: Why something is missing.
    """

    ece: float
    brier: float
    brier_scaled: float | None
    slope: float | None
    slope_ci95: Interval | None
    intercept: float | None
    intercept_ci95: Interval | None
    mean_probability: float
    prevalence: float
    bins: tuple[CalibrationBin, ...]
    note: str = ""


class SubgroupValue(_Record):
    """One value of a column: who they are, and how well the model does on them.

    Attributes:
        auroc: None where it is undefined, for `note`.
        difference: Area of this group less that of all others.
        is_small: Whether it has too few diseased or healthy to judge.
    """

    value: str
    n: int
    n_patients: int | None
    n_positive: int
    n_negative: int
    auroc: Estimate | None
    difference: Estimate | None
    sensitivity: Estimate | None
    specificity: Estimate | None
    is_small: bool
    note: str = ""


class Subgroup(_Record):
    """A column and its values."""

    column: str
    values: tuple[SubgroupValue, ...]


class NetBenefit(_Record):
    """True calls less weighted false ones, per case, at one threshold probability."""

    threshold: float
    model: float
    all: float


class WorkloadPoint(_Record):
    """If the lowest scores were not read: what share is read, what share missed."""

    read: float
    missed: float


class Workload(_Record):
    """Cases read against diseased missed, read in order of their scores.

    Attributes:
        points: Thinned for drawing.
        read_for_95: Share of cases that must be read to miss 5 % of the diseased at
            most.
        read_for_all: To miss none.
    """

    points: tuple[WorkloadPoint, ...]
    read_for_95: float
    read_for_all: float


class Curve(_Record):
    """A curve for drawing, thinned, and a pointwise 95 % band.

    Attributes:
        x: Ascending.
        y: The same number.
        band_x: Where the band is given; may be empty.
        low: Its lower edge.
        high: Its upper edge.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    band_x: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


class Histogram(_Record):
    """How often which score was given to diseased and healthy."""

    edges: tuple[float, ...]
    positive: tuple[int, ...]
    negative: tuple[int, ...]


class GalleryCase(_Record):
    """A case that the model got badly wrong.

    Attributes:
        kind: "missed" for a diseased case below the threshold, "false alarm" else.
        picture: File below the output folder; "" if there is none.
        heatmap: Likewise.
    """

    kind: Literal["missed", "false alarm"]
    case: str
    patient_id: str
    score: float
    columns: dict[str, str]
    picture: str = ""
    heatmap: str = ""


class Indeterminate(_Record):
    """Cases of known truth that have no usable answer, for one label."""

    n_positive: int
    n_negative: int
    auroc_with_scores: Estimate | None
    auroc_worst: Estimate | None


class LabelResult(_Record):
    """Everything measured for one label.

    Attributes:
        n_unknown: Cases whose truth is blank; they count for nothing here.
        auroc: None where only one class is there; `undefined` says so with counts.
        auroc_bootstrap: The same by resampling patients, as a check.
        partial_auroc: Mean sensitivity at specificity 0.9 and above.
        undefined: For each number that does not exist, why.
    """

    n_positive: int
    n_negative: int
    n_unknown: int
    n_patients: int | None
    prevalence: float | None
    auroc: Estimate | None
    auroc_bootstrap: Estimate | None
    auprc: Estimate | None
    partial_auroc: Estimate | None
    operating_points: tuple[OperatingResult, ...]
    calibration: Calibration | None
    subgroups: tuple[Subgroup, ...]
    net_benefit: tuple[NetBenefit, ...]
    workload: Workload | None
    roc: Curve | None
    precision_recall: Curve | None
    histogram: Histogram | None
    gallery: tuple[GalleryCase, ...]
    indeterminate: Indeterminate | None
    undefined: dict[str, str]


class Macro(_Record):
    """Means over the labels that have a value."""

    auroc: Estimate | None
    auprc: float | None
    labels: tuple[str, ...]
    left_out: tuple[str, ...]


class MultiClass(_Record):
    """Classes of which exactly one is true: the highest one is the call.

    Attributes:
        confusion: Rows are true classes, columns called ones.
        accuracy: Share of right calls.
        sensitivities: Of each class; None for a class without cases.
    """

    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    accuracy: Estimate
    sensitivities: dict[str, Estimate | None]


class ModelFacts(_Record):
    """Which model gave the scores; all None for a table of another tool."""

    name: str | None = None
    version: str | None = None
    sha256: str | None = None
    summary: str = ""
    trained_on_sha256: str | None = None
    calibrated_on: str = ""
    engine: str = ""


class FlowStep(_Record):
    """How many cases were left after a step, and why others were not."""

    words: str
    cases: int
    patients: int | None


class DataFacts(_Record):
    """What was tested on whom.

    Attributes:
        source: The table or folder.
        sha256: Of cases, patients, splits and truths.
        split: Which split was measured; "" for all cases.
        cases: In that split.
        patients: Different ones; None where it is not known.
        is_clustered: Whether intervals take patients with several images together.
        out_of_scope: Cases outside the model's world.
        errors: Cases that could not be read.
        reasons: Why, with counts.
    """

    source: str
    sha256: str
    content_sha256: str = ""
    split: str
    cases: int
    patients: int | None
    is_clustered: bool
    out_of_scope: int
    errors: int
    reasons: dict[str, int]
    flow: tuple[FlowStep, ...]


class Evaluation(_Record):
    """All of evaluation.json.

    Attributes:
        created: When, the one thing that differs between equal runs; "" if not said.
        accuracy: Share of right calls, as MedMNIST defines it: at 0.5, mean of the
            labels; for classes the highest one.
        warnings: What a reader must know before the numbers.
        notes: What else was done.
    """

    format: Literal[1] = 1
    created: str = ""
    medcnn: str
    model: ModelFacts
    data: DataFacts
    scores: Literal["probability", "score"]
    task: Literal["binary", "multi-label", "multi-class"]
    labels: dict[str, LabelResult]
    macro: Macro
    multiclass: MultiClass | None
    accuracy: Estimate | None
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def write_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Write evaluation.json whole; equal evaluations give equal bytes.

    Raises:
        OutputError: If it cannot be written.
    """
    text = json.dumps(
        evaluation.model_dump(mode="json"),
        indent=1,
        ensure_ascii=False,
        allow_nan=False,
    )
    write_whole(path, (text + "\n").encode())


def read_evaluation(path: Path) -> Evaluation:
    """Read evaluation.json back.

    Raises:
        DataError: If it is not there or not as it should be.
    """
    try:
        return Evaluation.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no evaluation"
        msg = f"{path} cannot be read: {reason}"
        raise DataError(msg, hint="Run medcnn evaluate again.") from error
