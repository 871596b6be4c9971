"""Folds for cross-validation that share no patient and no image."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from medcnn.dataset.cases import LEFT_OUT, CaseTable
from medcnn.dataset.split import groups_of_cases, stratum_by
from medcnn.errors import DataError

__all__ = ["TEST", "assign_folds", "fold_table"]

TEST = -1
"""Fold of a case of test, or one that is left out: it takes no part."""


def assign_folds(
    table: CaseTable,
    hashes: Sequence[str],
    *,
    folds: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.intp]:
    """Deal all cases but those of test into folds of like size and like make-up.

    Whole groups (a patient's images, images of the same content) are dealt, largest
    first, to the fold that has fewest cases of the group's class, and among equals the
    fewest cases.

    Args:
        table: Cases; their train and val splits are put together.
        hashes: Their `content_hashes`.
        folds: How many, at least 2.
        rng: Decides among equals.

    Returns:
        Each case's fold from 0, and `TEST` for those that take no part, (N,).

    Raises:
        DataError: If there are fewer groups than folds.
    """
    groups = groups_of_cases(table, hashes)
    members = defaultdict(list)
    for n, case in enumerate(table.cases):
        if case.split not in {"test", LEFT_OUT}:
            members[groups[n]].append(n)
    if len(members) < folds:
        msg = f"{table.source}: {len(members)} patients are too few for {folds} folds"
        raise DataError(msg, hint="Ask for fewer folds.")
    stratum = stratum_by(table)
    parts = list(members.values())
    order = sorted(rng.permutation(len(parts)), key=lambda at: -len(parts[at]))
    alike: dict[str, npt.NDArray[np.intp]] = {}
    sizes = np.zeros(folds, dtype=np.intp)
    chosen = np.full(len(table.cases), TEST, dtype=np.intp)
    for at in order:
        name = max(stratum(n) for n in parts[at])
        same = alike.setdefault(name, np.zeros(folds, dtype=np.intp))
        fold = int(np.lexsort((sizes, same))[0])
        chosen[parts[at]] = fold
        same[fold] += len(parts[at])
        sizes[fold] += len(parts[at])
    return chosen


def fold_table(
    table: CaseTable, folds: npt.NDArray[np.intp], held: int | None
) -> CaseTable:
    """Return the table in which one fold is val, the others train.

    Args:
        table: Cases.
        folds: What `assign_folds` returned.
        held: The fold that is val; None means that all are train.
    """
    names = [
        case.split if fold == TEST else "val" if fold == held else "train"
        for case, fold in zip(table.cases, folds, strict=True)
    ]
    cases = [
        replace(case, split=name) for case, name in zip(table.cases, names, strict=True)
    ]
    return replace(table, cases=tuple(cases))
