"""Labelled or unlabelled images as one question: is this one normal?"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from medcnn.dataset import Case, CaseTable, read_cases
from medcnn.errors import DataError

__all__ = ["ANOMALY", "read_normals"]

ANOMALY = "anomaly"
"""Label of a detector that was made of data that name no other."""

_NORMAL_WORDS = ("normal", "healthy", "negative", "no finding", "no_finding", "good")


def read_normals(
    data: Path, *, normal: str | None, said: Mapping[str, Any]
) -> CaseTable:
    """Read images and ask of each one thing: 0 for normal, 1 for not, None unknown.

    In a table of labels a case is normal where the main label is 0. Of classes one is
    normal. A folder that holds images and no folders holds normal ones.

    Args:
        data: A table, a folder of classes, a folder of normal images, or a data set.
        normal: Name of the normal class; None takes one that is called so.
        said: Settings by dotted key; `labels` names the main label.

    Raises:
        DataError: If the data are wrong, or do not say which images are normal.
    """
    files = _images_of(data)
    if files:
        cases = tuple(Case(path, {ANOMALY: 0.0}) for path in files)
        return CaseTable(data, (ANOMALY,), "sigmoid", cases, kind="folder")
    labels = said.get("labels", ())
    table = read_cases(data, labels=labels, attributes=said.get("attributes", ()))
    if table.activation == "sigmoid":
        if normal is not None:
            msg = f"{data} has columns of labels, no class {normal!r}"
            hint = "A case is normal where the main label is 0: --set labels=[...]."
            raise DataError(msg, hint=hint)
        return _one_label(table, table.labels[0], table.labels[0], turned=False)
    named = _normal_class(table, normal)
    others = [label for label in table.labels if label != named]
    label = others[0] if len(others) == 1 else ANOMALY
    return _one_label(table, named, label, turned=True)


def _images_of(data: Path) -> list[Path]:
    """Return the files of a folder that has no folders in it."""
    if not data.is_dir():
        return []
    inside = sorted(path for path in data.iterdir() if not path.name.startswith("."))
    return [] if any(path.is_dir() for path in inside) else inside


def _normal_class(table: CaseTable, normal: str | None) -> str:
    """Return which class is normal.

    Raises:
        DataError: If it is not there, or none is called so.
    """
    if normal is not None and normal not in table.labels:
        msg = f"{table.source} has no class {normal!r}"
        raise DataError(msg, hint=f"It has: {', '.join(table.labels)}.")
    found = [x for x in table.labels if x.strip().lower() in _NORMAL_WORDS]
    if normal is None and len(found) != 1:
        msg = f"{table.source}: which class is normal? It has {', '.join(table.labels)}"
        raise DataError(msg, hint="Name it: --normal CLASS.")
    return normal or found[0]


def _one_label(table: CaseTable, asked: str, label: str, *, turned: bool) -> CaseTable:
    """Return the table with one label; `turned` makes 1 of the asked one's 0."""

    def value(case: Case) -> float | None:
        known = case.truth[asked]
        return None if known is None else (1 - known if turned else known)

    cases = tuple(replace(c, truth={label: value(c)}, places={}) for c in table.cases)
    return replace(table, labels=(label,), activation="sigmoid", cases=cases)
