"""A run's scores and acquisition, beside those of its model and of earlier runs."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from medcnn.bundle import Bundle
from medcnn.drift import Comparison, Sample, SampleMaker
from medcnn.drift.compare import compare
from medcnn.errors import DataError
from medcnn.results import CaseResult, Status
from medcnn.screening.store import Store
from medcnn.worklist import RUN, RunRecord, read_run

__all__ = [
    "EARLIER",
    "OWN",
    "compare_runs",
    "drift_of",
    "earlier_samples",
    "note_earlier",
    "own_sample",
    "sample_of",
]

OWN, EARLIER = "reference", "earlier runs"
"""Facts of the store: samples that the run is compared with, as JSON."""


_RUN_WORDS = "the run "
_SAMPLES = TypeAdapter(tuple[Sample, ...])


def sample_of(cases: Iterable[CaseResult], source: str) -> Sample:
    """Return what is known of a run's images, one of each patient.

    A score counts wherever the network was run, in scope or not, as with the model's
    own sample.

    Args:
        cases: In an order that does not depend on their scores.
        source: What they are, in words.
    """
    maker = SampleMaker()
    for case in cases:
        if case.status is Status.ERROR:
            continue
        facts: dict[str, str | float | None] = dict(case.acquisition)
        is_out = case.status is Status.OUT_OF_SCOPE
        facts["scope"] = "out of scope" if is_out else "in scope"
        if case.prediction is not None:
            facts["score"] = case.prediction.probability
            facts["distance"] = case.prediction.ood_score
        maker.add(facts, case.identity.get("patient_id"))
    return maker.sample(source)


def drift_of(store: Store, sample: Sample) -> tuple[Comparison, ...]:
    """Compare a run with its model's own sample and the earlier runs named."""
    before = (*_samples(store.fact(OWN)), *_samples(store.fact(EARLIER)))
    return tuple(compare(one, sample) for one in before)


def note_earlier(store: Store, samples: Sequence[Sample]) -> None:
    """Note with which earlier runs the run is compared, if it is new."""
    text = _SAMPLES.dump_json(tuple(samples)).decode()
    if text != (store.fact(EARLIER) or "[]"):
        store.note({EARLIER: text})
        store.unpublish()


def own_sample(bundle: Bundle) -> dict[str, str]:
    """Return the model's own sample as a fact of the store; none if it has none."""
    sample = bundle.reference()
    return {} if sample is None else {OWN: _SAMPLES.dump_json((sample,)).decode()}


def earlier_samples(
    folders: Iterable[Path], model_sha256: str, thresholds: Mapping[str, float]
) -> tuple[Sample, ...]:
    """Read the statistics of earlier runs.

    Args:
        folders: Their output folders, or their run.json.
        model_sha256: The model that they must be of: scores of two do not compare.
        thresholds: Its flag thresholds. The scores of a run with others are left out:
            they were calibrated otherwise, or rounded.

    Raises:
        DataError: If one is no run, of another model, or of a version that kept no
            statistics.
    """
    found = []
    for folder in folders:
        record = _run(folder)
        if record.model.sha256 != model_sha256:
            msg = f"{folder} was screened by {record.model.name} {record.model.version}"
            msg += f" ({record.model.sha256[:12]}...), not by the same weights "
            msg += f"({model_sha256[:12]}...)"
            raise DataError(msg, hint="Compare runs of one model.")
        if record.statistics is None:
            msg = f"{folder} holds a run without statistics"
            hint = "An earlier version of medcnn made it: screen it again."
            raise DataError(msg, hint=hint)
        source, numbers = f"{_RUN_WORDS}{folder}", dict(record.statistics.numbers)
        if record.model.thresholds != thresholds and "score" in numbers:
            del numbers["score"]
            source += " (of another calibration: scores are not compared)"
        changes = {"source": source, "numbers": numbers}
        found.append(record.statistics.model_copy(update=changes))
    return tuple(found)


def compare_runs(
    folders: Sequence[Path],
) -> tuple[RunRecord, tuple[Comparison, ...]]:
    """Compare the last of some runs with its model's own sample and the runs before.

    Args:
        folders: Output folders of runs, or their run.json, the last one last.

    Raises:
        DataError: If one is no run, of another model than the last, or of a version
            that kept no statistics.
    """
    *before, last = folders
    record = _run(last)
    model = record.model.sha256, record.model.thresholds
    (sample,) = earlier_samples([last], *model)
    named = earlier_samples(before, *model)
    own = tuple(one for one in record.drift if not one.against.startswith(_RUN_WORDS))
    return record, own + tuple(compare(one, sample) for one in named)


def _run(folder: Path) -> RunRecord:
    return read_run(folder if folder.is_file() else folder / RUN)


def _samples(text: str | None) -> tuple[Sample, ...]:
    return () if text is None else _SAMPLES.validate_json(text)
