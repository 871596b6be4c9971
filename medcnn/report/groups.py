"""Subgroups of images: by folder, by header, and by the columns of one's own table."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medcnn.errors import DataError
from medcnn.worklist import plain_text

__all__ = ["GROUPS", "Facts", "Group", "groups_of"]

GROUPS = "groups.csv"
"""A table in the output folder, `path` as in worklist.csv and one column a group."""

MOST_VALUES = 60
"""Values of a group; a column with more tells images apart, not groups."""


@dataclass(frozen=True)
class Group:
    """What images have in common.

    Attributes:
        name: Such as "Folder" or "sex".
        values: What occurs, sorted.
        places: For each image its place in `values`, or "" where it has none.
    """

    name: str
    values: tuple[str, ...]
    places: tuple[int | str, ...]


Facts = Mapping[str, Mapping[str, str]]
"""What images' headers say, by path and by name of the group."""


def groups_of(
    paths: Sequence[str], output: Path, facts: Facts | None = None
) -> list[Group]:
    """Return the groups by which images can be picked out.

    Args:
        paths: Of the images, as in worklist.csv.
        output: The run's folder; its groups.csv is read if there is one.
        facts: What their headers say.

    Raises:
        DataError: If groups.csv cannot be read or has no column `path`.
    """
    columns = {"Folder": [_folder(path) for path in paths]}
    for table in (facts or {}, _table(output / GROUPS)):
        for name in dict.fromkeys(key for row in table.values() for key in row):
            columns[name] = [table.get(path, {}).get(name, "") for path in paths]
    found = [_group(name, cells) for name, cells in columns.items()]
    return [group for group in found if group is not None]


def _folder(path: str) -> str:
    """Return the first folder of a path, "" if it lies in none."""
    first, slash, _ = path.partition("/")
    return first if slash else ""


def _group(name: str, cells: Sequence[str]) -> Group | None:
    """Return a column as a group; None if it tells nothing apart, or too much."""
    values = sorted({cell for cell in cells if cell})
    if len(values) > MOST_VALUES or len(set(cells)) < 2:
        return None
    place = {value: n for n, value in enumerate(values)}
    return Group(name, tuple(values), tuple(place.get(cell, "") for cell in cells))


def _table(path: Path) -> dict[str, dict[str, str]]:
    """Read groups.csv: for each path its columns; empty if there is no such file.

    Raises:
        DataError: If it cannot be read or has no column `path`.
    """
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            # spreadsheets of half of Europe write semicolons
            between = ";" if ";" in first and "," not in first else ","
            reader = csv.DictReader(
                file, delimiter=between, restval="", restkey="", strict=True
            )
            rows = [{k: plain_text(v) for k, v in row.items() if k} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path} cannot be read as a table: {error}"
        raise DataError(msg, hint="It is a CSV: path, then one column a group.") from (
            error
        )
    if rows and "path" not in rows[0]:
        msg = f"{path} has no column 'path', its header is {list(rows[0])}"
        raise DataError(msg, hint="Name the images as worklist.csv does.")
    return {row.pop("path"): row for row in rows}
