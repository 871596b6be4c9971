"""What the Basic Profile does with each attribute that it lists."""

import csv
from enum import StrEnum
from functools import cache
from importlib.resources import files

from pydicom.tag import BaseTag

from medcnn.dicom_out.deidentification.types import Need

__all__ = [
    "EDITION",
    "Action",
    "action_of",
    "option_letter",
    "profile_actions",
    "settled",
]

EDITION = "PS3.15 2024b"
"""The edition of the standard that basic_profile.csv was made from."""

_OVERLAYS, _CURVES = range(0x6000, 0x6100), range(0x5000, 0x5100)


class Action(StrEnum):
    """What becomes of an attribute; the letters are the standard's.

    References:
        [1] DICOM PS3.15 E.1.1, table E.1-1a.
    """

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    NEW_UID = "U"
    KEEP = "K"


def action_of(tag: BaseTag) -> str | None:
    """Return what the profile's table says of a tag, such as "X/Z/D".

    Returns:
        None if the table does not list it. Overlays and curves are removed whole: what
        would be left of them describes nothing.
    """
    if tag.group in _OVERLAYS or tag.group in _CURVES:
        return Action.REMOVE.value
    row = _table().get(int(tag))
    return None if row is None else row["action"]


def option_letter(tag: BaseTag, option: str) -> str | None:
    """Return what an option does with a tag: "K" keep, "C" clean, "" nothing.

    Args:
        tag: Which.
        option: A column of the table, such as "uids"; "" for none.

    Returns:
        None if the table does not list the tag at all.
    """
    row = _table().get(int(tag))
    return None if row is None else row.get(option, "")


def profile_actions() -> dict[int, str]:
    """Return the letters of each listed tag.

    References:
        [1] DICOM PS3.15 table E.1-1, column "Basic Prof.".
    """
    return {tag: row["action"] for tag, row in _table().items()}


@cache
def _table() -> dict[int, dict[str, str]]:
    """Read the standard's table, with the columns of its options."""
    table = files("medcnn.dicom_out.deidentification") / "basic_profile.csv"
    rows = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    return {int(row["tag"], 16): row for row in rows}


def settled(letters: str, need: Need) -> Action:
    """Choose among letters such as "X/Z/D" by what the kind of object needs.

    Args:
        letters: One letter, or several with slashes between them.
        need: What the object's definition says of the attribute there.

    References:
        [1] DICOM PS3.15 E.1.1: "X unless Z is required to maintain IOD conformance".
    """
    if "U" in letters:
        return Action.NEW_UID
    allowed = letters.split("/")
    if len(allowed) == 1:
        must_have = allowed[0] == Action.EMPTY and need is Need.VALUE
        return Action.DUMMY if must_have else Action(allowed[0])
    wanted = {
        Need.NOTHING: (Action.REMOVE, Action.EMPTY, Action.DUMMY),
        Need.PRESENCE: (Action.EMPTY, Action.DUMMY),
        Need.VALUE: (Action.DUMMY,),
    }[need]
    return next((action for action in wanted if action in allowed), Action.EMPTY)
