"""`evaluate`: a model on labelled images, or predictions of any tool, to a report."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from medcnn.assessment.answers import Answered, Progress, Reader, answer_cases
from medcnn.assessment.gallery import draw_gallery, remove_gallery
from medcnn.assessment.ledger import Ledger
from medcnn.assessment.truth import as_predictions, read_truth, what_is_known
from medcnn.bundle import BundleSpec, Precision
from medcnn.dataset import CaseTable
from medcnn.engines import EngineName
from medcnn.errors import DataError
from medcnn.evaluation import (
    EVALUATION,
    PREDICTIONS,
    Design,
    Evaluation,
    FlowStep,
    ModelFacts,
    Point,
    Points,
    Predictions,
    Settings,
    evaluate_predictions,
    flow_step,
    measured_part,
    medcnn_version,
    read_predictions,
    refuse_shared_patients,
    write_evaluation,
    write_predictions,
)
from medcnn.evaluation.trust_words import trust_warnings
from medcnn.model import Model
from medcnn.outputs import make_folder
from medcnn.report.evaluation_page import write_evaluation_report
from medcnn.screening.options import Limits
from medcnn.trust import Group, MethodMaps, TrustDesign, TrustLevel, measure_trust
from medcnn.worklist import ERRORS, write_errors

__all__ = [
    "Material",
    "Run",
    "evaluate",
    "facts_of",
    "points_of",
    "rule_of",
    "run_model",
]


@dataclass(frozen=True)
class Run:
    """How a model is run over images.

    Attributes:
        engine: What runs the network, if the model is not open yet.
        device: Where, if it is not open yet.
        precision: "int8" for its 8-bit network, if it is not open yet.
        workers: Reader processes; None takes one for each processor, at most 16.
        limits: What one file may cost; None is 60 s and 4 GiB.
        gallery: Whether the worst errors are drawn.
        progress: Called with (done, total).
        say: Called with a sentence that the user should see.
    """

    engine: EngineName = "auto"
    device: str = "auto"
    precision: Precision = "fp32"
    workers: int | None = None
    limits: Limits | None = None
    gallery: bool = True
    progress: Progress | None = field(default=None, compare=False)
    say: Callable[[str], None] | None = field(default=None, compare=False)

    def open(self, model: Model | str | Path) -> Model:
        """Return the open model."""
        if isinstance(model, Model):
            return model
        return Model.open(
            model, engine=self.engine, device=self.device, precision=self.precision
        )


@dataclass(frozen=True, eq=False)
class Material:
    """What a model said of labelled images.

    Attributes:
        answered: Of the measured cases, and of those that decide thresholds.
        table: Where their images are.
        total: How many there were in all.
        content_sha256: Of the measured images, their truths and patients.
        note: What must be noted; "" if nothing.
    """

    answered: Answered
    table: CaseTable
    total: FlowStep
    content_sha256: str
    note: str


def evaluate(  # noqa: PLR0913 - the main entry; nearly all have a default
    model: Model | str | Path | None = None,
    data: str | Path | None = None,
    *,
    predictions: str | Path | None = None,
    output: str | Path | None = None,
    split: str | None = None,
    choose_on: str | None = None,
    thresholds: tuple[str, ...] = (),
    prevalences: tuple[float, ...] = (),
    scores: bool = False,
    bootstrap: int = 2000,
    seed: int = 0,
    trust: TrustLevel = "auto",
    run: Run | None = None,
) -> Evaluation:
    """Measure a model, or any tool's predictions, as a reviewer asks for it.

    Args:
        model: An open model, a shipped one's name, or a bundle's directory.
        data: Labelled images for it: a table, a folder of classes, or a data set.
        predictions: In place of both: a table of truths and scores.
        output: The folder for evaluation.json, predictions.csv, report.html and
            figures; None writes nothing.
        split: Which split is measured, or "all"; None: test if there is one.
        choose_on: Which split decides the thresholds; None: those of the model, else
            val, else the measured cases, which is then said everywhere.
        thresholds: Thresholds stated beforehand: "0.3" or "label=0.3".
        prevalences: Shares of diseased for which predictive values are told.
        scores: Whether the values of `predictions` are no probabilities.
        bootstrap: Resampled sets of patients.
        seed: Of resampling.
        trust: Of the heatmaps: "auto" holds them against the boxes or masks of the
            data, if there are some; "full" also asks what needs none (deletion and
            insertion, shuffled weights, agreement with occlusion); "off" asks nothing.
        run: How the model is run.

    Raises:
        DataError: If the data are wrong, or `trust` is "full" for a detector.
        LeakageError: If the model was trained on some of the images, or a patient is
            among the measured and the deciding cases.
        OutputError: If the output cannot be written.
        ValueError: If neither or both of `data` and `predictions` are given.

    Examples:
        >>> import medcnn
        >>> found = medcnn.evaluate("chest-xray", "test.csv")  # doctest: +SKIP
        >>> found.macro.auroc  # doctest: +SKIP
    """
    if (data is None) == (predictions is None) or (data is None) != (model is None):
        msg = "give a model and data, or predictions"
        raise ValueError(msg)
    settings = Settings(prevalences=prevalences, bootstrap=bootstrap, seed=seed)
    design = Design(
        split=split, choose_on=choose_on, thresholds=thresholds, settings=settings
    )
    target = None if output is None else Path(output)
    if predictions is not None:
        given = read_predictions(predictions, scores=scores)
        found = evaluate_predictions(given, design)
        return _publish(found, Answered(given, np.empty((0, 0)), ()), target)
    return _of_model(model or "", data or "", design, target, run or Run(), trust)


def run_model(
    model: Model,
    data: str | Path | CaseTable,
    design: Design,
    run: Run,
    folder: Path | None = None,
) -> Material:
    """Run a model over the measured cases, and those that decide thresholds.

    Args:
        model: The open model.
        data: Labelled images, or their table if it is read already.
        design: Which cases are measured, and which decide.
        run: How.
        folder: Where answers are kept, so that a run that was broken off goes on.

    Raises:
        DataError: If the data are wrong.
        LeakageError: If the model was trained on some of the measured cases.
    """
    labels = model.spec.labels
    table = read_truth(data, labels)
    cases = as_predictions(table, labels)
    if model.spec.number_kind == "anomaly score":
        cases = replace(cases, kind="score")
    measured, split = measured_part(cases, design.split)
    known = what_is_known(model.bundle, table, _part(table, cases, measured))
    wanted = set(measured.cases)
    if design.choose_on is not None and design.choose_on != split:
        deciding = cases.part(design.choose_on)
        refuse_shared_patients(deciding, measured, f"in {design.choose_on} and {split}")
        wanted |= set(deciding.cases)
    chosen = np.array([case in wanted for case in cases.cases], dtype=bool)
    part, asked = table.only(chosen), cases.only(chosen)
    reader = Reader(model, run.workers, run.limits)
    with ExitStack() as stack:
        ledger = None
        if folder is not None:
            ledger = stack.enter_context(_ledger(folder, model, run))
            _say_what_is_known(ledger, part, run)
        answered = answer_cases(reader, labels, part, asked, run.progress, ledger)
    total = flow_step("Cases in the table", cases)
    return Material(answered, part, total, known.content_sha256, known.note)


def facts_of(model: Model) -> ModelFacts:
    """Return which model it is, for evaluation.json."""
    spec = model.spec
    fitted = [c.fitted_on for c in spec.calibration]
    if spec.temperature is not None:
        fitted.append(spec.temperature.fitted_on)
    return ModelFacts(
        name=spec.name,
        version=spec.version,
        sha256=model.bundle.sha256,
        summary=spec.summary,
        trained_on_sha256=spec.training.data_sha256,
        calibrated_on="; ".join(dict.fromkeys(fitted)),
        engine=f"{model.engine.name} on {model.engine.device}",
    )


def points_of(spec: BundleSpec, labels: tuple[str, ...]) -> Points:
    """Return a bundle's thresholds: flag, and review where it is another."""
    found: Points = {}
    for point in spec.operating_points:
        if point.label not in labels:
            continue
        both = [("flag", point.flag), ("review", point.review)]
        if point.flag == point.review:
            both = both[:1]
        words = point.chosen_on or "the model's makers"
        found[point.label] = tuple(
            Point(name.capitalize(), rule_of(point.rule, name), threshold, words)
            for name, threshold in both
        )
    return found


def rule_of(text: str, name: str) -> str:
    """Return the part of "flag: youden; review: sensitivity 0.95" for one name."""
    parts = dict(part.strip().partition(": ")[::2] for part in text.split(";"))
    return parts.get(name) or text or "not stated"


def _ledger(folder: Path, model: Model, run: Run) -> Ledger:
    """Open the ledger of an output folder."""
    make_folder(folder)
    limits = run.limits or Limits()
    facts = {
        "model": model.bundle.sha256,
        "engine": f"{model.engine.name} on {model.engine.device}",
        "limits of a file": repr(limits),
        "version of medcnn": medcnn_version(),
    }
    return Ledger(folder, facts)


def _say_what_is_known(ledger: Ledger, table: CaseTable, run: Run) -> None:
    """Say how many images need not be read again, or why all must be."""
    if run.say is None:
        return
    if ledger.forgotten:
        words = " and ".join(ledger.forgotten)
        run.say(f"Another {words} than before: every image is read anew.")
        return
    known = len(ledger.known([case.path for case in table.cases]))
    if known:
        total = len(table.cases)
        run.say(f"{known:,} of {total:,} images were answered before and are kept.")


def _of_model(
    model: Model | str | Path,
    data: str | Path,
    design: Design,
    target: Path | None,
    run: Run,
    trust: TrustLevel,
) -> Evaluation:
    """Run a model, measure it, and write what is asked for."""
    opened = run.open(model)
    _refuse_full(opened, trust)
    material = run_model(opened, data, design, run, target)
    told = material.answered.predictions
    own = points_of(opened.spec, told.labels)
    found = evaluate_predictions(told, design, model=facts_of(opened), own=own)
    notes = (*found.notes, *([material.note] if material.note else []))
    missing = [x for x in opened.labels if x not in told.labels]
    if missing:
        notes = (*notes, f"The data do not tell {', '.join(missing)}: not measured.")
    flow = found.data.flow
    if material.total.cases > len(told):
        flow = (material.total, *flow[1:])
    changes = {"content_sha256": material.content_sha256, "flow": flow}
    facts = found.data.model_copy(update=changes)
    found = found.model_copy(update={"notes": notes, "data": facts})
    found = _with_trust(found, opened, material, design, run, trust)
    if target is not None:
        remove_gallery(target)
    if target is not None and run.gallery:
        reader = Reader(opened, run.workers, run.limits)
        paths = {
            name: case.path
            for name, case in zip(told.cases, material.table.cases, strict=True)
        }
        found = draw_gallery(found, opened, reader, paths, target)
    return _publish(found, material.answered, target)


def _refuse_full(model: Model, level: TrustLevel) -> None:
    """Refuse to ask a detector what is asked of a head that labels taught.

    Raises:
        DataError: If it is one.
    """
    if level == "full" and model.spec.detector is not None:
        msg = f"{model.spec.name} is a detector: it has no head to shuffle, and one "
        msg += "method of heatmaps"
        raise DataError(msg, hint="Use --trust auto: boxes and masks are still met.")


def _with_trust(
    found: Evaluation,
    model: Model,
    material: Material,
    design: Design,
    run: Run,
    level: TrustLevel,
) -> Evaluation:
    """Return the evaluation with how far the heatmaps can be trusted."""
    told = material.answered.predictions
    measured = _part(material.table, told, measured_part(told, design.split)[0])
    settings = design.settings
    asked = TrustDesign(
        level=level,
        method=model.map_method,
        others={"occlusion": MethodMaps("occlusion")} if level == "full" else {},
        group=Group(settings.bootstrap, settings.seed),
        limits=run.limits,
        progress=run.progress,
    )
    trust = measure_trust(model, measured.cases, asked)
    if trust is None:
        return found
    warnings = (*found.warnings, *trust_warnings(trust))
    return found.model_copy(update={"trust": trust, "warnings": warnings})


def _publish(found: Evaluation, answered: Answered, target: Path | None) -> Evaluation:
    """Write all files, if there is a folder for them."""
    if target is None:
        return found
    make_folder(target)
    now = datetime.now(UTC).replace(microsecond=0)
    found = found.model_copy(update={"created": now.isoformat()})
    write_predictions(answered.predictions, target / PREDICTIONS)
    (target / ERRORS).unlink(missing_ok=True)  # of an earlier run
    if answered.errors:
        write_errors(target / ERRORS, answered.errors)
    write_evaluation(found, target / EVALUATION)
    write_evaluation_report(target)
    return found


def _part(table: CaseTable, cases: Predictions, part: Predictions) -> CaseTable:
    """Return the images of the cases in `part`."""
    wanted = set(part.cases)
    return table.only(np.array([case in wanted for case in cases.cases], dtype=bool))
