"""Columns of a table that say where a label is: `bbox:<label>` and `mask:<label>`.

A cell of `bbox:<label>` holds boxes `x0 y0 x1 y1` (of a volume `x0 y0 z0 x1 y1 z1`) in
fractions of the image as it is loaded: x along its columns, y along its rows from the
top, z along its slices. Several are separated by semicolons, or it is a list in JSON. A
cell of `mask:<label>` names an image file, relative to the table. Blank means that it
is not known where; `none` that the label is nowhere to be seen.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from medcnn.dataset.places import Box, Place
from medcnn.dataset.rows import Origin, Row
from medcnn.errors import DataError

__all__ = ["boxes_cell", "is_place", "read_places", "refuse_unknown_places"]

BOXES, MASK, NONE = "bbox:", "mask:", "none"
_FORM = "expected boxes 'x0 y0 x1 y1' in fractions of the image, separated by ';'"
_HINT = "Blank means not known, 'none' that there is none; a volume's box is "
_HINT += "x0 y0 z0 x1 y1 z1. Divide pixels by the image's columns and rows."


def is_place(column: str) -> bool:
    """Say whether a column tells where a label is."""
    return column.startswith((BOXES, MASK))


def refuse_unknown_places(
    origin: Origin, header: Collection[str], known: Collection[str]
) -> None:
    """Refuse a column of places of a label that there is none of.

    Args:
        origin: The table.
        header: Its columns.
        known: Labels, classes and columns.

    Raises:
        DataError: If there is one.
    """
    for column in filter(is_place, header):
        label = column.partition(":")[2]
        if label not in known:
            there = [name for name in known if not is_place(name)]
            msg = f"{origin.path} has a column {column!r} and no label {label!r}"
            raise DataError(msg, hint=f"It has: {', '.join(there)}.")


def read_places(
    origin: Origin,
    number: int,
    row: Row,
    labels: Sequence[str],
    *,
    is_there: Callable[[Path], bool],
) -> Mapping[str, Place]:
    """Read where each label is, as far as a row says.

    Args:
        origin: The table.
        number: The row's.
        row: Its cells.
        labels: The labels that are used.
        is_there: Says whether a path names an image.

    Returns:
        Places by label; a label is missing where nothing is known.

    Raises:
        DataError: If a cell is wrong, or a label has boxes and a mask.
    """
    found = {}
    for label in labels:
        boxes, mask = row.get(BOXES + label, ""), row.get(MASK + label, "")
        if boxes and mask:
            msg = f"{origin.at(number, MASK + label)}: got a mask and boxes too"
            raise DataError(msg, hint="Leave one of the two cells blank.")
        if boxes:
            found[label] = Place(_boxes(origin.at(number, BOXES + label), boxes))
        elif mask.lower() == NONE:
            found[label] = Place()
        elif mask:
            path = origin.path.parent / mask
            if not is_there(path):
                msg = f"{origin.at(number, MASK + label)}: there is no file {path}"
                raise DataError(msg)
            found[label] = Place(mask=path)
    return MappingProxyType(found)


def boxes_cell(boxes: Sequence[Box]) -> str:
    """Write boxes as a cell of a table; no boxes are written as none.

    Examples:
        >>> boxes_cell([Box((0.25, 0.5), (0.5, 0.75))])
        '0.25 0.5 0.5 0.75'
    """
    texts = [" ".join(f"{x:.6g}" for x in (*box.low, *box.high)) for box in boxes]
    return "; ".join(texts) or NONE


def _boxes(where: str, cell: str) -> tuple[Box, ...]:
    """Read the boxes of a cell.

    Raises:
        DataError: If it holds anything else.
    """
    if cell.lower() == NONE:
        return ()
    try:
        rows = _listed(cell) if cell.startswith("[") else _separated(cell)
        boxes = tuple(_box(row) for row in rows)
    except (TypeError, ValueError) as error:
        msg = f"{where}: got {cell!r}, {error}"
        raise DataError(msg, hint=_HINT) from error
    if len({len(box.low) for box in boxes}) != 1:
        msg = f"{where}: got {cell!r}, {_FORM}"
        raise DataError(msg, hint=_HINT)
    return boxes


def _separated(cell: str) -> list[list[float]]:
    """Return the numbers of each box.

    Raises:
        ValueError: If they are none.
    """
    try:
        parts = cell.removesuffix(";").split(";")
        return [[float(x) for x in part.replace(",", " ").split()] for part in parts]
    except ValueError as error:
        raise ValueError(_FORM) from error


def _listed(cell: str) -> list[list[float]]:
    """Return the numbers of each box of a JSON list, of one box or of several.

    Raises:
        ValueError: If it is none.
    """
    try:
        found = json.loads(cell)
    except json.JSONDecodeError as error:
        raise ValueError(_FORM) from error
    boxes = found if found and isinstance(found[0], list) else [found]
    numbers = [x for box in boxes if isinstance(box, list) for x in box]
    right = all(isinstance(box, list) for box in boxes)
    if not right or any(type(x) not in {int, float} for x in numbers):
        raise ValueError(_FORM)
    return boxes


def _box(numbers: Sequence[float]) -> Box:
    """Make a box of its numbers.

    Raises:
        ValueError: If they are no box within the image.
    """
    if len(numbers) not in {4, 6}:
        raise ValueError(_FORM)
    if not (np.isfinite(numbers).all() and 0 <= min(numbers) <= max(numbers) <= 1):
        msg = "expected fractions of the image, 0 to 1"
        raise ValueError(msg)
    half = len(numbers) // 2
    low, high = tuple(numbers[:half]), tuple(numbers[half:])
    if any(a >= b for a, b in zip(low, high, strict=True)):
        msg = "expected each box to end behind where it begins: x0 < x1, y0 < y1"
        raise ValueError(msg)
    return Box(low, high)
