"""Whether left and right mean something in a data set: may an image be mirrored?"""

import re

from medcnn.dataset import CaseTable

__all__ = ["RADIOGRAPHS", "laterality_of"]

RADIOGRAPHS = {"CR", "DX", "DR", "RG", "RF", "XA", "PX", "IO", "MG"}
"""DICOM codes of projections by X-rays."""

_BODIES = {"CT", "MR", "NM", "PT", "US"}
_NO_SIDES = {
    "DMS": "skin",
    "SM": "tissue on a slide",
    "GM": "cells under a microscope",
    "EM": "electron microscopy",
}
_SIDES = re.compile(
    r"\b(left|right|links|rechts)\b|(?:^|[-_ ])(l|r)(?:$|[-_ ])", re.IGNORECASE
)
_VIEWS = {"AP", "PA", "LL", "RL", "LAT", "LATERAL", "CC", "MLO", "AP SUPINE"}


def laterality_of(
    table: CaseTable, modality: str | None, *, is_colour: bool
) -> tuple[bool, str]:
    """Return whether left and right mean something, and why.

    Where nothing says, grey images are taken for bodies, which have sides, and coloured
    ones for skin, cells or tissue, which have none.

    Args:
        table: Cases.
        modality: DICOM code; None where nothing says.
        is_colour: Whether channels differ.
    """
    sided = [label for label in table.labels if _SIDES.search(label)]
    if sided:
        return True, f"the label {sided[0]!r} names a side"
    if modality in RADIOGRAPHS:
        return True, "radiographs are hung by side: the heart lies on one, L is on it"
    views = _views(table)
    if views:
        return True, f"the column 'view' holds {views}, so these are radiographs"
    if table.laterality is not None:
        what = "mean something" if table.laterality else "are alike"
        return table.laterality, f"left and right {what} in this published set"
    return _by_kind(modality, is_colour=is_colour)


def _by_kind(modality: str | None, *, is_colour: bool) -> tuple[bool, str]:
    if modality in _NO_SIDES:
        return False, f"{_NO_SIDES[modality]} ({modality}) has no left and right"
    if modality in _BODIES:
        return True, f"the inside of a body ({modality}) is not the same on both sides"
    if is_colour:
        words = (
            "coloured and of no stated modality: skin, cells or tissue have no sides"
        )
        return False, words
    return True, "nothing says that left and right are alike, so they are not mixed up"


def _views(table: CaseTable) -> str:
    found = {case.attributes.get("view", "").strip().upper() for case in table.cases}
    return ", ".join(sorted(found & _VIEWS))
