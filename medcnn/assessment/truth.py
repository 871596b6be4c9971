"""Labelled images for a model: which of its labels they tell, what it knew before."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from medcnn.bundle import Bundle
from medcnn.dataset import (
    Case,
    CaseTable,
    content_hashes,
    data_sha256,
    read_cases,
)
from medcnn.dataset.seen import SEEN, SeenImages, read_seen
from medcnn.errors import DataError, LeakageError
from medcnn.evaluation import Predictions

__all__ = [
    "Known",
    "as_predictions",
    "read_truth",
    "what_is_known",
]

_NAMED = 3


@dataclass(frozen=True)
class Known:
    """What a bundle says of the images that are to be measured.

    Attributes:
        content_sha256: Of these images, truths and patients.
        note: What is not known, or must be read beside the numbers; "" if nothing.
    """

    content_sha256: str
    note: str


def read_truth(data: str | Path | CaseTable, labels: Sequence[str]) -> CaseTable:
    """Read labelled images, and leave only the labels that a model has.

    Args:
        data: A table, a folder of classes, or a data set; or what was read of one.
        labels: The model's.

    Raises:
        DataError: If the data are wrong, or tell none of these labels.
    """
    if isinstance(data, CaseTable):
        return data
    everything = read_cases(data)
    shared = [label for label in labels if label in everything.labels]
    if not shared:
        msg = f"{data} tells {', '.join(everything.labels)}; "
        msg += f"the model has {', '.join(labels)}"
        hint = "Name the columns or classes as the model does: medcnn models."
        raise DataError(msg, hint=hint)
    if everything.activation == "softmax":
        return everything
    return read_cases(data, labels=shared)


def as_predictions(table: CaseTable, labels: Sequence[str]) -> Predictions:
    """Return the cases without any score yet.

    Args:
        table: As read.
        labels: The model's; those that the table does not tell are left out.
    """
    shared = tuple(label for label in labels if label in table.labels)
    columns = [table.labels.index(label) for label in shared]
    truth = table.truth().astype(np.float64)[:, columns]
    names = list(dict.fromkeys(k for case in table.cases for k in case.attributes))
    return Predictions(
        source=str(table.source),
        labels=shared,
        cases=tuple(_name(case, table.source) for case in table.cases),
        truth=truth,
        score=np.full(truth.shape, np.nan),
        patients=tuple(case.patient_id or "" for case in table.cases),
        splits=tuple(case.split or "" for case in table.cases),
        columns=MappingProxyType(
            {x: tuple(c.attributes.get(x, "") for c in table.cases) for x in names}
        ),
    )


def what_is_known(bundle: Bundle, whole: CaseTable, part: CaseTable) -> Known:
    """Refuse images that the model was trained on, as far as its bundle tells.

    A bundle with a list of what it has seen names every file by checksum. One without
    it says at least the checksum of the whole table that it was trained on.

    Raises:
        LeakageError: If some of `part` were trained on.
    """
    seen = _seen(bundle)
    if seen is None:
        return _by_table(bundle, whole, part)
    hashes = content_hashes(part)
    content = data_sha256(part, hashes)
    learnt = [
        str(case.path)
        for case, found in zip(part.cases, hashes, strict=True)
        if seen.split_of(file=found) == "train"
    ]
    _refuse(bundle, learnt, len(part.cases))
    chosen = sum(seen.split_of(file=found) == "val" for found in hashes)
    if not chosen:
        return Known(content, "")
    words = f"{chosen} of these images are of the split val that chose the model."
    return Known(content, words)


def _by_table(bundle: Bundle, whole: CaseTable, part: CaseTable) -> Known:
    """Judge by the checksum of all training data."""
    found = dict(zip((c.path for c in whole.cases), content_hashes(whole), strict=True))
    content = data_sha256(part, [found[case.path] for case in part.cases])
    if data_sha256(whole, list(found.values())) != bundle.spec.training.data_sha256:
        words = (
            "The model does not list the images that it was trained on, so it is not "
            "known here whether some of these are among them."
        )
        return Known(content, words)
    learnt = [str(case.path) for case in part.cases if case.split == "train"]
    _refuse(bundle, learnt, len(part.cases))
    return Known(content, "")


def _refuse(bundle: Bundle, learnt: Sequence[str], cases: int) -> None:
    """Refuse images that were trained on.

    Raises:
        LeakageError: If there are any.
    """
    if learnt:
        some = ", ".join(learnt[:_NAMED]) + (", ..." if len(learnt) > _NAMED else "")
        msg = f"{bundle.spec.name} was trained on {len(learnt)} of these {cases} "
        msg += f"images: {some}"
        raise LeakageError(msg, hint="Measure it on others: --split test.")


def _seen(bundle: Bundle) -> SeenImages | None:
    """Return which images the model was made with; None if it does not say."""
    if SEEN not in bundle.spec.files:
        return None
    return read_seen((bundle.path / SEEN).read_bytes())


def _name(case: Case, source: Path) -> str:
    """Return a case's path below its table, as the table would name it."""
    base = source if source.is_dir() else source.parent
    return Path(os.path.relpath(case.path, base)).as_posix()
