"""From the durable store to the files that people read."""

import json
import platform
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from medcnn.bundle import Bundle, BundleSpec, Score
from medcnn.errors import OutputError
from medcnn.model import Model
from medcnn.results import Band, CaseResult, Status
from medcnn.screening.drifting import drift_of, own_sample, sample_of
from medcnn.screening.heat import HeatPainter
from medcnn.screening.lock import FolderLock
from medcnn.screening.store import STORE, Store
from medcnn.screening.whose import has_pseudonyms, shown_whose
from medcnn.worklist import (
    ERRORS,
    REPORT,
    RUN,
    WORKLIST,
    Counts,
    ModelRecord,
    RunRecord,
    WorklistRow,
    write_errors,
    write_run,
    write_worklist,
)

__all__ = ["describe_run", "is_published", "publish", "republish", "version_of"]

_SETTING, _PUBLISHED = "setting", "published"
_GROUPS = {"modality": "Modality", "view": "View", "device": "Device"}
"""What the report offers as subgroups of what is known of images' making."""

_LIBRARIES = ("numpy", "opencv-python-headless", "openvino", "onnxruntime", "pydicom")


def describe_run(
    store: Store,
    model: Model,
    *,
    root: str,
    paths: Iterable[str],
    options: dict[str, Any],
) -> None:
    """Note in the store with what it was run, for run.json."""
    libraries = {name: version_of(name) for name in _LIBRARIES}
    setting = {
        "medcnn": version_of("medcnn-imaging"),
        "model": _model_record(model.bundle).model_dump(mode="json"),
        "engine": model.engine.name,
        "device": model.engine.device,
        "root": root,
        "paths": list(paths),
        "options": options,
        "heatmap": HeatPainter(model).scale.model_dump(mode="json"),
        "environment": {
            "python": platform.python_version(),
            "system": platform.platform(),
            **{name: found for name, found in libraries.items() if found},
        },
    }
    store.note({_SETTING: json.dumps(setting), **own_sample(model.bundle)})


def publish(
    folder: Path, store: Store, *, report: bool, identify: bool = False
) -> RunRecord:
    """Write worklist.csv, errors.csv, run.json and the report, each whole.

    Args:
        folder: The output folder.
        store: Its store.
        report: Whether report.html is written.
        identify: Whether they may hold patients' numbers. A run without them has
            pseudonyms all the same.

    Raises:
        OutputError: If one cannot be written, or the run never got to its model.
    """
    setting = store.fact(_SETTING)
    if setting is None:
        msg = f"{folder / STORE} holds no finished image yet."
        raise OutputError(msg, hint="Run medcnn screen with this output first.")
    notes = store.settle_copies()
    facts = json.loads(setting) | {"notes": notes}
    record = _record(facts, store, folder)
    model = record.model
    told: dict[str, dict[str, str]] = {}
    cases = map(shown_whose(store, identify=identify).of, store.ranked())
    rows = (
        WorklistRow.of(case, rank=n, model=model.name, model_sha256=model.sha256)
        for n, case in enumerate(_telling(cases, told), start=1)
    )
    write_worklist(folder / WORKLIST, rows, labels=model.labels)
    write_errors(folder / ERRORS, store.errors())
    write_run(folder / RUN, record)
    if report:
        # its template engine is for the end of a run, not for reader processes
        from medcnn.report import write_report

        write_report(folder, identify=identify, facts=told)
    store.note({_PUBLISHED: _words(report=report, identify=identify)})
    return record


def _telling(
    cases: Iterable[CaseResult], told: dict[str, dict[str, str]]
) -> Iterator[CaseResult]:
    """Yield cases, and note by path what their headers tell of their making."""
    for case in cases:
        known = case.acquisition
        found = {
            words: str(known[key]) for key, words in _GROUPS.items() if key in known
        }
        if found:
            told[case.path] = found
        yield case


def republish(folder: str | Path, *, identify: bool = False) -> RunRecord:
    """Write a stored run's files and report again, without any model.

    Args:
        folder: The output folder of `screen`.
        identify: Whether they may hold patients' numbers, if the run kept them.

    Raises:
        OutputError: If it holds no run, is in use, or cannot be written.
    """
    output = Path(folder)
    if not (output / STORE).is_file():
        msg = f"{output} holds no screening run: {STORE} is not there."
        raise OutputError(msg, hint="Make one: medcnn screen PATH --output DIR.")
    with FolderLock(output), Store(output) as store:
        return publish(output, store, report=True, identify=identify)


def is_published(
    folder: Path, store: Store, *, report: bool, identify: bool = False
) -> bool:
    """Say whether all final files are there and hold all that the store holds."""
    enough = {_words(report=True, identify=identify)}
    if not report:
        enough.add(_words(report=False, identify=identify))
    if store.fact(_PUBLISHED) not in enough:
        return False
    names = (WORKLIST, ERRORS, RUN, *([REPORT] if report else []))
    return all((folder / name).is_file() for name in names)


def _words(*, report: bool, identify: bool) -> str:
    """Say for the store what was written."""
    what = "with report" if report else "without report"
    return f"{what}, patients' numbers in it" if identify else what


def version_of(package: str) -> str:
    """Return the version of an installed package, or "" if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _model_record(bundle: Bundle) -> ModelRecord:
    spec = bundle.spec
    measured = _main_score(spec)
    return ModelRecord(
        name=spec.name,
        version=spec.version,
        summary=spec.summary,
        sha256=bundle.sha256,
        labels=spec.labels,
        thresholds={point.label: point.flag for point in spec.operating_points},
        reviews={point.label: point.review for point in spec.operating_points},
        ood_limit=spec.gate.ood_limit,
        card=bundle.card(),
        bands=spec.bands,
        auroc=None if measured is None else (measured.auroc, *measured.ci95),
        auroc_data="" if measured is None else _where(measured),
        number_kind=spec.number_kind,
        held_out_normals=None if spec.detector is None else spec.detector.held_out,
    )


def _main_score(spec: BundleSpec) -> Score | None:
    """Return the main label's score on what its thresholds were chosen on, or on all.

    Of several data sets test comes first.
    """
    chosen_on = spec.operating_points[0].chosen_on
    found = [score for score in spec.evaluation if score.label == spec.labels[0]]
    special = [s for s in found if s.subgroup != "all" and s.subgroup in chosen_on]
    among = special or [score for score in found if score.subgroup == "all"]
    among.sort(key=lambda score: score.data != "test")
    return among[0] if among else None


def _where(score: Score) -> str:
    return score.data if score.subgroup == "all" else f"{score.data}, {score.subgroup}"


def _record(setting: dict[str, Any], store: Store, folder: Path) -> RunRecord:
    sessions = store.sessions()
    seconds = sum(session.seconds for session in sessions)
    files = sum(session.files for session in sessions)
    statistics = sample_of(store.by_path(), f"the run {folder}")
    return RunRecord(
        **setting,
        counts=_counts(store.tally()),
        sessions=sessions,
        seconds=round(seconds, 3),
        files_per_second=round(files / seconds, 2) if seconds > 0 else None,
        patients="pseudonyms" if has_pseudonyms(store) else "numbers",
        statistics=statistics,
        drift=drift_of(store, statistics),
    )


def _counts(tally: dict[str, int]) -> Counts:
    return Counts(
        images=sum(tally.values()),
        flag=tally.get(Band.FLAG.value, 0),
        review=tally.get(Band.REVIEW.value, 0),
        no_flag=tally.get(Band.NO_FLAG.value, 0),
        out_of_scope=tally.get(Status.OUT_OF_SCOPE.value, 0),
        error=tally.get(Status.ERROR.value, 0),
    )
