"""A data set built anew from what may stay; nothing is copied by accident."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from medcnn.dicom_out.deidentification.options import (
    METHOD_CODES,
    Retain,
    retained_value,
)
from medcnn.dicom_out.deidentification.profile import (
    EDITION,
    Action,
    action_of,
    option_letter,
    settled,
)
from medcnn.dicom_out.deidentification.types import Need, Needs, needs_of
from medcnn.dicom_out.deidentification.unlisted import letters_of, without_local_code
from medcnn.io.dicom.tags import FOREIGN_ERRORS, text
from medcnn.pseudonyms import Pseudonyms

__all__ = ["cleaned"]

_FILE_GROUPS = frozenset({0x0000, 0x0002})
_CHARSET = 0x00080005
_GROUPS_OF_FRAMES = frozenset(
    {"SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"}
)
_DUMMIES: dict[str, object] = {
    "AS": "000Y",
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101000000",
    "IS": "0",
    "TM": "000000",
    "UR": "urn:removed",
}
_TEXT = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_BYTES = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_BASIC_PROFILE = ("113100", "Basic Application Confidentiality Profile")


@dataclass(frozen=True)
class _Rules:
    """What is the same for all attributes of one object."""

    pseudonyms: Pseudonyms
    needs: Needs | None
    retain: frozenset[Retain] = frozenset()
    days: int = 0
    place: tuple[str, ...] = field(default=())
    keeps_codes: bool = False

    def inside(self, element: DataElement) -> "_Rules":
        """Return the rules within a sequence."""
        is_kept = any(option_letter(element.tag, one) == "K" for one in self.retain)
        place = (*self.place, element.keyword)
        return replace(self, place=place, keeps_codes=is_kept)

    def need(self, keyword: str) -> Need:
        """Say how much of an attribute must be there; what is not known, is needed."""
        if self.needs is None:
            return Need.VALUE
        is_of_frames = bool(self.place) and self.place[0] in _GROUPS_OF_FRAMES
        unknown = Need.VALUE if is_of_frames else Need.NOTHING
        return self.needs.get((self.place, keyword), unknown)


def cleaned(
    dataset: Dataset, pseudonyms: Pseudonyms, retain: Collection[Retain] = ()
) -> Dataset:
    """Return an image's attributes without whose it is, and the words that say so.

    Text is UTF-8 then. An attribute that cannot be read is left out.

    Args:
        dataset: Of a parsed file; it stays as it is.
        pseudonyms: Give UIDs and the patient's number.
        retain: What stays beyond the Basic Profile.

    References:
        [1] DICOM PS3.15 E.1 to E.3, Basic Application Level Confidentiality Profile.
        [2] DICOM PS3.3 C.7.1.1 and C.12.1: what an object says of it.
    """
    person = text(dataset, "PatientID") or text(dataset, "StudyInstanceUID")
    rules = _Rules(
        pseudonyms,
        needs_of(text(dataset, "SOPClassUID")),
        frozenset(retain),
        pseudonyms.days(person),
    )
    clean = _visited(dataset, rules)
    clean.SpecificCharacterSet = "ISO_IR 192"
    pseudonym = pseudonyms.patient(text(dataset, "PatientID"))
    clean.PatientID = clean.PatientName = pseudonym
    clean.PatientIdentityRemoved = "YES"
    codes = [_BASIC_PROFILE, *(METHOD_CODES[one] for one in Retain if one in retain)]
    names = "".join(f", retain {one}" for one in Retain if one in retain)
    clean.DeidentificationMethod = f"medcnn: Basic Profile of {EDITION}{names}"[:64]
    clean.DeidentificationMethodCodeSequence = [_code(*one) for one in codes]
    is_modified = Retain.DATES in retain
    clean.LongitudinalTemporalInformationModified = (
        "MODIFIED" if is_modified else "REMOVED"
    )
    return clean


def _code(value: str, meaning: str) -> Dataset:
    """Return the item of a code of the scheme DCM."""
    code = Dataset()
    code.CodeValue, code.CodeMeaning = value, meaning
    code.CodingSchemeDesignator = "DCM"
    return code


def _visited(dataset: Dataset, rules: _Rules) -> Dataset:
    """Return what stays of a data set or an item."""
    clean = Dataset()
    for tag in list(dataset.keys()):
        is_structure = tag.group in _FILE_GROUPS or tag.element == 0 or tag == _CHARSET
        if tag.is_private or is_structure:
            continue
        element = _readable(dataset, tag)
        if element is None:
            continue
        left = _retained(element, rules)
        if left is None:
            left = _left_of(element, rules)
        if left is not None:
            clean.add(left)
    return clean if rules.keeps_codes else without_local_code(clean)


def _readable(dataset: Dataset, tag: BaseTag) -> DataElement | None:
    """Return an attribute, or None if its value is broken."""
    try:
        return dataset[tag]
    except FOREIGN_ERRORS:
        return None


def _left_of(element: DataElement, rules: _Rules) -> DataElement | None:
    """Return what is to be said of one attribute, or None."""
    action = settled(_letters(element, rules), rules.need(element.keyword))
    if action is Action.REMOVE:
        return None
    if element.VR == "SQ" and action is not Action.EMPTY:
        inside = rules.inside(element)
        items = [_visited(item, inside) for item in element.value]
        return DataElement(element.tag, "SQ", Sequence(items))
    if action is Action.KEEP:
        kept = DataElement(element.tag, element.VR, element.value)
        kept.is_undefined_length = element.is_undefined_length
        return kept
    if action is Action.EMPTY:
        empty = Sequence() if element.VR == "SQ" else None
        return DataElement(element.tag, element.VR, empty)
    return DataElement(element.tag, element.VR, _replacement(element, rules))


def _letters(element: DataElement, rules: _Rules) -> str:
    """Return what becomes of an attribute: by an option, by the table, by our rules."""
    is_kept = any(option_letter(element.tag, one) == "K" for one in rules.retain)
    if element.VR == "SQ" and is_kept:
        return Action.KEEP
    return action_of(element.tag) or letters_of(element)


def _retained(element: DataElement, rules: _Rules) -> DataElement | None:
    """Return what an option leaves of an attribute that is no sequence, if any does."""
    if element.VR == "SQ" or not rules.retain:
        return None
    value = retained_value(element, rules.retain, rules.days)
    return None if value is None else DataElement(element.tag, element.VR, value)


def _replacement(element: DataElement, rules: _Rules) -> object:
    """Return a value that says nothing, and fits the value representation."""
    vr, value = str(element.VR), element.value
    if vr == "UI":
        several = isinstance(value, list | MultiValue)
        new = [rules.pseudonyms.uid(str(v)) for v in (value if several else [value])]
        return None if value is None or value == "" else new
    if vr in _TEXT:
        return "REMOVED"
    if vr in _BYTES:
        return b"\0\0"
    return _DUMMIES.get(vr, 0)
