"""What is measured for one label: the parts of evaluation.json."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Calibration",
    "CalibrationBin",
    "Counts",
    "Curve",
    "Estimate",
    "GalleryCase",
    "Histogram",
    "Indeterminate",
    "Interval",
    "LabelResult",
    "NetBenefit",
    "OperatingResult",
    "PredictiveValues",
    "Record",
    "Subgroup",
    "SubgroupValue",
    "Workload",
    "WorkloadPoint",
    "WorstCase",
]

Interval = tuple[float, float]


class Record(BaseModel):
    """Frozen, without unknown keys and without NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Estimate(Record):
    """A number, its 95 % confidence interval, and how both were found.

    Attributes:
        ci95: None where no interval exists for so few cases; `method` then says why.
    """

    value: float
    ci95: Interval | None
    method: str = ""


class Counts(Record):
    """True and false calls."""

    tp: int = Field(ge=0)
    fp: int = Field(ge=0)
    tn: int = Field(ge=0)
    fn: int = Field(ge=0)


class PredictiveValues(Record):
    """What a call and its absence mean where so large a share is diseased.

    Attributes:
        prevalence: The stated share of diseased.
        ppv: None where nobody is called.
        ppv_ci95: From the interval of the likelihood ratio; None at a prevalence of 0
            or 1, which leaves nothing to find out.
        npv: None where everybody is called.
        npv_ci95: Likewise.
    """

    prevalence: float
    ppv: float | None
    ppv_ci95: Interval | None = None
    npv: float | None
    npv_ci95: Interval | None = None


class WorstCase(Record):
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


class OperatingResult(Record):
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


class CalibrationBin(Record):
    """Cases of similar probability: what was said, what was found.

    Attributes:
        low: Lower edge of the bin.
        high: Upper edge.
        mean: Mean probability said.
        observed: Share found diseased.
        ci95: Wilson's interval of it, for as many independent cases as they are worth.
        n: Cases.
    """

    low: float
    high: float
    mean: float
    observed: float
    ci95: Interval
    n: int = Field(ge=1)


class Calibration(Record):
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


class SubgroupValue(Record):
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


class Subgroup(Record):
    """A column and its values."""

    column: str
    values: tuple[SubgroupValue, ...]


class NetBenefit(Record):
    """True calls less weighted false ones, per case, at one threshold probability.

    Attributes:
        threshold: The probability from which one would act.
        model: If those are acted on whom the model puts there.
        ci95: Its interval, over patients.
        all: If everybody is acted on. (Acting on nobody gives 0.)
        over_all_ci95: The interval of `model` less `all`, over the same patients.
    """

    threshold: float
    model: float
    ci95: Interval | None = None
    all: float
    over_all_ci95: Interval | None = None


class WorkloadPoint(Record):
    """If the lowest scores were not read: what share is read, what share missed."""

    read: float
    missed: float


class Workload(Record):
    """Cases read against diseased missed, read in order of their scores.

    Attributes:
        points: Thinned for drawing.
        band_read: Shares read for which the pointwise 95 % band is given; may be empty.
        low: Its lower edge: share missed.
        high: Its upper edge.
        read_for_95: Share of cases that must be read to miss 5 % of the diseased at
            most.
        read_for_all: To miss none; no resampling gives an interval of an extreme.
    """

    points: tuple[WorkloadPoint, ...]
    band_read: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    read_for_95: Estimate
    read_for_all: float


class Curve(Record):
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


class Histogram(Record):
    """How often which score was given to diseased and healthy."""

    edges: tuple[float, ...]
    positive: tuple[int, ...]
    negative: tuple[int, ...]


class GalleryCase(Record):
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


class Indeterminate(Record):
    """Cases of known truth that have no usable answer, for one label."""

    n_positive: int
    n_negative: int
    auroc_with_scores: Estimate | None
    auroc_worst: Estimate | None


class LabelResult(Record):
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
