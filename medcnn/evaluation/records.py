"""evaluation.json: what was measured, as frozen records that hold no NaN."""

import json
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from medcnn.errors import DataError
from medcnn.evaluation.measures import (
    Calibration,
    CalibrationBin,
    Counts,
    Curve,
    Estimate,
    GalleryCase,
    Histogram,
    Indeterminate,
    LabelResult,
    NetBenefit,
    OperatingResult,
    PredictiveValues,
    Record,
    Subgroup,
    SubgroupValue,
    Workload,
    WorkloadPoint,
    WorstCase,
)
from medcnn.evaluation.trust import Trust
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
    "write_record",
]

EVALUATION = "evaluation.json"


class Macro(Record):
    """Means over the labels that have a value.

    Attributes:
        auroc: Mean area under the ROC curve of `labels`.
        auprc: Mean average precision of the labels with diseased and healthy.
        labels: Those whose areas are in the mean.
        left_out: Those with one class only.
    """

    auroc: Estimate | None
    auprc: Estimate | None
    labels: tuple[str, ...]
    left_out: tuple[str, ...]


class MultiClass(Record):
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


class ModelFacts(Record):
    """Which model gave the scores; all None for a table of another tool."""

    name: str | None = None
    version: str | None = None
    sha256: str | None = None
    summary: str = ""
    trained_on_sha256: str | None = None
    calibrated_on: str = ""
    engine: str = ""


class FlowStep(Record):
    """How many cases were left after a step, and why others were not."""

    words: str
    cases: int
    patients: int | None


class DataFacts(Record):
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


class Evaluation(Record):
    """All of evaluation.json.

    Attributes:
        created: When, the one thing that differs between equal runs; "" if not said.
        accuracy: Share of right calls, as MedMNIST defines it: at 0.5, mean of the
            labels; for classes the highest one.
        warnings: What a reader must know before the numbers.
        notes: What else was done.
        trust: How far the heatmaps can be trusted; None where it was not asked, or
            nothing is marked.
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
    trust: Trust | None = None


def write_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Write evaluation.json whole; equal evaluations give equal bytes.

    Raises:
        OutputError: If it cannot be written.
    """
    write_record(evaluation, path)


def write_record(record: Record, path: Path) -> None:
    """Write a record as JSON, whole; equal records give equal bytes.

    Raises:
        OutputError: If it cannot be written.
    """
    text = json.dumps(
        record.model_dump(mode="json"),
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
