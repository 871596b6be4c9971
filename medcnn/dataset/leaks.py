"""What is in more than one split and must not be: patients, images, their copies."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medcnn.dataset.cases import LEFT_OUT, SPLITS, Case, CaseTable
from medcnn.dataset.looks import Looks
from medcnn.dataset.twins import Twin
from medcnn.errors import LeakageError
from medcnn.pseudonyms import refuse_mixed

__all__ = [
    "Leaks",
    "contradictions",
    "find_leaks",
    "leave_out_copies",
    "name_patients",
    "refuse_leaks",
]

_NAMED = 5
_STRENGTH = {"train": 0, "val": 1, "test": 2}


@dataclass(frozen=True)
class Leaks:
    """What is in more than one split.

    Attributes:
        patients: Patients who are.
        copies: Pairs of images that are the same, or nearly, in different splits.
    """

    patients: tuple[str, ...] = ()
    copies: tuple[Twin, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.patients or self.copies)

    def counted(self) -> str:
        """Say in words how much leaks, naming nobody; "" if nothing does."""
        same = sum(twin.identical for twin in self.copies)
        parts = [
            (len(self.patients), "patients are in several splits"),
            (same, "pairs of identical images lie in different splits"),
            (len(self.copies) - same, "pairs of nearly identical images do"),
        ]
        return ", ".join(f"{count} {words}" for count, words in parts if count)


def name_patients(table: CaseTable, looks: Looks) -> tuple[CaseTable, str]:
    """Tell patients apart by their DICOM header where the table does not.

    Nothing that is made of the table holds a Patient ID that only a header said: such a
    patient is called by the first of their images. One that the table names elsewhere
    keeps that name.

    Args:
        table: Cases.
        looks: Their looks.

    Returns:
        The table, and in words how patients are known.

    Raises:
        DataError: If pseudonyms of a screening run stand among real numbers.
    """
    said = [case.patient_id is not None for case in table.cases]
    headers = [str(name) or None for name in looks.patient_ids]
    pairs = list(zip(table.cases, headers, strict=True))
    refuse_mixed((case.patient_id or name for case, name in pairs), table.source)
    names = {case.patient_id: case.patient_id for case in table.cases}
    for case, name in pairs:
        if case.patient_id is None and name is not None:
            names.setdefault(name, f"patient of {_name(table, case.path)}")
    cases = tuple(
        case if told or name is None else replace(case, patient_id=names[name])
        for (case, name), told in zip(pairs, said, strict=True)
    )
    unknown = sum(case.patient_id is None for case in cases)
    found = len(cases) - sum(said) - unknown
    if unknown == len(cases):
        words = "nothing says which images are of one patient: each counts as one"
    else:
        parts = [
            (sum(said), "from the column patient_id"),
            (found, "from (0010,0020) Patient ID"),
            (unknown, "unknown, each image counts as one"),
        ]
        words = ", ".join(f"{count} {what}" for count, what in parts if count)
        words = f"patients of images: {words}"
    return replace(table, cases=cases), words


def find_leaks(table: CaseTable, twins: Sequence[Twin]) -> Leaks:
    """Return what is in more than one split of a table with splits."""
    where = defaultdict(set)
    for case in table.cases:
        if case.patient_id is not None and case.split in SPLITS:
            where[case.patient_id].add(case.split)
    patients = tuple(sorted(name for name, splits in where.items() if len(splits) > 1))
    return Leaks(patients, _across(table, twins))


def refuse_leaks(table: CaseTable, leaks: Leaks) -> None:
    """Refuse a patient or an image that is in more than one split.

    Raises:
        LeakageError: If there is one; it names patients and files.
    """
    said = []
    if leaks.patients:
        names = _some(leaks.patients)
        said.append(f"{len(leaks.patients)} patients are in several splits: {names}")
    for identical, words in (
        (True, "the same image"),
        (False, "nearly the same image"),
    ):
        pairs = [twin for twin in leaks.copies if twin.identical is identical]
        if pairs:
            names = _some([_pair(table, twin) for twin in pairs])
            count = f"{len(pairs)} times " * (len(pairs) > 1)
            said.append(f"{count}{words} is in two splits: {names}")
    if said:
        msg = f"{table.source}: {'; '.join(said)}"
        hint = "Give all images of a patient, and all copies of an image, the same "
        hint += "split; --allow-leak trains all the same, and the model's card says so."
        raise LeakageError(msg, hint=hint)


def leave_out_copies(
    table: CaseTable, twins: Sequence[Twin]
) -> tuple[CaseTable, tuple[str, ...]]:
    """Leave out images of which test, or val, holds a copy.

    For data sets whose splits are published: nobody can mend them, and results are
    compared on their test split, which therefore stays whole.

    Args:
        table: Cases with splits.
        twins: Their copies.

    Returns:
        The table, in which the split of those is `LEFT_OUT`, and one line for each.
    """
    out: dict[int, str] = {}
    for twin in _across(table, twins):
        weak, strong = sorted(
            (twin.first, twin.second), key=lambda n: _strength(table, n)
        )
        what = "the same as" if twin.identical else "nearly the same as"
        other = _name(table, table.cases[strong].path)
        out.setdefault(
            weak, f"{_name(table, table.cases[weak].path)} is {what} {other}"
        )
    cases = tuple(
        replace(case, split=LEFT_OUT) if n in out else case
        for n, case in enumerate(table.cases)
    )
    return replace(table, cases=cases), tuple(out[n] for n in sorted(out))


def contradictions(table: CaseTable, twins: Sequence[Twin]) -> tuple[str, ...]:
    """Return a line for each pair of identical images with different known truths."""
    lines = []
    for twin in twins:
        first, second = table.cases[twin.first], table.cases[twin.second]
        differ = [
            label
            for label in table.labels
            if None not in {first.truth[label], second.truth[label]}
            and first.truth[label] != second.truth[label]
        ]
        if twin.identical and differ:
            lines.append(f"{_pair(table, twin)} differ in {', '.join(differ)}")
    return tuple(lines)


def _across(table: CaseTable, twins: Sequence[Twin]) -> tuple[Twin, ...]:
    """Return pairs of copies in different splits, one for each image of the weaker.

    Of identical images only the first has twins; what holds for it holds for all.
    """
    alike: dict[int, list[int]] = {}
    for twin in twins:
        alike.setdefault(twin.first, [twin.first])
        if twin.identical:
            alike[twin.first].append(twin.second)
        else:
            alike.setdefault(twin.second, [twin.second])
    found = [
        twin
        for group in alike.values()
        for twin in _torn(table, group, group, 1.0, identical=True)
    ]
    for twin in twins:
        if not twin.identical:
            one, other = alike[twin.first], alike[twin.second]
            for pair in ((one, other), (other, one)):
                found += _torn(table, *pair, twin.correlation, identical=False)
    return tuple(sorted(set(found)))


def _torn(
    table: CaseTable,
    weaker: Sequence[int],
    stronger: Sequence[int],
    correlation: float,
    *,
    identical: bool,
) -> list[Twin]:
    """Return a pair for each image of which a stronger split holds a copy."""
    placed = [n for n in stronger if table.cases[n].split in SPLITS]
    if not placed:
        return []
    best = max(placed, key=lambda n: (_strength(table, n), -n))
    torn = [
        n
        for n in weaker
        if table.cases[n].split in SPLITS
        and _strength(table, n) < _strength(table, best)
    ]
    return [
        Twin(min(n, best), max(n, best), correlation, identical=identical) for n in torn
    ]


def _strength(table: CaseTable, index: int) -> int:
    """Return which of two copies stays: that of test before val before train."""
    return _STRENGTH[table.cases[index].split or "train"]


def _pair(table: CaseTable, twin: Twin) -> str:
    def told(case: Case) -> str:
        return f"{case.path} ({case.split})" if case.split else str(case.path)

    return f"{told(table.cases[twin.first])} and {told(table.cases[twin.second])}"


def _name(table: CaseTable, path: Path) -> str:
    root = table.source if table.kind != "table" else table.source.parent
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
