"""Two models on the same cases."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medcnn.errors import DataError, UndefinedMetricError
from medcnn.evaluation.evaluate import measured_part
from medcnn.evaluation.measures import Estimate, Record
from medcnn.evaluation.predictions import Predictions
from medcnn.evaluation.records import write_record
from medcnn.metrics.roc import paired_difference

__all__ = [
    "COMPARISON",
    "Comparison",
    "LabelComparison",
    "compare_predictions",
    "write_comparison",
]

COMPARISON = "comparison.json"

_NAMED = 3


class LabelComparison(Record):
    """Two areas under the ROC curve and how far they are apart.

    Attributes:
        difference: A less B, with its interval; None where it does not exist.
        p_value: Two-sided, that so large a difference is chance.
        p_holm: The same, corrected for the number of labels (Holm).
        note: Why there is none.
    """

    n_positive: int
    n_negative: int
    auroc_a: float | None
    auroc_b: float | None
    difference: Estimate | None
    p_value: float | None
    p_holm: float | None = None
    note: str = ""


class Comparison(Record):
    """All of comparison.json.

    Attributes:
        a: Name of the first.
        b: Name of the second.
        cases: With a usable answer of both.
        left_out: Without one of either.
        patients: Different ones; None where it is not known.
    """

    a: str
    b: str
    data: str
    split: str
    cases: int
    left_out: int
    patients: int | None
    method: str
    labels: dict[str, LabelComparison]
    warnings: tuple[str, ...]


def compare_predictions(
    a: Predictions, b: Predictions, *, names: tuple[str, str], split: str | None = None
) -> Comparison:
    """Compare two models on the same cases, label by label.

    Args:
        a: Of the first model.
        b: Of the second; its rows may be in another order.
        names: What to call them.
        split: Which split, or "all"; None: test if there is one.

    Raises:
        DataError: If cases, patients or truths differ, or no label is in both.

    References:
        [1] DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837-845.
        [2] Obuchowski, Biometrics 53 (1997) 567-578.
        [3] Holm, Scand. J. Statist. 6 (1979) 65-70.
    """
    first, used = measured_part(a, split)
    second = _in_order_of(first, measured_part(b, split)[0])
    shared = tuple(label for label in first.labels if label in second.labels)
    if not shared:
        msg = f"no label is in both: {a.source} has {', '.join(a.labels)}"
        msg += f"; {b.source} has {', '.join(b.labels)}"
        raise DataError(msg)
    both = first.is_ok & second.is_ok
    compared = {label: _compare(first, second, both, label) for label in shared}
    adjusted = _holm([found.p_value for found in compared.values()])
    return Comparison(
        a=names[0],
        b=names[1],
        data=a.source,
        split=used,
        cases=int(both.sum()),
        left_out=int((~both).sum()),
        patients=len(set(first.only(both).patients)) if first.has_patients else None,
        method="paired DeLong"
        + (", clustered by patient (Obuchowski)" if first.has_patients else ""),
        labels={
            label: found.model_copy(update={"p_holm": p})
            for (label, found), p in zip(compared.items(), adjusted, strict=True)
        },
        warnings=tuple(_warnings(first, second, both, shared)),
    )


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write comparison.json whole.

    Raises:
        OutputError: If it cannot be written.
    """
    write_record(comparison, path)


def _in_order_of(first: Predictions, second: Predictions) -> Predictions:
    """Return the second's cases in the first's order.

    Raises:
        DataError: If they are not the same cases, or their truths or patients differ.
    """
    place = {case: n for n, case in enumerate(second.cases)}
    missing = [case for case in first.cases if case not in place]
    extra = set(second.cases) - set(first.cases)
    if missing or extra:
        some = ", ".join([*missing, *sorted(extra)][:_NAMED])
        msg = f"the cases differ: {len(missing)} of {first.source} are not in "
        msg += f"{second.source}, {len(extra)} are in it alone, such as {some}"
        raise DataError(msg, hint="Both models must answer the same cases.")
    at = np.array([place[case] for case in first.cases], dtype=np.intp)
    turned = second.take(at)
    for label in set(first.labels) & set(turned.labels):
        one = first.truth[:, first.labels.index(label)]
        two = turned.truth[:, turned.labels.index(label)]
        wrong = np.flatnonzero(~((one == two) | (np.isnan(one) & np.isnan(two))))
        if wrong.size:
            msg = f"the truths of {label} differ in {wrong.size} cases, such as "
            msg += first.cases[wrong[0]]
            raise DataError(msg)
    if first.patients != turned.patients and first.has_patients and turned.has_patients:
        msg = f"{first.source} and {second.source} name other patients for the cases"
        raise DataError(msg)
    return turned


def _compare(
    a: Predictions, b: Predictions, both: npt.NDArray[np.bool_], label: str
) -> LabelComparison:
    """Compare one label."""
    truth = a.truth[:, a.labels.index(label)]
    use = both & ~np.isnan(truth)
    one, other = (x.score[use, x.labels.index(label)] for x in (a, b))
    positive, negative = int((truth[use] == 1).sum()), int((truth[use] == 0).sum())
    try:
        found = paired_difference(truth[use], one, other, a.clusters[use])
    except UndefinedMetricError as error:
        return LabelComparison(
            n_positive=positive,
            n_negative=negative,
            auroc_a=None,
            auroc_b=None,
            difference=None,
            p_value=None,
            note=error.message,
        )
    return LabelComparison(
        n_positive=positive,
        n_negative=negative,
        auroc_a=found.area_a,
        auroc_b=found.area_b,
        difference=Estimate(
            value=found.difference, ci95=(found.low, found.high), method="paired DeLong"
        ),
        p_value=found.p_value,
    )


def _holm(values: Sequence[float | None]) -> list[float | None]:
    """Return p values corrected for their number, step by step (Holm)."""
    known = sorted((p, n) for n, p in enumerate(values) if p is not None)
    found: list[float | None] = [None] * len(values)
    highest = 0.0
    for rank, (p, n) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        found[n] = highest
    return found


def _warnings(
    a: Predictions,
    b: Predictions,
    both: npt.NDArray[np.bool_],
    shared: tuple[str, ...],
) -> list[str]:
    """Return what must be read before the numbers."""
    found = []
    if not a.has_patients:
        found.append("Without patient_id for all, cases are counted as independent.")
    if not both.all():
        found.append(
            f"{int((~both).sum()):,} cases are left out: one of the two has no usable "
            "answer for them."
        )
    alone = [x for x in {*a.labels, *b.labels} if x not in shared]
    if alone:
        found.append(f"Not compared, in one only: {', '.join(sorted(alone))}.")
    return found
