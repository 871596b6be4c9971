"""What becomes of attributes that the profile's table does not list.

The profile would keep them. But a person can write into a text, and a broken sender
into a number: text is kept only where a machine writes it, numbers only if they are
some.
"""

import re

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from medcnn.dicom_out.deidentification.profile import Action

__all__ = ["CODE_KEYWORDS", "KEPT_TEXT", "NO_CODE", "letters_of", "without_local_code"]

KEPT_TEXT = frozenset(
    {
        "Manufacturer",
        "ManufacturerModelName",
        "SoftwareVersions",
        "ConvolutionKernel",
        "FilterType",
        "SequenceName",
        "PulseSequenceName",
        "ReceiveCoilName",
        "TransmitCoilName",
        "RescaleType",
        "ModalityLUTType",
        "Radiopharmaceutical",
        "ImagedNucleus",
    }
)
"""Texts (LO, SH) that a machine writes, and that say how to understand the pixels."""

CODE_KEYWORDS = frozenset(
    {"CodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "CodeMeaning"}
)
"""Kept in an item that is a code of one of _SCHEMES."""

NO_CODE = "REMOVED"

_SCHEMES = frozenset(
    {"DCM", "FMA", "LN", "NCIt", "NEU", "RADLEX", "SCT", "SNM3", "SRT", "UCUM", "UMLS"}
)
_KEPT_UIDS = frozenset(
    {
        "SOPClassUID",
        "ReferencedSOPClassUID",
        "RelatedGeneralSOPClassUID",
        "OriginalSpecializedSOPClassUID",
    }
)
_STANDARD_UID = re.compile(r"1\.2\.840\.10008\.[0-9.]{1,50}")
_UID = re.compile(r"[0-9.]{1,64}")
_FORMS = {
    "CS": re.compile(r"[A-Z0-9 _]{0,16}"),
    "AS": re.compile(r"(\d{3}[DWMY])?"),
    "DS": re.compile(r"\s*[-+0-9.eE]{0,16}\s*"),
    "IS": re.compile(r"\s*[-+]?\d{0,12}\s*"),
}
_TEXT = frozenset(
    {"AE", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"}
)
_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_PIXELS = frozenset({"PixelData", "FloatPixelData", "DoubleFloatPixelData"})
_ICC_SIGNATURE = b"acsp"  # ISO 15076-1 7.2.9
_UNKNOWN = "X/Z/D"


def letters_of(element: DataElement) -> str:
    """Return what becomes of an attribute that the profile does not list."""
    vr, keyword = str(element.VR), element.keyword
    if not keyword:  # the standard does not know it
        return Action.REMOVE
    if vr == "UI":
        return _of_uids(element)
    if vr in _FORMS or vr in _TEXT:
        return Action.KEEP if _is_plain(element, vr, keyword) else _UNKNOWN
    return Action.REMOVE if _may_hide_text(element) else Action.KEEP


def without_local_code(item: Dataset) -> Dataset:
    """Return an item whose code, if it has one that no standard has, says nothing."""
    if str(item.get("CodingSchemeDesignator", "")) in _SCHEMES:
        return item
    present = [keyword for keyword in CODE_KEYWORDS if keyword in item]
    if not present:
        return item
    clean = Dataset()
    clean.update(item)
    for keyword in present:
        if keyword == "CodingSchemeVersion":
            del clean.CodingSchemeVersion
        else:
            tag = clean[keyword].tag
            clean[tag] = DataElement(tag, clean[tag].VR, NO_CODE)
    return clean


def _is_plain(element: DataElement, vr: str, keyword: str) -> bool:
    """Say whether a text is a code or a number, or one that a machine writes."""
    if vr in _FORMS:
        return all(_FORMS[vr].fullmatch(str(v)) for v in _values(element))
    return vr in {"LO", "SH"} and keyword in KEPT_TEXT | CODE_KEYWORDS


def _of_uids(element: DataElement) -> str:
    """Keep what names a kind of object, and what the standard itself defines."""
    form = _UID if element.keyword in _KEPT_UIDS else _STANDARD_UID
    is_kept = all(form.fullmatch(str(value)) for value in _values(element))
    return Action.KEEP if is_kept else Action.NEW_UID


def _may_hide_text(element: DataElement) -> bool:
    """Say whether bytes might be anything: OB, or a text that is called binary."""
    if element.VR not in _BINARY or element.keyword in _PIXELS:
        return False
    if element.keyword == "ICCProfile":
        return bytes(element.value or b"")[36:40] != _ICC_SIGNATURE
    defined = set(dictionary_VR(element.tag).split(" or "))
    return not (defined <= _BINARY - {"OB", "UN"} or "OW" in defined)


def _values(element: DataElement) -> list[object]:
    """Return an attribute's values, whether it has none, one or several."""
    value = element.value
    if value is None:
        return []
    return list(value) if isinstance(value, list | MultiValue) else [value]
