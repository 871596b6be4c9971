"""`reference`: the sample that a model's screening runs are compared with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medcnn.assessment.evaluating import Run, run_model
from medcnn.assessment.sampling import sample_of_answers
from medcnn.assessment.truth import read_truth
from medcnn.bundle import Bundle
from medcnn.bundle_writing import derive_bundle, refuse_existing
from medcnn.dataset import CaseTable
from medcnn.drift import FEWEST, REFERENCE, Sample
from medcnn.errors import DataError
from medcnn.evaluation.evaluate import Design
from medcnn.model import Model

__all__ = ["Referred", "refer"]


@dataclass(frozen=True)
class Referred:
    """A model with a reference of its own.

    Attributes:
        bundle: The new model.
        sample: What its runs are compared with from now on.
        warnings: What must be known of it.
    """

    bundle: Bundle
    sample: Sample
    warnings: tuple[str, ...]


def refer(  # noqa: PLR0913 - each is one choice of the caller
    model: Model | str | Path,
    data: str | Path,
    *,
    output: str | Path,
    split: str | None = None,
    where: Sequence[str] = (),
    leave_out: Sequence[str] = (),
    run: Run | None = None,
) -> Referred:
    """Give a model the sample that its later runs are compared with for drift.

    Weights, thresholds and everything else stay byte for byte: only reference.json and
    its checksum in bundle.json are new.

    Args:
        model: An open model, a shipped one's name, or a bundle's directory.
        data: Images that training has not seen, with the model's labels: a table, a
            folder of classes, or a data set.
        output: The new model's directory; there must be none yet.
        split: Which split; None: all cases.
        where: "column=value" of the table; only such cases count.
        leave_out: What is not to be compared, such as "rows" where these images are
            reduced copies: every site would differ in it.
        run: How the model is run.

    Raises:
        DataError: If the data are wrong, or of too few patients to be tested against.
        LeakageError: If the model was trained on some of the images.
        OutputError: If the model cannot be written.
    """
    target = Path(output)
    refuse_existing(target)
    options = run or Run()
    opened = options.open(model)
    table = _chosen(read_truth(data, opened.spec.labels), where)
    material = run_model(opened, table, Design(split=split or "all"), options)
    name = f"{opened.spec.name} {opened.spec.version}"
    which = ", ".join(("all" if split is None else split, *where))
    told = material.answered.predictions
    sample = sample_of_answers(
        told, material.answered, f"the held-out cases of {name} ({which})"
    )
    if sample.units < FEWEST:
        who = "patients" if told.has_patients else "images"
        msg = f"{data}: {sample.units} {who} ({which}), {FEWEST} are needed for a test"
        raise DataError(msg, hint="Add images of other patients.")
    sample = _without(sample, leave_out)
    text = sample.model_dump_json().encode()
    bundle = derive_bundle(target, opened.bundle, opened.spec, files={REFERENCE: text})
    return Referred(bundle, sample, tuple(_warnings(sample, material.note)))


def _chosen(table: CaseTable, where: Sequence[str]) -> CaseTable:
    """Return the cases that have all these values.

    Raises:
        DataError: If a condition is none, or no case has the value.
    """
    for condition in where:
        column, equals, value = condition.partition("=")
        known = sorted({name for case in table.cases for name in case.attributes})
        if not equals or column not in known:
            msg = f"{table.source}: {condition!r} is no column=value of it"
            raise DataError(msg, hint=f"Columns: {', '.join(known) or 'none'}.")
        use = np.array([c.attributes.get(column) == value for c in table.cases])
        if not use.any():
            msg = f"{table.source}: no case has {condition}"
            raise DataError(msg, hint="Values must be written as in the table.")
        table = table.only(use)
    return table


def _without(sample: Sample, names: Sequence[str]) -> Sample:
    """Return the sample without some of its distributions.

    Raises:
        DataError: If it has none of such a name.
    """
    known = [*sample.numbers, *sample.words]
    for name in names:
        if name not in known:
            msg = f"{name!r} is not among what is compared"
            raise DataError(msg, hint=f"Here: {', '.join(known)}.")
    numbers = {name: x for name, x in sample.numbers.items() if name not in names}
    words = {name: x for name, x in sample.words.items() if name not in names}
    return sample.model_copy(update={"numbers": numbers, "words": words})


def _warnings(sample: Sample, note: str) -> list[str]:
    """Return what must be known of a sample."""
    found = [note] if note else []
    if sample.without_patient:
        found.append(
            f"{sample.without_patient} of {sample.units} say no patient: each counts "
            "as one; several of one patient would raise false alarms."
        )
    return found
